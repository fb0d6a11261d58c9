// Made-up problems in the normalised frame, and engines that have loaded them.
#pragma once

#include "kernels/contract/gmm_engine.hpp"
#include "kernels/math/fixed_point.hpp"
#include "kernels/math/philox.hpp"

#include <cmath>
#include <memory>
#include <vector>

namespace elbo::kernels {

using gmm::family;

inline double normal(std::uint64_t index, std::uint32_t item) {
    double a, b;
    normal_pair(random_block(3, random_purpose::sample_noise, index, item), a, b);
    return a;
}

/// Rows, weights and parameters of a made-up problem in the normalised frame.
struct problem {
    gmm_shape shape;
    std::int64_t rows;
    std::vector<float> x, weights;
    gmm_parameters parameters;
    frame identity() const {
        return {std::vector<double>(shape.dimensions, 0.0), std::vector<double>(shape.dimensions, 1.0)};
    }
    input_rows input(bool weighted) const {
        input_rows in{matrix_view<const float>(x.data(), rows, shape.dimensions), {}, 1};
        if (weighted)
            in.weights = matrix_view<const float>(weights.data(), rows, 1);
        return in;
    }
};

/// `spread`: distance of the means in standard deviations of a coordinate.
inline problem make_problem(family f, std::int64_t d, std::int64_t k, std::int64_t rows, double spread = 1) {
    problem p{{f, d, k}, rows, {}, {}, {}};
    p.parameters.means.resize(k * d);
    for (std::int64_t i = 0; i < k * d; ++i)
        p.parameters.means[i] = static_cast<float>(spread * normal(1000000 + i, 1));
    p.parameters.log_weights.resize(k);
    for (std::int64_t c = 0; c < k; ++c)
        p.parameters.log_weights[c] = std::log(2.0 * static_cast<double>(c + 1) / static_cast<double>(k * (k + 1)));
    const std::int64_t numbers = gmm::covariance_size(f, k, d), step = d * d;
    p.parameters.precision_cholesky.assign(numbers, 0);
    for (std::int64_t i = 0; i < numbers; ++i) {
        double& u = p.parameters.precision_cholesky[i];
        if (f == family::full || f == family::tied) {
            const std::int64_t row = i % step / d, column = i % d;
            if (row == column)
                u = 1 + 0.25 * std::abs(normal(i, 2));
            if (row < column)
                u = 0.3 / std::sqrt(static_cast<double>(d)) * normal(i, 2);
        } else {
            u = 1 + 0.5 * std::abs(normal(i, 2));
        }
        u = static_cast<float>(u);
    }
    for (std::int64_t n = 0; n < rows; ++n) {
        const std::int64_t c = n * 7 % k;
        for (std::int64_t j = 0; j < d; ++j)
            p.x.push_back(static_cast<float>(p.parameters.means[c * d + j] + normal(n, 100 + j)));
        p.weights.push_back(n % 5 == 3 ? 0.0f : 0.5f + static_cast<float>(n % 3));
    }
    return p;
}

inline constexpr double bound = 0x1p40; // of the sums

inline std::unique_ptr<gmm_engine> loaded(std::unique_ptr<gmm_engine> e, const problem& p, bool weighted) {
    e->reserve(p.rows, weighted);
    e->load(p.input(weighted), p.identity(), 0);
    e->set_parameters(p.parameters);
    e->clear_sums(bound, bound);
    return e;
}

inline constexpr family families[] = {family::full, family::diagonal,      family::spherical,
                                      family::tied, family::tied_diagonal, family::tied_spherical};

} // namespace elbo::kernels
