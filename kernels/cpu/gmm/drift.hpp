// How far the parameters of a mixture have moved since its rows were surveyed: what is left of the guards that the
// survey gave them (home_screen.hpp). After Hamerly's bounds for k-means, with distances in the measure of a component.
#pragma once

#include "kernels/contract/gmm_engine.hpp"
#include "kernels/cpu/gmm/kernel_table.hpp"
#include "kernels/shared/threads/parallel.hpp"

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <limits>
#include <utility>
#include <vector>

namespace elbo::kernels::cpu {

/// ‖A‖_F of an upper triangular matrix, and an upper bound of ‖A‖₂: √(‖A‖₁ ‖A‖_∞) if that is less. `columns` is
/// scratch memory.
inline std::pair<double, double> triangle_norms(const double* a, std::int64_t d, std::vector<double>& columns) {
    columns.assign(static_cast<std::size_t>(d), 0);
    double squares = 0, largest_row = 0;
    for (std::int64_t i = 0; i < d; ++i) {
        double row = 0;
        for (std::int64_t j = i; j < d; ++j) {
            const double entry = std::abs(a[i * d + j]);
            squares += entry * entry, row += entry, columns[j] += entry;
        }
        largest_row = std::max(largest_row, row);
    }
    const double frobenius = std::sqrt(squares);
    return {frobenius, std::min(frobenius, std::sqrt(largest_row * std::ranges::max(columns)))};
}

/// The drift of the parameters of one engine.
///
/// With M = U₀⁻¹ U₁ from the factor at the survey to that of now, ‖U₁ᵀ (x − μ₁)‖ ≥ σ ‖U₀ᵀ (x − μ₀)‖ − ‖U₁ᵀ (μ₁ − μ₀)‖,
/// σ ≤ 1 the least singular value of M, of which 1 − ‖M − I‖ is a lower bound. What the kernels compute of each norm is
/// off by relative roundings and by γ ‖U‖_F ‖z‖, γ the slack of d products, of the vector z that they multiply: of full
/// covariances x − μ, which ‖U⁻¹‖_F makes a share of the norm itself; of the tied families x and μ, where ‖x‖ is at
/// most 2 ‖μ‖ + 2 ‖U⁻¹‖_F r, r the reach of the row, as long as γ ‖U‖_F ‖U⁻¹‖_F ≤ ¼.
template <class T>
class parameter_drift {
public:
    explicit parameter_drift(const gmm_shape& shape) : shape_(shape), components_(shape.components) {}

    /// Takes the parameters that rows are surveyed under, and their offsets [components] as the kernels have them.
    void survey(const gmm_parameters& p, const T* offsets, int threads) {
        means_ = p.means, factors_ = p.precision_cholesky;
        offsets_.assign(offsets, offsets + shape_.components);
        inverse_norms_.resize(static_cast<std::size_t>(matrices()));
        const std::int64_t d = shape_.dimensions;
        for_components(matrices(), threads, [&](std::int64_t k, std::vector<double>& x, std::vector<double>& columns) {
            x.assign(static_cast<std::size_t>(d * d), 0);
            for (std::int64_t i = 0; i < d; ++i)
                x[i * d + i] = 1;
            solve_upper(&factors_[k * d * d], x.data());
            inverse_norms_[k] = triangle_norms(x.data(), d, columns).first;
        });
        surveyed_ = true;
    }
    bool surveyed() const { return surveyed_; }

    /// What is left of the guards under parameters p; a scale of 0 if nothing is.
    guard_drift<T> since_survey(const gmm_parameters& p, const T* offsets, int threads) {
        if (!surveyed_)
            return {};
        const bool tied = gmm::is_tied(shape_.family);
        const double slack = rounding_slack<T>(shape_.dimensions);
        for_components(tied ? 1 : shape_.components, threads,
                       [&](std::int64_t k, auto& x, auto& columns) { components_[k] = change_of(p, k, x, columns); });
        drift total{1, 0, components_[0].roundings, components_[0].inverse};
        double rise = -std::numeric_limits<double>::infinity(), norms = 0;
        for (std::int64_t k = 0; k < shape_.components; ++k) {
            if (std::isinf(offsets[k])) // nothing comes under it
                continue;
            const drift& own = components_[tied ? 0 : k];
            const double shift = move_of(p, k);
            if (!(own.scale > 0) || !(shift < std::sqrt(std::numeric_limits<T>::max()) / 4))
                return {};
            total.scale = std::min(total.scale, own.scale);
            total.shift = std::max(total.shift, shift);
            rise = std::max(rise, static_cast<double>(offsets[k]) - static_cast<double>(offsets_[k]));
            if (tied)
                norms = std::max(
                    {norms, norm_of(&p.means[k * shape_.dimensions]), norm_of(&means_[k * shape_.dimensions])});
        }
        if (!(total.scale > 0) || !(rise < std::numeric_limits<T>::max()))
            return {};
        if (!tied)
            return {static_cast<T>(total.scale * (1 - slack)), static_cast<T>(total.shift * (1 + slack)), 0,
                    static_cast<T>(rise)};
        return {static_cast<T>(total.scale * (1 - slack)),
                static_cast<T>((total.shift + 3 * total.roundings * norms) * (1 + slack)),
                static_cast<T>(2 * total.roundings * total.inverse * (1 + slack)), static_cast<T>(rise)};
    }

