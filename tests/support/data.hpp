// Seeded test data: Philox numbers, so the same on every machine.
#pragma once

#include "elbo/gmm/model.hpp"
#include "kernels/contract/gmm_engine.hpp"
#include "kernels/math/philox.hpp"

#include <cmath>
#include <cstdint>
#include <vector>

namespace elbo::test {

inline double normal(std::uint64_t seed, std::uint64_t index) {
    double first = 0, second = 0;
    kernels::normal_pair(kernels::random_block(seed, kernels::random_purpose::sample_noise, index, 77), first, second);
    return first;
}

inline double uniform(std::uint64_t seed, std::uint64_t index) {
    const auto words = kernels::random_block(seed, kernels::random_purpose::sample_component, index, 77);
    return kernels::uniform_double(words.word[0], words.word[1]);
}

/// rows x cols numbers: `clusters` Gaussian clusters of unit spread, centres `distance` apart from the origin.
inline std::vector<double> clustered(std::int64_t rows, std::int64_t cols, std::int64_t clusters, double distance,
                                     std::uint64_t seed) {
    std::vector<double> x(rows * cols);
    for (std::int64_t n = 0; n < rows; ++n) {
        const std::int64_t cluster = n % clusters;
        for (std::int64_t j = 0; j < cols; ++j)
            x[n * cols + j] = normal(seed, n * cols + j) + distance * normal(seed + 1, cluster * cols + j);
    }
    return x;
}

/// A mixture near the origin: means of size `spread`, factors with diagonals 0.5 to 2 and some correlation.
inline kernels::gmm_parameters random_parameters(const kernels::gmm_shape& s, double spread, std::uint64_t seed) {
    using gmm::family;
    const std::int64_t d = s.dimensions, k = s.components;
    kernels::gmm_parameters p;
    double sum = 0;
    for (std::int64_t c = 0; c < k; ++c)
        sum += 0.2 + uniform(seed, c);
    for (std::int64_t c = 0; c < k; ++c)
        p.log_weights.push_back(std::log((0.2 + uniform(seed, c)) / sum));
    for (std::int64_t i = 0; i < k * d; ++i)
        p.means.push_back(spread * normal(seed + 2, i));
    p.precision_cholesky.assign(gmm::covariance_size(s.family, k, d), 0);
    const bool matrix = s.family == family::full || s.family == family::tied;
    for (std::size_t at = 0; at < p.precision_cholesky.size(); ++at) {
        const auto i = static_cast<std::int64_t>(at) / d % d, j = static_cast<std::int64_t>(at) % d;
        if (!matrix || i == j)
            p.precision_cholesky[at] = std::exp2(2 * uniform(seed + 3, at) - 1);
        else if (i < j)
            p.precision_cholesky[at] = 0.5 * normal(seed + 4, at) / std::sqrt(static_cast<double>(d));
    }
    return p;
}

template <class T>
std::vector<T> as(const std::vector<double>& v) {
    return std::vector<T>(v.begin(), v.end());
}

} // namespace elbo::test
