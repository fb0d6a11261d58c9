#include "host/latent/factors/values.hpp"

#include "elbo/error.hpp"
#include "host/latent/rows.hpp"
#include "host/rows/frame.hpp"
#include "kernels/shared/blas_threads.hpp"

#include <algorithm>
#include <cblas.h>
#include <cmath>
#include <fmt/format.h>
#include <lapacke.h>
#include <numbers>

namespace elbo::latent {

using namespace kernels;

namespace {

/// Ψ^-½ A of component k, [d x L].
std::vector<double> whitened_loadings(const factor_values& v, std::int64_t k) {
    const std::int64_t d = v.shape.dimensions, L = v.shape.latent;
    std::vector<double> b(v.loadings.begin() + k * d * L, v.loadings.begin() + (k + 1) * d * L);
    for (std::int64_t j = 0; j < d; ++j)
        for (std::int64_t l = 0; l < L; ++l)
            b[j * L + l] /= std::sqrt(v.noise[k * d + j]);
    return b;
}

/// Turns the loadings of component k so that Aᵀ Ψ⁻¹ A is diagonal, the largest element first, and the largest number of
/// each column positive.
void turn_loadings(factor_values& v, std::int64_t k) {
    const std::int64_t d = v.shape.dimensions, L = v.shape.latent;
    const auto rows = static_cast<int>(d), size = static_cast<int>(L);
    const std::vector<double> b = whitened_loadings(v, k);
    std::vector<double> gram(L * L, 0), eigenvalues(L);
    cblas_dsyrk(CblasRowMajor, CblasUpper, CblasTrans, size, rows, 1, b.data(), size, 0, gram.data(), size);
    if (LAPACKE_dsyev(LAPACK_ROW_MAJOR, 'V', 'U', size, gram.data(), size, eigenvalues.data()) != 0)
        return; // any rotation is right; this has not been seen to happen
    std::vector<double> turned(d * L);
    cblas_dgemm(CblasRowMajor, CblasNoTrans, CblasNoTrans, rows, size, size, 1, &v.loadings[k * d * L], size,
                gram.data(), size, 0, turned.data(), size);
    for (std::int64_t l = 0; l < L; ++l) {
        const std::int64_t from = L - 1 - l; // LAPACK's order is ascending
        double largest = 0;
        for (std::int64_t j = 0; j < d; ++j)
            if (std::abs(turned[j * L + from]) > std::abs(largest))
                largest = turned[j * L + from];
        for (std::int64_t j = 0; j < d; ++j)
            v.loadings[(k * d + j) * L + l] = largest < 0 ? -turned[j * L + from] : turned[j * L + from];
    }
}

double largest_magnitude(const std::vector<double>& v) {
    double largest = 0;
    for (double x : v)
        largest = std::max(largest, std::abs(x));
    return largest;
}

/// max_l Σ_j |W_jl| over all components: ‖c‖_∞ is at most this times max |δ|.
double largest_column_sum(const latent_parameters& p) {
    const std::int64_t d = p.shape.dimensions, L = p.shape.latent;
    double largest = 0;
    for (std::int64_t k = 0; k < p.shape.components; ++k)
        for (std::int64_t l = 0; l < L; ++l) {
            double sum = 0;
            for (std::int64_t j = 0; j < d; ++j)
                sum += std::abs(p.projections[(k * d + j) * L + l]);
            largest = std::max(largest, sum);
        }
    return largest;
}

/// Bounds of the sums over all rows: of w r times 1, δ, δ² and δ c, and of w times log p(x̃) and H(r).
sum_bounds bounds_of(const latent_parameters& p, double largest, double total_weight) {
    const double delta = largest + largest_magnitude(p.means), c = delta * largest_column_sum(p);
    const double squares = delta * delta * largest_magnitude(p.precisions) * static_cast<double>(p.shape.dimensions) +
                           c * c * static_cast<double>(p.shape.latent);
    const double log_components = std::log(static_cast<double>(p.shape.components));
    double offset = 0; // of a component of weight 0 it is −infinity, but no sum sees that
    for (double o : p.offsets)
        offset = std::isfinite(o) ? std::max(offset, std::abs(o)) : offset;
    return {2 * total_weight * std::max({1.0, delta, delta * delta, delta * c}),
            2 * total_weight * (1 + offset + squares + log_components)};
}

} // namespace

frame factor_frame(factor_kind kind, const std::vector<double>& mean, const std::vector<double>& variance) {
    return gmm::make_frame(kind == factor_kind::ppca ? gmm::family::spherical : gmm::family::diagonal, mean, variance);
}

frame frame_of(const factor_model& m) {
    const std::int64_t d = m.dimensions(), L = m.latent();
    std::vector<double> mean(d, 0), variance(d, 0);
    for (std::int64_t k = 0; k < m.components(); ++k)
        for (std::int64_t j = 0; j < d; ++j)
            mean[j] += m.weights()[k] * m.means()[k * d + j];
    for (std::int64_t k = 0; k < m.components(); ++k) {
        const std::vector<double> noise = m.noise_of(k);
        for (std::int64_t j = 0; j < d; ++j) {
            const double off = m.means()[k * d + j] - mean[j];
            double own = noise[j] + off * off;
            for (std::int64_t l = 0; l < L; ++l)
                own += m.loadings()[(k * d + j) * L + l] * m.loadings()[(k * d + j) * L + l];
            variance[j] += m.weights()[k] * own;
        }
    }
    return factor_frame(m.kind(), mean, variance);
}

factor_values to_frame(const factor_model& m, const frame& f) {
    const std::int64_t d = m.dimensions(), L = m.latent();
    factor_values v{m.kind(), m.own_noise(), {d, m.components(), L}, m.weights(), m.means(), m.loadings(), {}};
    for (std::int64_t k = 0; k < m.components(); ++k) {
        const std::vector<double> noise = m.noise_of(k);
        for (std::int64_t j = 0; j < d; ++j) {
            v.means[k * d + j] = (v.means[k * d + j] - f.centre[j]) / f.scale[j];
            v.noise.push_back(noise[j] / (f.scale[j] * f.scale[j]));
            for (std::int64_t l = 0; l < L; ++l)
                v.loadings[(k * d + j) * L + l] /= f.scale[j];
        }
    }
    return v;
}

factor_model from_frame(const factor_values& values, const frame& f) {
    const one_blas_thread guard;
    factor_values v = values;
    const std::int64_t d = v.shape.dimensions, L = v.shape.latent;
    for (std::int64_t k = 0; k < v.shape.components; ++k) {
        turn_loadings(v, k);
        for (std::int64_t j = 0; j < d; ++j) {
            v.means[k * d + j] = f.centre[j] + f.scale[j] * v.means[k * d + j];
            v.noise[k * d + j] *= f.scale[j] * f.scale[j];
            for (std::int64_t l = 0; l < L; ++l)
                v.loadings[(k * d + j) * L + l] *= f.scale[j];
        }
    }
    // What is common to components or columns is written once.
    v.noise.resize(v.kind == factor_kind::ppca ? 1 : v.own_noise ? v.shape.components * d : d);
    return factor_model(
        {v.kind, d, L, std::move(v.weights), std::move(v.means), std::move(v.loadings), std::move(v.noise)});
}

factor_operators operators_of(const factor_values& v) {
    const one_blas_thread guard;
    const std::int64_t d = v.shape.dimensions, L = v.shape.latent, K = v.shape.components;
    const auto rows = static_cast<int>(d), size = static_cast<int>(L);
    factor_operators o;
    o.pass.shape = v.shape;
    o.pass.means = v.means;
    o.posterior_factors.assign(K * L * L, 0);
    for (std::int64_t k = 0; k < K; ++k) {
        std::vector<double> w = whitened_loadings(v, k);
        double* r = &o.posterior_factors[k * L * L];
        for (std::int64_t l = 0; l < L; ++l)
            r[l * L + l] = 1;
        cblas_dsyrk(CblasRowMajor, CblasLower, CblasTrans, size, rows, 1, w.data(), size, 1, r, size);
        if (LAPACKE_dpotrf(LAPACK_ROW_MAJOR, 'L', size, r, size) != 0)
            throw error(fmt::format("the noise of component {} is too small beside its loadings for float64", k));
        cblas_dtrsm(CblasRowMajor, CblasRight, CblasLower, CblasTrans, CblasNonUnit, rows, size, 1, r, size, w.data(),
                    size);
        double offset = std::log(v.weights[k]) - log_posterior_factor(o, k);
        for (std::int64_t j = 0; j < d; ++j) {
            const double noise = v.noise[k * d + j];
            offset -= 0.5 * std::log(2 * std::numbers::pi * noise);
            o.pass.precisions.push_back(1 / noise);
            for (std::int64_t l = 0; l < L; ++l)
                w[j * L + l] /= std::sqrt(noise);
        }
        o.pass.offsets.push_back(offset);
        o.pass.projections.insert(o.pass.projections.end(), w.begin(), w.end());
    }
    return o;
}

double log_posterior_factor(const factor_operators& o, std::int64_t k) {
    const std::int64_t L = o.pass.shape.latent;
    double sum = 0;
    for (std::int64_t l = 0; l < L; ++l)
        sum += std::log(o.posterior_factors[(k * L + l) * L + l]);
    return sum;
}

std::vector<double> factor_rows::sums(const latent_parameters& p) {
    return sums_of(p, bounds_of(p, largest(), total_weight()));
}

} // namespace elbo::latent
