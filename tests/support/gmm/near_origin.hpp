// Mixtures whose means lie near the origin, as the dot form and the products want them, or just beyond.
#pragma once

#include "kernels/cuda/gmm/engine.hpp"
#include "tests/support/data.hpp"
#include "tests/support/gmm/bounds.hpp"
#include "tests/support/gmm/cases.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <memory>
#include <string>
#include <vector>

namespace elbo::test {

inline constexpr double near = 2.9, beyond = 3.1; ///< largest ‖U_kᵀμ_k‖: the dot form, the direct form

/// ‖U_kᵀ(x − μ_k)‖.
inline double distance(const kernels::gmm_shape& s, const kernels::gmm_parameters& p, std::int64_t k, const double* x) {
    return std::sqrt(kernels::reference::mahalanobis_squared(s, p, k, x));
}

/// Bound of the error of lp of a row: that of fused_dots.cuh, and what rounding of Uᵀx brings where U is not a number.
inline double dots_error(const kernels::gmm_shape& s, const kernels::gmm_parameters& p, std::int64_t k,
                         const double* row, double u) {
    const std::int64_t d = s.dimensions;
    const std::vector<double> origin(d, 0);
    kernels::gmm_parameters centred = p;
    std::fill_n(&centred.means[k * d], d, 0.0);
    const double q = distance(s, p, k, row), x = distance(s, centred, k, row), m = distance(s, p, k, origin.data());
    const double reach = norm(row, d) + norm(&p.means[k * d], d);
    const double whitened = gmm::geometry(s.family).spherical() ? 0 : q * factor_norm(s, p, k) * reach;
    return 4 * u * ((x + m) * (x + m) + whitened + static_cast<double>(d) + q * q);
}
inline double dots_error_float32(const kernels::gmm_shape& s, const kernels::gmm_parameters& p, std::int64_t k,
                                 const double* row) {
    return dots_error(s, p, k, row, 0x1p-24);
}
inline double dots_error_float64(const kernels::gmm_shape& s, const kernels::gmm_parameters& p, std::int64_t k,
                                 const double* row) {
    return dots_error(s, p, k, row, 0x1p-53);
}

struct near_case {
    kernels::gmm_shape shape;
    std::int64_t rows;
    double spread = 1; ///< of the deviations: of components (spherical), of coordinates
    double offset = 0; ///< of the rows before they are normalised
};

/// Parameters whose largest ‖U_kᵀμ_k‖ is `largest`. Component 2 has been dropped, and lies far off.
inline kernels::gmm_parameters parameters_of(const near_case& c, double largest) {
    const kernels::gmm_shape& s = c.shape;
    kernels::gmm_parameters p = random_parameters(s, 1, 21);
    const std::int64_t d = s.dimensions;
    for (std::size_t i = 0; i < p.precision_cholesky.size(); ++i) {
        const auto at = static_cast<std::int64_t>(i);
        const std::int64_t step = gmm::geometry(s.family).spherical() ? at : at % d;
        p.precision_cholesky[i] *= std::pow(c.spread, static_cast<double>(step % 4) / 3);
    }
    p.log_weights[2] = -infinity;
    const std::vector<double> origin(d, 0);
    double most = 0;
    for (std::int64_t k = 0; k < s.components; ++k)
        if (k != 2)
            most = std::max(most, distance(s, p, k, origin.data()));
    for (double& m : p.means)
        m *= largest / most;
    for (std::int64_t j = 0; j < d; ++j)
        p.means[2 * d + j] *= 100;
    return p;
}

/// Rows about the components, before and after normalisation, weights with zeros; a row without weight is so long that
/// its square overflows.
struct near_rows {
    std::vector<float> raw;
    std::vector<double> weights, normalised;
    kernels::frame normalisation;
    near_rows(const near_case& c, const kernels::gmm_parameters& p, element_type type)
        : weights(quarter_weights(c.rows)), normalisation(identity_frame(c.shape.dimensions)) {
        const std::int64_t d = c.shape.dimensions;
        for (std::int64_t j = 0; c.offset != 0 && j < d; ++j) {
            normalisation.centre[j] = c.offset * (1 + static_cast<double>(j % 3));
            normalisation.scale[j] = gmm::geometry(c.shape.family).spherical() ? 4 : std::exp2(j % 5);
        }
        const std::int64_t stride = gmm::geometry(c.shape.family).stride(d);
        for (std::int64_t n = 0; n < c.rows; ++n)
            for (std::int64_t j = 0; j < d; ++j) {
                const std::int64_t k = n % c.shape.components == 2 ? 0 : n % c.shape.components;
                const double u = p.precision_cholesky[k * stride + gmm::geometry(c.shape.family).at(j, j, d)];
                const double x = p.means[k * d + j] + normal(5, n * d + j) / u;
                const double centre = normalisation.centre[j], scale = normalisation.scale[j];
                raw.push_back(weights[n] == 0 ? 1e30f : static_cast<float>(centre + scale * x));
                const double back = (static_cast<double>(raw.back()) - centre) / scale;
                normalised.push_back(type == element_type::float32 ? static_cast<float>(back) : back);
            }
    }
};

/// An engine with these rows and parameters; without products the fused variant alone does the work.
inline std::unique_ptr<kernels::gmm_engine> engine_of(const near_case& c, element_type type,
                                                      const kernels::gmm_parameters& p, const near_rows& data,
                                                      bool products = true) {
    auto engine = kernels::make_gmm_engine(context::cuda(), c.shape, type);
    const std::int64_t d = c.shape.dimensions;
    if (!products)
        dynamic_cast<kernels::cuda::cuda_engine_base&>(*engine).leave_tensor();
    engine->reserve(c.rows, true);
    engine->load({matrix_view<const float>(data.raw.data(), c.rows, d),
                  any_matrix_view(matrix_view<const double>(data.weights.data(), c.rows, 1)), 1},
                 data.normalisation, 0);
    engine->set_parameters(p);
    engine->clear_sums(0x1p40, 0x1p60);
    return engine;
}

inline void expect_near_sums(kernels::gmm_engine& engine, const bounded_sums& want) {
    const std::vector<double> got = engine.sums().values();
    for (std::size_t i = 0; i < got.size(); ++i)
        ASSERT_LE(std::abs(got[i] - want.values[i]), want.bounds[i] + 1e-15) << "sum " << i;
}

inline std::string describe(const near_case& c, double largest, element_type type) {
    return std::string(gmm::to_string(c.shape.family)) + " N=" + std::to_string(c.rows) +
           " d=" + std::to_string(c.shape.dimensions) + " K=" + std::to_string(c.shape.components) +
           " largest=" + std::to_string(largest) + (type == element_type::float32 ? " float32" : " float64");
}

} // namespace elbo::test
