// Problems of the tensor variant and what its sums may be off by.
#pragma once

#include "kernels/cuda/gmm/engine.hpp"
#include "kernels/cuda/gmm/tensor/layout.hpp"
#include "kernels/cuda/gmm/tensor/tensor.hpp"
#include "tests/support/data.hpp"
#include "tests/support/gmm/bounds.hpp"
#include "tests/support/gmm/cases.hpp"

#include <gtest/gtest.h>

#include <cmath>
#include <cstdint>
#include <memory>
#include <string>
#include <vector>

namespace elbo::test {

/// e_j / (Σ_i |U_ij| |x_i| + |b_j|) in the bounds of density.cuh and wide_density.cuh.
inline double term_error(std::int64_t d) {
    if (kernels::cuda::is_wide(d))
        return 0x1p-21 + 0x1p-20 + static_cast<double>(kernels::cuda::wide_shape(d).halves) * 0x1p-24;
    return 0x1p-21 + kernels::cuda::tensor_dimensions(d) / 16 * 0x1p-22;
}

/// |q̂ − q| of one pair by those bounds, halved: that of lp in nats. D: the dimensions of the kernel, `step`: the term
/// error above.
inline double product_error_of(const kernels::gmm_shape& s, const kernels::gmm_parameters& p, std::int64_t k,
                               const double* row, double D, double step) {
    const std::int64_t d = s.dimensions;
    const double* u = &p.precision_cholesky[k * d * d];
    const double* mean = &p.means[k * d];
    double error = 0, q = 0;
    for (std::int64_t j = 0; j < d; ++j) {
        double y = 0, size = 0, b = 0;
        for (std::int64_t i = 0; i <= j; ++i) {
            y += u[i * d + j] * (row[i] - mean[i]);
            size += std::abs(u[i * d + j] * row[i]);
            b += u[i * d + j] * mean[i];
        }
        const double e = step * (size + std::abs(b));
        error += 2 * std::abs(y) * e + e * e;
        q += y * y;
    }
    return 0.5 * (error + D * 0x1p-24 * q);
}
inline double product_error(const kernels::gmm_shape& s, const kernels::gmm_parameters& p, std::int64_t k,
                            const double* row) {
    return product_error_of(s, p, k, row, kernels::cuda::tensor_dimensions(s.dimensions), term_error(s.dimensions));
}

/// Covariances of this condition: the diagonals of U_k reach from 1 to its root, in another order for each component,
/// and what lies beside them follows.
inline kernels::gmm_parameters conditioned(const kernels::gmm_shape& s, double condition, double centre,
                                           std::uint64_t seed, double spread = 0.3) {
    kernels::gmm_parameters p = random_parameters(s, spread, seed);
    const std::int64_t d = s.dimensions;
    const auto size = [&](std::int64_t k, std::int64_t i) {
        return std::pow(condition, 0.5 * static_cast<double>((7 * i + k) % d) / static_cast<double>(d));
    };
    for (std::int64_t k = 0; k < s.components; ++k)
        for (std::int64_t i = 0; i < d; ++i) {
            p.means[k * d + i] += centre * (1 + 0.1 * static_cast<double>(3 * i % 5));
            for (std::int64_t j = i; j < d; ++j)
                p.precision_cholesky[(k * d + i) * d + j] *= std::sqrt(size(k, i) * size(k, j));
        }
    return p;
}

/// Rows of the components in turn, float32: U_kᵀ (x − μ_k) are normal numbers.
inline std::vector<float> rows_of(const kernels::gmm_shape& s, const kernels::gmm_parameters& p, std::int64_t rows) {
    const std::int64_t d = s.dimensions;
    std::vector<float> x(rows * d);
    std::vector<double> z(d);
    for (std::int64_t n = 0; n < rows; ++n) {
        const std::int64_t k = n % s.components;
        const double* u = &p.precision_cholesky[k * d * d];
        for (std::int64_t j = 0; j < d; ++j) {
            double v = normal(99, n * d + j);
            for (std::int64_t i = 0; i < j; ++i)
                v -= u[i * d + j] * z[i];
            z[j] = v / u[j * d + j];
            x[n * d + j] = static_cast<float>(p.means[k * d + j] + z[j]);
        }
    }
    return x;
}

struct tensor_case {
    std::int64_t rows, d, K;
    double condition = 10, centre = 0, spread = 0.3; ///< of the means
};

/// Weighted rows of a mixture in an engine that has its parameters.
struct tensor_problem {
    kernels::gmm_shape shape;
    std::int64_t rows;
    std::vector<float> x;
    std::vector<double> weights;
    std::unique_ptr<kernels::gmm_engine> engine;

    explicit tensor_problem(const tensor_case& c, std::int64_t blocks = 0)
        : shape{gmm::family::full, c.d, c.K}, rows(c.rows), weights(quarter_weights(c.rows)),
          engine(kernels::make_gmm_engine(context::cuda(), shape, element_type::float32)) {
        const kernels::gmm_parameters p = conditioned(shape, c.condition, c.centre, 21, c.spread);
        x = rows_of(shape, p, rows);
        if (blocks > 0)
            base().set_grid(blocks);
        engine->reserve(rows, true);
        engine->load(input(0, rows), identity_frame(c.d), 0);
        engine->set_parameters(p);
        engine->clear_sums(0x1p40, 0x1p60);
    }
    kernels::cuda::cuda_engine_base& base() const { return dynamic_cast<kernels::cuda::cuda_engine_base&>(*engine); }
    kernels::input_rows input(std::int64_t first, std::int64_t count) const {
        return {matrix_view<const float>(&x[first * shape.dimensions], count, shape.dimensions),
                any_matrix_view(matrix_view<const double>(&weights[first], count, 1)), 1};
    }
};

inline std::string describe(const tensor_case& c) {
    return "N=" + std::to_string(c.rows) + " d=" + std::to_string(c.d) + " K=" + std::to_string(c.K) + " condition " +
           std::to_string(c.condition) + " centre " + std::to_string(c.centre) + " spread " + std::to_string(c.spread);
}

inline bool tensor_supported() {
    return kernels::cuda::tensor_supported(*context::cuda().state().cuda);
}

// Roundings of a sum in units of 2⁻²⁴: 32 truncated steps of a chain, 2 each, 16 promotions, 16 for the weights of the
// exponential, 8 for the pieces of z. Beyond 128 dimensions 4 steps of a stage, 4 each, 64 stages, 16 and 8.
inline constexpr arithmetic_form tensor_products{104, product_error};

inline void expect_sums(kernels::gmm_engine& engine, const bounded_sums& want) {
    const std::vector<double> got = engine.sums().values();
    for (std::size_t i = 0; i < got.size(); ++i)
        ASSERT_LE(std::abs(got[i] - want.values[i]), want.bounds[i] + 1e-15) << "sum " << i;
}

/// Of all rows, against the reference.
inline void check_tensor_sums(const tensor_problem& t, const arithmetic_form& form = tensor_products) {
    t.engine->accumulate(0, t.rows);
    const auto want = reference_sums(t.shape, t.engine->parameters(), std::vector<double>(t.x.begin(), t.x.end()),
                                     t.weights, 0x1p-24, {}, form);
    expect_sums(*t.engine, want);
}

inline void check_tensor_sums(const tensor_case& c) {
    SCOPED_TRACE(describe(c));
    const tensor_problem t(c);
    ASSERT_TRUE(t.base().has_tensor());
    check_tensor_sums(t);
}

} // namespace elbo::test
