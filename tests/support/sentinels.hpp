// Rows of which some hold a sentinel.
#pragma once

#include "tests/support/data.hpp"

#include <cstdint>
#include <vector>

namespace elbo::test {

/// Two clusters in two columns, of which some rows are sentinels.
template <class T>
std::vector<T> with_sentinels(std::int64_t rows, double sentinel, std::int64_t every) {
    std::vector<T> x;
    for (std::int64_t i = 0; i < rows; ++i) {
        x.push_back(static_cast<T>(i % every == every / 2 ? sentinel : normal(1, i) + (i % 2) * 6));
        x.push_back(static_cast<T>(normal(2, i) + (i % 2) * 6));
    }
    return x;
}

} // namespace elbo::test
