// Error bounds of the E-step and of the sufficient statistics, from the arithmetic alone.
//
// log p of a row: docs/kernels.md section 5 gives 4u·(√q ‖U_k‖₂ (‖x̃‖ + ‖μ̃_k‖) + d + q) for arithmetic with unit
// roundoff u (2^-24 for float32: 2^-22 = 4u): rounding of x̃ and of the difference reach q through U, the products and
// the sum of d squares through d + q; |c_k| is rounded once. ‖U_k‖_F stands for ‖U_k‖₂. The exponential and the
// logarithm add a few u.
#pragma once

#include "kernels/contract/gmm_layout.hpp"
#include "kernels/math/fixed_point.hpp"
#include "kernels/reference/gmm/engine.hpp"

#include <algorithm>
#include <cmath>
#include <vector>

namespace elbo::test {

/// Reference values of one set of rows with a bound for each.
struct bounded_sums {
    std::vector<double> values, bounds; ///< [sum_count]
    std::vector<double> log_density, log_density_bound;
    std::vector<double> responsibilities, responsibility_bound;
};

inline double norm(const double* x, std::int64_t n) {
    double sum = 0;
    for (std::int64_t i = 0; i < n; ++i)
        sum += x[i] * x[i];
    return std::sqrt(sum);
}

/// ‖U_k‖_F.
inline double factor_norm(const kernels::gmm_shape& s, const kernels::gmm_parameters& p, std::int64_t k) {
    const std::int64_t d = s.dimensions;
    const double* u = p.precision_cholesky.data();
    switch (s.family) {
    case gmm::family::full:
        return norm(u + k * d * d, d * d);
    case gmm::family::tied:
        return norm(u, d * d);
    case gmm::family::diagonal:
        return norm(u + k * d, d);
    case gmm::family::tied_diagonal:
        return norm(u, d);
    case gmm::family::spherical:
        return u[k] * std::sqrt(static_cast<double>(d));
    case gmm::family::tied_spherical:
        return u[0] * std::sqrt(static_cast<double>(d));
    }
    return 0;
}

/// What the statistics of component k may be off by one row: the relative error of w r, and the rounding of x̃ itself.
/// Where they come from sums about the origin, what counts is not the difference of x̃ and mean but the size of both.
inline void add_statistics_bounds(const kernels::gmm_shape& s, const kernels::gmm_parameters& parameters,
                                  const double* row, std::int64_t k, double rounded, double relative, bool about_origin,
                                  double* bound) {
    const std::int64_t d = s.dimensions;
    std::vector<double> difference(d);
    bound[0] += relative;
    for (std::int64_t j = 0; j < d; ++j) {
        const double mean = parameters.means[k * d + j];
        difference[j] = about_origin ? std::abs(row[j]) + std::abs(mean) : std::abs(row[j] - mean);
        bound[1 + j] += relative * difference[j] + rounded * std::abs(row[j]);
    }
    const auto rounding = [&](std::int64_t i, std::int64_t j) {
        return relative * difference[i] * difference[j] +
               rounded * (std::abs(row[i]) * difference[j] + std::abs(row[j]) * difference[i]);
    };
    for (std::int64_t i = 0; i < d; ++i) {
        if (s.family == gmm::family::diagonal)
            bound[1 + d + i] += rounding(i, i);
        if (s.family == gmm::family::spherical)
            bound[1 + d] += rounding(i, i);
        for (std::int64_t j = i; s.family == gmm::family::full && j < d; ++j)
            bound[1 + d + kernels::packed_upper(i, j, d)] += rounding(i, j);
    }
}

/// How an engine departs from the bounds above.
struct arithmetic_form {
    /// Roundings, in units of u, of a sum and its terms: a chain of at most 64 float additions and the products.
    double chain = 70;
    /// Bound of the error of lp_k of a row that comes beside that of the differences; or null.
    double (*density_error)(const kernels::gmm_shape&, const kernels::gmm_parameters&, std::int64_t k,
                            const double* row) = nullptr;
    /// Distances and sums of x̃ about the origin.
    bool about_origin = false;
};

/// Sums over rows x̃ [rows x d] under p, with bounds for an engine whose unit roundoff is u. log π is rounded once, as
/// c_k is.
inline bounded_sums reference_sums(const kernels::gmm_shape& s, const kernels::gmm_parameters& parameters,
                                   const std::vector<double>& x, const std::vector<double>& weights, double u,
                                   const kernels::reference::row_labels& labels = {},
                                   const arithmetic_form& form = {}) {
    using namespace kernels;
    const std::int64_t d = s.dimensions, K = s.components, size = statistics_size(s.family, d);
    const std::int64_t rows = static_cast<std::int64_t>(x.size()) / d;
    const auto p = reference::with_offsets(s, parameters);
    bounded_sums result{std::vector<double>(sum_count(s), 0), std::vector<double>(sum_count(s), 0), {}, {}, {}, {}};
    std::vector<double> lp(K), r(K), buffer(K);
    // What lies below 2^-24 of a row's largest term may be left out (active set).
    const double left_out = 0x1p-24;
    for (std::int64_t n = 0; n < rows; ++n) {
        const double w = weights.empty() ? 1 : weights[n];
        const double* row = &x[n * d];
        const double* log_factors = reference::log_factors_of(labels, p, n, buffer.data());
        const auto log_factor = [&](std::int64_t k) {
            return log_factors && std::isfinite(log_factors[k]) ? log_factors[k] : 0;
        };
        const double lse = reference::row_posterior(s, p, row, lp.data(), r.data(), log_factors);
        // Differences of log densities matter for r: the largest error among the components that count.
        double error = 0, expected = 0, factors = 0, largest_factor = 0;
        for (std::int64_t k = 0; k < K; ++k) {
            if (!(r[k] > 1e-12))
                continue;
            const double q = reference::mahalanobis_squared(s, parameters, k, row);
            const double reach = norm(row, d) + norm(&parameters.means[k * d], d);
            error = std::max(error, 4 * u *
                                        (std::sqrt(q) * factor_norm(s, parameters, k) * reach + static_cast<double>(d) +
                                         q + std::abs(p.offsets[k]) + std::abs(log_factor(k)) + std::abs(lp[k])));
            if (form.density_error)
                error = std::max(error, form.density_error(s, parameters, k, row));
            expected += r[k] * std::abs(lp[k] - lse);
            factors += r[k] * std::abs(log_factor(k));
        }
        for (std::int64_t k = 0; k < K; ++k)
            largest_factor = std::max(largest_factor, std::abs(log_factor(k)));
        error += 8 * u;
        result.log_density.push_back(lse);
        result.log_density_bound.push_back(error + left_out);
        for (std::int64_t k = 0; k < K; ++k) {
            result.responsibilities.push_back(r[k]);
            result.responsibility_bound.push_back(r[k] * 4 * error + left_out);
        }
        if (w == 0)
            continue;
        // A sum: r is off by 2·error relative (numerator and denominator), the products and a chain of additions by
        // form.chain u, and r left out altogether by 2^-24.
        for (std::int64_t k = 0; k < K; ++k) {
            const double relative = r[k] * (4 * error + form.chain * u) + left_out;
            add_statistics_bounds(s, parameters, row, k, w * r[k] * 2 * u, w * relative, form.about_origin,
                                  &result.bounds[k * size]);
        }
        result.bounds[K * size + scalar_log_likelihood] += w * (error + left_out + 70 * u * std::abs(lse));
        // H = lse − Σ r lp: each r is off by 4·error, times how far lp lies from lse.
        result.bounds[K * size + scalar_entropy] +=
            w * (2 * error + 4 * error * expected + 40 * left_out + 70 * u * (std::abs(lse) + 1));
        result.bounds[K * size + scalar_weight] += w * 70 * u;
        result.bounds[K * size + scalar_log_factors] +=
            w * ((4 * error + 70 * u) * factors + left_out * largest_factor);
    }
    reference::accumulate_rows(s, p, x.data(), weights.empty() ? nullptr : weights.data(), rows, result.values.data(),
                               labels);
    return result;
}

/// Limbs after the carries, so that equal sums compare equal.
inline std::vector<std::int64_t> carried(kernels::fixed_sums sums) {
    for (std::int64_t i = 0; i < sums.count(); ++i)
        kernels::carry_fixed(sums.limbs.data(), sums.count(), i);
    return sums.limbs;
}

} // namespace elbo::test
