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

/// Counters of some kernels, added up over their launches.
struct counter_sums {
    double read = 0, written = 0; ///< bytes of the sectors of 32 bytes that a launch touches, each once
    double stored = 0;            ///< bytes of all stores but atomics
    double tensor = 0;            ///< FLOP of matrix instructions
    double atomics = 0;           ///< of single threads
    double special = 0, fp64 = 0, instructions = 0, conflicts = 0, wavefronts = 0, blocks = 0, launches = 0;
    double longest_warp = 0;       ///< instructions of the warp that executes most
    double dependent_launches = 0; ///< that may begin before the kernel ahead of them has ended
};

/// Of the kernels whose names contain `kernel`, of which at least one must have run.
inline counter_sums sum_counters(const nlohmann::json& kernels, const std::string& kernel) {
    counter_sums c;
    for (const auto& k : kernels)
        if (k["name"].get<std::string>().find(kernel) != std::string::npos) {
            c.read += k["distinct_read_bytes"].get<double>();
            c.written += k["distinct_write_bytes"].get<double>();
            c.stored += k["global_store_bytes"].get<double>();
            for (const auto& [kind, flop] : k["flops"].items())
                c.tensor += kind.starts_with("tensor_") ? flop.get<double>() : 0;
            c.atomics += k["atomics"].get<double>();
            c.special += k["flops"]["special"].get<double>();
            c.fp64 += k["flops"]["fp64"].get<double>();
            c.instructions += k["lane_instructions"].get<double>();
            c.conflicts += k["shared_bank_conflict_replays"].get<double>();
            c.wavefronts += k["shared_wavefronts"].get<double>();
            c.blocks += k["blocks"].get<double>();
            c.launches += k["launches"].get<double>();
            c.longest_warp += k["longest_warp_instructions"].get<double>();
            c.dependent_launches += k["dependent_launches"].get<double>();
        }
    if (c.launches == 0)
        throw std::runtime_error("no kernel " + kernel + " ran");
    return c;
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
