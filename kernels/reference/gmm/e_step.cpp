// E-step and sums of docs/theory.md section 1, one row after the other.
#include "kernels/reference/gmm/engine.hpp"

#include <algorithm>
#include <cmath>
#include <limits>
#include <numbers>

namespace elbo::kernels::reference {

namespace {

using gmm::family_geometry;

/// Σ_i log U_ii of component k.
double log_determinant(const gmm_shape& s, const std::vector<double>& u, std::int64_t k) {
    const std::int64_t d = s.dimensions;
    const family_geometry g = geometry(s.family);
    double sum = 0;
    for (std::int64_t i = 0; i < d; ++i)
        sum += std::log(u[k * g.stride(d) + g.at(i, i, d)]);
    return sum;
}

/// Second moments of one row about μ̃_k, weighted.
void add_second_moments(const gmm_shape& s, const double* difference, double weight, double* second) {
    const std::int64_t d = s.dimensions;
    const family_geometry g = geometry(s.family);
    for (std::int64_t i = 0; !g.tied && i < d; ++i)
        for (std::int64_t j = i; j < (g.matrix() ? d : i + 1); ++j)
            second[g.matrix() ? packed_upper(i, j, d) : g.at(i, j, d)] += weight * difference[i] * difference[j];
}

} // namespace

parameters with_offsets(const gmm_shape& s, gmm_parameters values) {
    parameters p{std::move(values), std::vector<double>(s.components)};
    for (std::int64_t k = 0; k < s.components; ++k)
        p.offsets[k] = p.values.log_weights[k] + log_determinant(s, p.values.precision_cholesky, k) -
                       0.5 * static_cast<double>(s.dimensions) * std::log(2 * std::numbers::pi);
    return p;
}

double mahalanobis_squared(const gmm_shape& s, const gmm_parameters& p, std::int64_t k, const double* x) {
    const std::int64_t d = s.dimensions;
    const family_geometry g = geometry(s.family);
    const double *mean = &p.means[k * d], *u = &p.precision_cholesky[k * g.stride(d)];
    double sum = 0;
    for (std::int64_t j = 0; j < d; ++j) {
        double y = 0;
        for (std::int64_t t = g.matrix() ? 0 : j; t <= j; ++t)
            y += u[g.at(t, j, d)] * (x[t] - mean[t]);
        sum += y * y;
    }
    return sum;
}

const double* log_factors_of(const row_labels& labels, const parameters& p, std::int64_t n, double* buffer) {
    const std::int64_t K = static_cast<std::int64_t>(p.offsets.size());
    if (labels.labels == nullptr && labels.log_factors == nullptr)
        return nullptr;
    bool some = false;
    for (std::int64_t k = 0; k < K; ++k) {
        if (labels.log_factors)
            buffer[k] = labels.log_factors[n * K + k];
        else
            buffer[k] = labels.labels[n] < 0 || labels.labels[n] == k ? 0 : -std::numeric_limits<double>::infinity();
        some = some || !(std::isinf(buffer[k]) || std::isinf(p.values.log_weights[k]));
    }
    return some ? buffer : nullptr;
}

double row_posterior(const gmm_shape& s, const parameters& p, const double* x, double* lp, double* r,
                     const double* log_factors) {
    double largest = -std::numeric_limits<double>::infinity();
    for (std::int64_t k = 0; k < s.components; ++k) {
        const bool dropped = std::isinf(p.values.log_weights[k]);
        lp[k] = dropped ? p.values.log_weights[k] : p.offsets[k] - 0.5 * mahalanobis_squared(s, p.values, k, x);
        if (log_factors)
            lp[k] += log_factors[k];
        largest = std::max(largest, lp[k]);
    }
    // lse = m + log Σ exp(lp_k − m): terms lie in [0, 1] and the largest is 1, so nothing overflows.
    double sum = 0;
    for (std::int64_t k = 0; k < s.components; ++k)
        sum += r[k] = std::exp(lp[k] - largest);
    for (std::int64_t k = 0; k < s.components; ++k)
        r[k] /= sum;
    return largest + std::log(sum);
}

void accumulate_rows(const gmm_shape& s, const parameters& p, const double* x, const double* weights, std::int64_t rows,
                     double* sums, const row_labels& labels) {
    const std::int64_t d = s.dimensions;
    const std::int64_t size = statistics_size(s.family, d);
    double* scalars = sums + s.components * size;
    std::vector<double> lp(s.components), r(s.components), factors(s.components), difference(d);
    for (std::int64_t n = 0; n < rows; ++n) {
        const double w = weights ? weights[n] : 1;
        if (w == 0)
            continue;
        const double* row = x + n * d;
        const double* log_factors = log_factors_of(labels, p, n, factors.data());
        const double lse = row_posterior(s, p, row, lp.data(), r.data(), log_factors);
        double expected = 0, expected_factor = 0; // Σ r lp, so that H = lse − Σ r lp; Σ r log π
        for (std::int64_t k = 0; k < s.components; ++k) {
            if (r[k] == 0)
                continue;
            expected += r[k] * lp[k];
            expected_factor += log_factors ? r[k] * log_factors[k] : 0;
            double* stats = sums + k * size;
            for (std::int64_t j = 0; j < d; ++j)
                difference[j] = row[j] - p.values.means[k * d + j];
            stats[0] += w * r[k];
            for (std::int64_t j = 0; j < d; ++j)
                stats[1 + j] += w * r[k] * difference[j];
            add_second_moments(s, difference.data(), w * r[k], stats + 1 + d);
        }
        scalars[scalar_log_likelihood] += w * lse;
        scalars[scalar_entropy] += w * (lse - expected);
        scalars[scalar_weight] += w;
        scalars[scalar_log_factors] += w * expected_factor;
    }
}

} // namespace elbo::kernels::reference
