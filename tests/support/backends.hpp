// Which back ends a test runs on: ELBO_TEST_BACKENDS=reference,cpu,cuda; all but cuda where it is not set.
#pragma once

#include "elbo/context.hpp"

#include <cstdlib>
#include <sstream>
#include <string>
#include <vector>

namespace elbo::test {

inline std::vector<context> contexts() {
    const char* names = std::getenv("ELBO_TEST_BACKENDS");
    std::istringstream list(names ? names : "reference,cpu");
    std::vector<context> result;
    for (std::string name; std::getline(list, name, ',');) {
        if (name == "reference")
            result.push_back(context::reference());
        if (name == "cpu")
            result.push_back(context::cpu(2));
        if (name == "cuda")
            result.push_back(context::cuda());
    }
    return result;
}

/// The back ends under test: all but the reference, which is what they are compared with.
inline std::vector<context> contexts_under_test() {
    std::vector<context> result;
    for (const context& c : contexts())
        if (c.where() != backend::reference)
            result.push_back(c);
    return result;
}

/// Whether the kernels are interpreted: then sizes must stay small.
inline bool slow_device() {
    for (const context& c : contexts())
        if (c.where() == backend::cuda && c.name().find("emulator") != std::string::npos)
            return true;
    return false;
}

} // namespace elbo::test
