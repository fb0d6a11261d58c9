// Exact answers for linear models: maximum likelihood of probabilistic PCA, densities, the bound of a linear network.
#pragma once

#include "elbo/vae/model.hpp"
#include "kernels/contract/vae_layout.hpp"

#include <cmath>
#include <cstdint>
#include <lapacke.h>
#include <stdexcept>
#include <vector>

namespace elbo::test {

/// A matrix in float64, row-major.
struct dense {
    std::int64_t rows = 0, cols = 0;
    std::vector<double> values;
    double operator()(std::int64_t i, std::int64_t j) const { return values[i * cols + j]; }
    const double* row(std::int64_t i) const { return &values[i * cols]; }
};

/// log N(x; m, C) for the rows of x.
inline std::vector<double> normal_log_density(const dense& x, const std::vector<double>& mean,
                                              std::vector<double> covariance) {
    const auto d = static_cast<lapack_int>(x.cols);
    if (LAPACKE_dpotrf(LAPACK_ROW_MAJOR, 'L', d, covariance.data(), d) != 0)
        throw std::runtime_error("the covariance is not positive definite");
    double log_determinant = 0;
    for (std::int64_t j = 0; j < x.cols; ++j)
        log_determinant += 2 * std::log(covariance[j * x.cols + j]);
    std::vector<double> result;
    for (std::int64_t n = 0; n < x.rows; ++n) {
        std::vector<double> y(x.cols);
        double square = 0;
        for (std::int64_t i = 0; i < x.cols; ++i) {
            y[i] = x(n, i) - mean[i];
            for (std::int64_t j = 0; j < i; ++j)
                y[i] -= covariance[i * x.cols + j] * y[j];
            y[i] /= covariance[i * x.cols + i];
            square += y[i] * y[i];
        }
        result.push_back(-0.5 * (static_cast<double>(x.cols) * std::log(2 * M_PI) + log_determinant + square));
    }
    return result;
}

inline double mean_of(const std::vector<double>& v) {
    double sum = 0;
    for (const double x : v)
        sum += x;
    return sum / static_cast<double>(v.size());
}

/// Maximum likelihood in closed form (Tipping and Bishop 1999): x = A z + m + σ ε, columns of A orthogonal.
struct ppca {
    std::int64_t latent = 0;
    std::vector<double> mean;
    std::vector<double> directions;  ///< [latent x d] unit eigenvectors, largest eigenvalue first
    std::vector<double> eigenvalues; ///< [latent]
    double variance = 0;             ///< σ²
    double log_likelihood = 0;       ///< mean over the rows

