// What the tests of mixture engines go through: every family, rows in the frame as they are, weights exact in float32.
#pragma once

#include "kernels/contract/gmm_engine.hpp"
#include "tests/support/data.hpp"

#include <cmath>
#include <cstdint>
#include <vector>

namespace elbo::test {

inline constexpr gmm::family all_families[] = {gmm::family::full,          gmm::family::diagonal,
                                               gmm::family::spherical,     gmm::family::tied,
                                               gmm::family::tied_diagonal, gmm::family::tied_spherical};

/// Centre 0, scale 1.
inline kernels::frame identity_frame(std::int64_t d) {
    return {std::vector<double>(d, 0), std::vector<double>(d, 1)};
}

/// Weights with zeros, a fifth of all; quarters, so that they are exact in float32.
inline std::vector<double> quarter_weights(std::int64_t rows) {
    std::vector<double> weights;
    for (std::int64_t n = 0; n < rows; ++n)
        weights.push_back(n % 5 == 2 ? 0 : std::ceil(8 * uniform(5, n)) / 4);
    return weights;
}

} // namespace elbo::test
