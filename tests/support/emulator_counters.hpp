// Counters that the CUDA emulator writes when a process ends: a case runs in a process of its own, which is the test
// program again with the name of the case in the environment and one disabled test as its filter.
#pragma once

#include "elbo/context.hpp"

#include <nlohmann/json.hpp>

#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <stdexcept>
#include <string>
#include <unistd.h>

namespace elbo::test {

inline bool emulated() {
    return context::cuda().name().find("emulator") != std::string::npos;
}

/// Runs the disabled test `filter` of this program with `variable` = `value` and further settings NAME=VALUE in the
/// environment; its exit status.
inline int run_elsewhere(const std::string& filter, const std::string& variable, const std::string& value,
                         const std::string& environment) {
    const std::string program = std::filesystem::read_symlink("/proc/self/exe").string();
    return std::system((variable + "='" + value + "' " + environment + " '" + program +
                        "' --gtest_also_run_disabled_tests --gtest_filter=" + filter + " > /dev/null")
                           .c_str());
}

/// The counters of all kernels of such a run. Throws std::runtime_error if it fails.
inline nlohmann::json count_elsewhere(const std::string& filter, const std::string& variable,
                                      const std::string& value) {
    const auto file = std::filesystem::temp_directory_path() / ("elbo_counters_" + std::to_string(getpid()) + ".json");
    if (run_elsewhere(filter, variable, value, "CUDA_EMULATOR_STATS='" + file.string() + "'") != 0)
        throw std::runtime_error("the case " + value + " failed in its process");
    std::ifstream stream(file);
    nlohmann::json all = nlohmann::json::parse(stream)["kernels"];
    std::filesystem::remove(file);
    return all;
}

} // namespace elbo::test
