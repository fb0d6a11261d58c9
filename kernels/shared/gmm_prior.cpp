#include "kernels/shared/gmm_prior.hpp"

#include <cmath>

namespace elbo::kernels {

namespace {

using gmm::family_geometry;

/// Adds factor · e eᵀ + Ψ₀ to second moments as the family keeps them: packed upper triangle, [d] or [1].
void add_second_moments(const family_geometry& g, const conjugate_prior& prior, double factor,
                        const std::vector<double>& e, double* second) {
    const auto d = static_cast<std::int64_t>(e.size());
    if (g.matrix()) {
        for (std::int64_t i = 0; i < d; ++i)
            for (std::int64_t j = i; j < d; ++j)
                second[packed_upper(i, j, d)] += factor * e[i] * e[j] + prior.scale[i * d + j];
        return;
    }
    for (std::int64_t j = 0; j < d; ++j)
        second[g.at(j, j, d)] += factor * e[j] * e[j];
    for (std::size_t j = 0; j < prior.scale.size(); ++j)
        second[j] += prior.scale[j];
}

/// ‖Uᵀ (x − μ)‖².
double mahalanobis_squared(const family_geometry& g, std::int64_t d, const double* u, const double* mean,
                           const double* x) {
    double sum = 0;
    for (std::int64_t j = 0; j < d; ++j) {
        double y = 0;
        for (std::int64_t t = g.matrix() ? 0 : j; t <= j; ++t)
            y += u[g.at(t, j, d)] * (x[t] - mean[t]);
        sum += y * y;
    }
    return sum;
}

/// tr(Ψ₀ Λ) with Λ = U Uᵀ.
double scale_trace(const family_geometry& g, std::int64_t d, const std::vector<double>& scale, const double* u) {
    double sum = 0;
    if (!g.matrix()) {
        for (std::size_t j = 0; j < scale.size(); ++j)
            sum += scale[j] * u[j] * u[j];
        return sum;
    }
    for (std::int64_t i = 0; i < d; ++i)
        for (std::int64_t j = i; j < d; ++j) {
            double precision = 0;
            for (std::int64_t c = j; c < d; ++c)
                precision += u[i * d + c] * u[j * d + c];
            sum += (i == j ? 1 : 2) * scale[i * d + j] * precision;
        }
    return sum;
}

} // namespace

double log_determinant(const family_geometry& g, std::int64_t d, const double* u) {
    if (g.spherical())
        return static_cast<double>(d) * std::log(u[0]);
    double sum = 0;
    for (std::int64_t i = 0; i < d; ++i)
        sum += std::log(u[g.at(i, i, d)]);
    return sum;
}

void add_prior_samples(const gmm_shape& shape, const conjugate_prior& prior, const gmm_parameters& current,
                       std::span<double> sums, std::vector<double>& scatter) {
    const std::int64_t d = shape.dimensions, size = statistics_size(shape.family, d);
    const family_geometry g = geometry(shape.family);
    std::vector<double> off(static_cast<std::size_t>(d));
    for (std::int64_t k = 0; k < shape.components; ++k) {
        double* first = &sums[k * size + 1];
        for (std::int64_t j = 0; j < d; ++j) {
            off[j] = prior.mean[j] - current.means[k * d + j];
            first[j] += prior.mean_count * off[j];
        }
        if (!g.tied)
            add_second_moments(g, prior, prior.mean_count, off, first + d);
    }
    if (g.tied)
        add_second_moments(g, prior, static_cast<double>(shape.components) * prior.mean_count, prior.mean,
                           scatter.data());
}

log_prior_value log_prior(const gmm_shape& shape, const conjugate_prior& prior, const gmm_parameters& p) {
    log_prior_value value{prior.log_constant, 0};
    const family_geometry g = geometry(shape.family);
    const std::int64_t d = shape.dimensions;
    const double* u = p.precision_cholesky.data();
    for (std::int64_t k = 0; k < shape.components; ++k) {
        if (prior.weight_count > 0)
            value.total += prior.weight_count * p.log_weights[k];
        value.quadratic +=
            prior.mean_count * mahalanobis_squared(g, d, u + k * g.stride(d), &p.means[k * d], prior.mean.data());
    }
    for (std::int64_t c = 0; c < g.count(shape.components); ++c) {
        value.total += prior.covariance_count * log_determinant(g, d, u + c * g.size(d));
        value.quadratic += scale_trace(g, d, prior.scale, u + c * g.size(d));
    }
    value.total -= 0.5 * value.quadratic;
    return value;
}

} // namespace elbo::kernels