    static std::int64_t bytes(const gmm_shape& s, int threads) {
        const gmm::family_geometry g = geometry(s.family);
        const std::int64_t d = s.dimensions, factors = g.count(s.components) * g.size(d);
        return 8 * (s.components * (d + 6) + factors + (g.matrix() ? threads * (d * d + d) : 0));
    }

private:
    /// Of a component: σ, less a share for roundings; ‖U₁ᵀ (μ₁ − μ₀)‖; of tied families γ (‖U₀‖_F + ‖U₁‖_F) and
    /// ‖U₁⁻¹‖_F.
    struct drift {
        double scale = 0, shift = 0, roundings = 0, inverse = 0;
    };

    bool has_matrices() const { return geometry(shape_.family).matrix(); }
    std::int64_t matrices() const { return has_matrices() ? geometry(shape_.family).count(shape_.components) : 0; }

    /// Calls f(k, x, columns) for some components, on several threads, with scratch memory.
    template <class F>
    void for_components(std::int64_t count, int threads, const F& f) {
        scratch_.resize(static_cast<std::size_t>(threads));
        parallel_for(has_matrices() ? threads : 1, count,
                     [&](std::int64_t k, int thread) { f(k, scratch_[thread].first, scratch_[thread].second); });
    }

    /// X ← U⁻¹ X of upper triangular U and X, [d x d].
    void solve_upper(const double* u, double* x) const {
        const std::int64_t d = shape_.dimensions;
        for (std::int64_t i = d - 1; i >= 0; --i) {
            for (std::int64_t t = i + 1; t < d; ++t)
                for (std::int64_t j = t; j < d; ++j)
                    x[i * d + j] -= u[i * d + t] * x[t * d + j];
            for (std::int64_t j = i; j < d; ++j)
                x[i * d + j] /= u[i * d + i];
        }
    }

    double norm_of(const double* mean) const {
        double sum = 0;
        for (std::int64_t j = 0; j < shape_.dimensions; ++j)
            sum += mean[j] * mean[j];
        return std::sqrt(sum);
    }

    /// ‖U₁ᵀ (μ₁ − μ₀)‖ of component k.
    double move_of(const gmm_parameters& p, std::int64_t k) const {
        const std::int64_t d = shape_.dimensions;
        const gmm::family_geometry g = geometry(shape_.family);
        const double* u = p.precision_cholesky.data() + k * g.stride(d);
        double sum = 0;
        for (std::int64_t j = 0; j < d; ++j) {
            double y = 0;
            for (std::int64_t i = g.matrix() ? 0 : j; i <= j; ++i)
                y += u[g.at(i, j, d)] * (p.means[k * d + i] - means_[k * d + i]);
            sum += y * y;
        }
        return std::sqrt(sum);
    }

    /// All but the shift, of one factor.
    drift change_of(const gmm_parameters& p, std::int64_t k, std::vector<double>& x, std::vector<double>& columns) {
        const std::int64_t d = shape_.dimensions;
        const gmm::family_geometry g = geometry(shape_.family);
        const double *before = factors_.data() + k * g.stride(d), *now = p.precision_cholesky.data() + k * g.stride(d);
        const double slack = rounding_slack<T>(d);
        drift of{1, 0, 0, 0};
        double norms[2] = {}, condition = 0;
        if (g.matrix()) {
            x.assign(now, now + d * d);
            norms[0] = triangle_norms(before, d, columns).first, norms[1] = triangle_norms(now, d, columns).first;
            for (std::int64_t i = 0; i < d * d; ++i)
                x[i] -= before[i];
            solve_upper(before, x.data());
            of.scale = 1 - triangle_norms(x.data(), d, columns).second;
            of.inverse = inverse_norms_[k] / of.scale;
            condition = g.tied ? 0 : (norms[0] + norms[1]) * of.inverse;
        } else {
            double inverses = 0;
            for (std::int64_t j = 0; j < d; ++j) {
                const double u0 = before[g.at(j, j, d)], u1 = now[g.at(j, j, d)];
                of.scale = u1 / u0 < of.scale ? u1 / u0 : of.scale;
                norms[0] += u0 * u0, norms[1] += u1 * u1, inverses += 1 / (u1 * u1);
            }
            norms[0] = std::sqrt(norms[0]), norms[1] = std::sqrt(norms[1]), of.inverse = std::sqrt(inverses);
        }
        of.roundings = slack * (norms[0] + norms[1]);
        of.scale *= 1 - 2 * slack - slack * condition;
        return !g.tied || of.roundings * of.inverse <= 0.25 ? of : drift{};
    }

    gmm_shape shape_;
    bool surveyed_ = false;
    std::vector<double> means_, factors_, inverse_norms_; ///< at the survey
    std::vector<T> offsets_;
    std::vector<drift> components_;
    std::vector<std::pair<std::vector<double>, std::vector<double>>> scratch_; ///< a matrix and a row, of each thread
};

} // namespace elbo::kernels::cpu
