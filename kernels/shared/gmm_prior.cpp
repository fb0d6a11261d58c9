#include "kernels/shared/gmm_prior.hpp"

#include "kernels/math/collapse.hpp"

#include <cmath>

namespace elbo::kernels {

namespace {

using gmm::family;

bool has_matrix(family f) {
    return f == family::full || f == family::tied;
}

/// Adds factor · e eᵀ + Ψ₀ to second moments as the family keeps them: packed upper triangle, [d] or [1].
void add_second_moments(const conjugate_prior& prior, bool matrix, double factor, const std::vector<double>& e,
                        double* second) {
    const auto d = static_cast<std::int64_t>(e.size());
    if (matrix) {
        for (std::int64_t i = 0; i < d; ++i)
            for (std::int64_t j = i; j < d; ++j)
                second[packed_upper(i, j, d)] += factor * e[i] * e[j] + prior.scale[i * d + j];
        return;
    }
    const bool one = prior.scale.size() == 1;
    for (std::int64_t j = 0; j < d; ++j)
        second[one ? 0 : j] += factor * e[j] * e[j];
    for (std::size_t j = 0; j < prior.scale.size(); ++j)
        second[j] += prior.scale[j];
}

/// Σ_i log U_ii of one factor, ½ log |Λ|.
double log_determinant(const gmm_shape& s, const double* u) {
    const std::int64_t d = s.dimensions;
    if (s.family == family::spherical || s.family == family::tied_spherical)
        return static_cast<double>(d) * std::log(u[0]);
    double sum = 0;
    for (std::int64_t i = 0; i < d; ++i)
        sum += std::log(u[has_matrix(s.family) ? i * d + i : i]);
    return sum;
}

/// ‖Uᵀ (x − μ)‖².
double mahalanobis_squared(const gmm_shape& s, const double* u, const double* mean, const double* x) {
    const std::int64_t d = s.dimensions;
    const bool matrix = has_matrix(s.family), one = factor_size(s.family, d) == 1;
    double sum = 0;
    for (std::int64_t j = 0; j < d; ++j) {
        double y = 0;
        for (std::int64_t t = matrix ? 0 : j; t <= j; ++t)
            y += u[matrix ? t * d + j : one ? 0 : j] * (x[t] - mean[t]);
        sum += y * y;
    }
    return sum;
}

/// tr(Ψ₀ Λ) with Λ = U Uᵀ.
double scale_trace(const gmm_shape& s, const std::vector<double>& scale, const double* u) {
    const std::int64_t d = s.dimensions;
    double sum = 0;
    if (!has_matrix(s.family)) {
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

void add_prior_samples(const gmm_shape& shape, const conjugate_prior& prior, const gmm_parameters& current,
                       std::span<double> sums, std::vector<double>& scatter) {
    const std::int64_t d = shape.dimensions, size = statistics_size(shape.family, d);
    const bool matrix = has_matrix(shape.family);
    std::vector<double> off(static_cast<std::size_t>(d));
    for (std::int64_t k = 0; k < shape.components; ++k) {
        double* first = &sums[k * size + 1];
        for (std::int64_t j = 0; j < d; ++j) {
            off[j] = prior.mean[j] - current.means[k * d + j];
            first[j] += prior.mean_count * off[j];
        }
        if (!gmm::is_tied(shape.family))
            add_second_moments(prior, matrix, prior.mean_count, off, first + d);
    }
    if (gmm::is_tied(shape.family))
        add_second_moments(prior, matrix, static_cast<double>(shape.components) * prior.mean_count, prior.mean,
                           scatter.data());
}

log_prior_value log_prior(const gmm_shape& shape, const conjugate_prior& prior, const gmm_parameters& p) {
    log_prior_value value{prior.log_constant, 0};
    const std::int64_t covariances = gmm::is_tied(shape.family) ? 1 : shape.components;
    const auto factor = [&](std::int64_t k) {
        return p.precision_cholesky.data() + (covariances == 1 ? 0 : k * factor_size(shape.family, shape.dimensions));
    };
    for (std::int64_t k = 0; k < shape.components; ++k) {
        if (prior.weight_count > 0)
            value.total += prior.weight_count * p.log_weights[k];
        value.quadratic +=
            prior.mean_count * mahalanobis_squared(shape, factor(k), &p.means[k * shape.dimensions], prior.mean.data());
    }
    for (std::int64_t k = 0; k < covariances; ++k) {
        value.total += prior.covariance_count * log_determinant(shape, factor(k));
        value.quadratic += scale_trace(shape, prior.scale, factor(k));
    }
    value.total -= 0.5 * value.quadratic;
    return value;
}

} // namespace elbo::kernels