    double loading(std::int64_t l, std::int64_t j) const {
        return std::sqrt(eigenvalues[l] - variance) * directions[l * static_cast<std::int64_t>(mean.size()) + j];
    }
    /// A Aᵀ + σ² I.
    std::vector<double> covariance() const {
        const auto d = static_cast<std::int64_t>(mean.size());
        std::vector<double> c(d * d, 0.0);
        for (std::int64_t i = 0; i < d; ++i) {
            for (std::int64_t j = 0; j < d; ++j)
                for (std::int64_t l = 0; l < latent; ++l)
                    c[i * d + j] += loading(l, i) * loading(l, j);
            c[i * d + i] += variance;
        }
        return c;
    }
};

inline ppca fit_ppca(const dense& x, std::int64_t latent) {
    const std::int64_t d = x.cols;
    const auto n = static_cast<double>(x.rows);
    ppca p;
    p.latent = latent;
    p.mean.assign(d, 0);
    for (std::int64_t i = 0; i < x.rows; ++i)
        for (std::int64_t j = 0; j < d; ++j)
            p.mean[j] += x(i, j) / n;
    std::vector<double> scatter(d * d, 0.0), values(d);
    for (std::int64_t i = 0; i < x.rows; ++i)
        for (std::int64_t j = 0; j < d; ++j)
            for (std::int64_t k = 0; k < d; ++k)
                scatter[j * d + k] += (x(i, j) - p.mean[j]) * (x(i, k) - p.mean[k]) / n;
    const auto size = static_cast<lapack_int>(d);
    LAPACKE_dsyev(LAPACK_ROW_MAJOR, 'V', 'U', size, scatter.data(), size, values.data());
    for (std::int64_t l = 0; l < latent; ++l) {
        p.eigenvalues.push_back(values[d - 1 - l]);
        for (std::int64_t j = 0; j < d; ++j)
            p.directions.push_back(scatter[j * d + d - 1 - l]);
    }
    for (std::int64_t l = 0; l < d - latent; ++l)
        p.variance += values[l] / static_cast<double>(d - latent);
    p.log_likelihood = mean_of(normal_log_density(x, p.mean, p.covariance()));
    return p;
}

/// The architecture of a linear network with one learned σ.
inline vae::architecture linear_network(std::int64_t d, std::int64_t latent) {
    vae::architecture a;
    a.dimensions = d;
    a.latent = latent;
    a.encoder = a.decoder = {};
    a.likelihood.family = vae::likelihood_family::gaussian;
    a.likelihood.scale = vae::gaussian_scale::learned;
    return a;
}

/// What the encoder must put out for ln σ² of q to be this.
inline double before_bound(double log_variance) {
    constexpr double limit = vae::latent_log_variance_limit;
    return limit * std::atanh(log_variance / limit);
}

/// The linear network that is the optimum: PPCA's decoder and its exact posterior, diagonal since the columns of A are
/// orthogonal: μ = M⁻¹ Aᵀ (x − m), σ_l² = σ²/λ_l, M = diag(λ_l).
inline vae::model optimal_network(const ppca& p) {
    const auto d = static_cast<std::int64_t>(p.mean.size());
    const vae::architecture a = linear_network(d, p.latent);
    const kernels::vae_layout layout = kernels::make_layout(a);
    std::vector<double> values(layout.parameters, 0.0);
    const kernels::dense_layer &encoder = layout.encoder[0], &decoder = layout.decoder[0];
    for (std::int64_t l = 0; l < p.latent; ++l) {
        for (std::int64_t j = 0; j < d; ++j) {
            const double weight = p.loading(l, j) / p.eigenvalues[l];
            values[encoder.weights + j * encoder.outputs + l] = weight;
            values[encoder.bias + l] -= weight * p.mean[j];
            values[decoder.weights + l * d + j] = p.loading(l, j);
        }
        values[encoder.bias + p.latent + l] = before_bound(std::log(p.variance / p.eigenvalues[l]));
    }
    std::copy(p.mean.begin(), p.mean.end(), values.begin() + decoder.bias);
    values[layout.own] = std::log(p.variance);
    return {a, values};
}

/// J of a linear network without any draws: E_q ‖x − Wᵀz − b‖² = ‖x − Wᵀμ − b‖² + Σ_l σ_l² ‖W_l‖².
inline double exact_bound(const vae::model& m, const dense& x) {
    const kernels::vae_layout layout = kernels::make_layout(m.architecture());
    const std::vector<double>& p = m.parameters();
    const kernels::dense_layer &encoder = layout.encoder[0], &decoder = layout.decoder[0];
    const std::int64_t latent = m.architecture().latent, d = x.cols;
    const double variance = std::pow(m.sigma().front(), 2);
    double total = 0;
    for (std::int64_t n = 0; n < x.rows; ++n) {
        std::vector<double> out(p.begin() + encoder.bias, p.begin() + encoder.bias + 2 * latent);
        for (std::int64_t j = 0; j < d; ++j)
            for (std::int64_t l = 0; l < 2 * latent; ++l)
                out[l] += x(n, j) * p[encoder.weights + j * 2 * latent + l];
        double square = 0, kl = 0;
        for (std::int64_t j = 0; j < d; ++j) {
            double mean = p[decoder.bias + j];
            for (std::int64_t l = 0; l < latent; ++l)
                mean += out[l] * p[decoder.weights + l * d + j];
            square += std::pow(x(n, j) - mean, 2);
        }
        for (std::int64_t l = 0; l < latent; ++l) {
            constexpr double limit = vae::latent_log_variance_limit;
            const double log_variance = limit * std::tanh(out[latent + l] / limit);
            double norm = 0;
            for (std::int64_t j = 0; j < d; ++j)
                norm += std::pow(p[decoder.weights + l * d + j], 2);
            square += std::exp(log_variance) * norm;
            kl += 0.5 * (out[l] * out[l] + std::exp(log_variance) - 1 - log_variance);
        }
        total += -0.5 * (static_cast<double>(d) * std::log(2 * M_PI * variance) + square / variance) - kl;
    }
    return total / static_cast<double>(x.rows);
}

} // namespace elbo::test
