// Parameters of a mixture in the layout of the kernels.
#pragma once

#include "kernels/contract/gmm_engine.hpp"
#include "kernels/cpu/core/workspace.hpp"
#include "kernels/cpu/gmm/drift.hpp"
#include "kernels/cpu/gmm/kernel_table.hpp"
#include "kernels/shared/threads/parallel.hpp"

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <limits>
#include <numbers>
#include <vector>

namespace elbo::kernels::cpu {

template <class T>
class packed_model {
public:
    packed_model() = default;
    packed_model(const gmm_shape& shape, const kernel_table<T>& kernels, std::int64_t block_rows)
        : shape_(shape), kernels_(&kernels), means_(shape.components * shape.dimensions),
          factors_(factor_numbers(shape)),
          centres_(gmm::is_tied(shape.family) ? shape.components * shape.dimensions : 0),
          whitener_(whitener_numbers(shape)), offsets_(near_stride(shape.components)),
          separations_(separation_numbers(shape)), stretches_(stretch_numbers(shape)),
          separating_(strips_of(shape.components) * separating_numbers(shape)),
          factor_norms_(static_cast<std::size_t>(near_stride(shape.components))),
          exact_offsets_(static_cast<std::size_t>(shape.components)), drift_(shape) {
        const bool tied = gmm::is_tied(shape.family);
        view_.family = shape.family;
        view_.dimensions = shape.dimensions;
        view_.components = shape.components;
        view_.block_rows = block_rows;
        view_.span_rows = choose_span_rows(shape, sizeof(T));
        view_.means = means_.data();
        view_.factors = factors_.data();
        view_.centres = tied ? centres_.data() : means_.data();
        view_.whitener = tied ? whitener_.data() : nullptr;
        view_.offsets = offsets_.data();
        view_.threshold = static_cast<T>(24 * std::numbers::ln2 + std::log(static_cast<double>(shape.components)));
        view_.triangle = triangle_size(shape.dimensions);
        view_.statistics = statistics_size(shape.family, shape.dimensions);
        view_.stretches = stretches_.data();
        view_.stretch_stride = shape.family == family::diagonal ? near_stride(shape.components) : 0;
    }

    /// Takes parameters that T represents exactly (round_parameters).
    void pack(const gmm_parameters& p) {
        std::ranges::transform(p.means, means_.data(), [](double m) { return static_cast<T>(m); });
        if (gmm::is_tied(shape_.family))
            pack_common_factor(p);
        else
            pack_factors(p.precision_cholesky);
        pack_offsets(p);
        view_.separations = nullptr;
        view_.drift = {};
    }

    /// Whether the next pass gives rows guards; it starts from none. `p` as packed last.
    void begin_survey(const gmm_parameters& p, int threads) {
        drift_.survey(p, offsets_.data(), threads);
        view_.drift = {};
        view_.surveys = true;
    }
    void end_survey() { view_.surveys = false; }
    /// Finds model_view::drift; `p` as packed last.
    void find_drift(const gmm_parameters& p, int threads) {
        view_.drift = drift_.since_survey(p, offsets_.data(), threads);
    }

    /// Finds model_view::separations and the stretches that belong to them for the parameters taken last, on several
    /// threads; the separations are null after pack(). Very many components have none.
    void find_separations(int threads) {
        if (!separates(shape_) || view_.separations != nullptr)
            return;
        const bool tied = gmm::is_tied(shape_.family), spherical = shape_.family == family::spherical;
        const double slack = rounding_slack<T>(shape_.dimensions);
        for (std::int64_t k = 0; k < shape_.components && (tied || spherical); ++k)
            stretches_[k] = static_cast<T>((tied ? 1 : std::sqrt(static_cast<double>(factors_[k]))) * (1 + slack));
        parallel_for(shape_.components > 32 ? threads : 1, strips_of(shape_.components),
                     [&](std::int64_t strip, int) { separate_strip(strip); });
        view_.separations = separations_.data();
    }

    const model_view<T>& view() const { return view_; }
    static std::int64_t bytes(const gmm_shape& s, int threads) {
        const std::int64_t vectors = gmm::is_tied(s.family) ? 2 : 1;
        return aligned_array<T>::bytes(vectors * s.components * s.dimensions + factor_numbers(s) + whitener_numbers(s) +
                                       separation_numbers(s) + stretch_numbers(s) + near_stride(s.components) +
                                       strips_of(s.components) * separating_numbers(s)) +
               (near_stride(s.components) + s.components) * 8 +
               (separates(s) ? parameter_drift<T>::bytes(s, threads) : 0);
    }

private:
    using family = gmm::family;

    static std::int64_t factor_numbers(const gmm_shape& s) {
        return s.family == family::full ? s.components * triangle_size(s.dimensions)
                                        : s.components * geometry(s.family).stride(s.dimensions);
    }

    static std::int64_t whitener_numbers(const gmm_shape& s) {
        if (!gmm::is_tied(s.family))
            return 0;
        return s.family == family::tied ? triangle_size(s.dimensions) : s.dimensions;
    }

    static bool separates(const gmm_shape& s) { return separates_components(s.family, s.dimensions, s.components); }
    static std::int64_t separation_numbers(const gmm_shape& s) {
        return separates(s) ? s.components * near_stride(s.components) : 0;
    }
    static std::int64_t stretch_numbers(const gmm_shape& s) {
        if (!separates(s))
            return 0;
        return (s.family == family::diagonal ? s.components : 1) * near_stride(s.components);
    }

    static std::int64_t strips_of(std::int64_t components) { return (components + strip_rows - 1) / strip_rows; }
    /// For a strip of components: their centres, scratch memory, and what kernel_table::separate finds.
    static std::int64_t separating_numbers(const gmm_shape& s) {
        return separates(s) ? strip_rows * 2 * (s.dimensions + s.components) : 0;
    }

    void pack_factors(const std::vector<double>& u) {
        const std::int64_t d = shape_.dimensions;
        for (std::int64_t k = 0; k < shape_.components; ++k)
            switch (shape_.family) {
            case family::full:
                kernels_->pack_triangle(&u[k * d * d], family::full, d, factors_.data() + k * view_.triangle);
                if (separates(shape_)) {
                    const auto [frobenius, spectral] = triangle_norms(&u[k * d * d], d, column_sums_);
                    const double slack = rounding_slack<T>(d);
                    factor_norms_[k] = frobenius;
                    stretches_[k] = static_cast<T>((spectral + slack * frobenius) * (1 + slack));
                }
                break;
            case family::diagonal:
                for (std::int64_t j = 0; j < d; ++j)
                    factors_[k * d + j] = static_cast<T>(u[k * d + j]);
                break;
            default:
                factors_[k] = static_cast<T>(u[k] * u[k]);
            }
    }

    void pack_common_factor(const gmm_parameters& p) {
        const std::int64_t d = shape_.dimensions;
        const std::vector<double>& u = p.precision_cholesky;
        const auto diagonal = [&](std::int64_t j) { return u[geometry(shape_.family).at(j, j, d)]; };
        if (shape_.family == family::tied)
            kernels_->pack_triangle(u.data(), family::tied, d, whitener_.data());
        else
            for (std::int64_t j = 0; j < d; ++j)
                whitener_[j] = static_cast<T>(diagonal(j));
        for (std::int64_t k = 0; k < shape_.components; ++k)
            for (std::int64_t j = 0; j < d; ++j) {
                const double* mean = &p.means[k * d];
                double sum = 0;
                if (shape_.family == family::tied)
                    for (std::int64_t t = 0; t <= j; ++t)
                        sum += u[t * d + j] * mean[t];
                else
                    sum = diagonal(j) * mean[j];
                centres_[k * d + j] = static_cast<T>(sum);
            }
    }

    void pack_offsets(const gmm_parameters& p) {
        const std::int64_t d = shape_.dimensions;
        const gmm::family_geometry g = geometry(shape_.family);
        const double* u = p.precision_cholesky.data();
        const auto log_determinant_of = [&](std::int64_t k) {
            double sum = 0;
            for (std::int64_t i = 0; i < d; ++i)
                sum += std::log(u[k * g.stride(d) + g.at(i, i, d)]);
            return sum;
        };
        const bool tied = g.tied;
        const double common = tied ? log_determinant_of(0) : 0;
        double largest = -std::numeric_limits<double>::infinity();
        for (std::int64_t k = 0; k < shape_.components; ++k) {
            const bool dropped = std::isinf(p.log_weights[k]);
            const double c = p.log_weights[k] - 0.5 * static_cast<double>(d) * std::log(2 * std::numbers::pi);
            exact_offsets_[k] = dropped ? p.log_weights[k] : c + (tied ? common : log_determinant_of(k));
            largest = std::max(largest, exact_offsets_[k]);
        }
        view_.reference_offset = largest;
        for (std::int64_t k = 0; k < shape_.components; ++k)
            offsets_[k] = static_cast<T>(exact_offsets_[k] - largest);
        for (std::int64_t k = shape_.components; k < offsets_.size(); ++k)
            offsets_[k] = -std::numeric_limits<T>::infinity();
    }

    /// Separations of the components of a strip from all others.
    ///
    /// With z = x − μ_k = (x − μ_a) + (μ_a − μ_k), ‖Uᵀ z‖ ≥ ‖Uᵀ (μ_a − μ_k)‖ − ρ r, where r is the row's reach and ρ
    /// how much longer U_kᵀ makes it at most: of full and spherical covariances r = ‖x − μ_a‖ and ρ = ‖U_k‖₂, of the
    /// others r = ‖U_aᵀ (x − μ_a)‖ and ρ the largest s_k / s_a, tied 1. What the kernels compute of each norm is off by
    /// relative roundings and, of full covariances, for the cancellation inside the products, by at most γ ‖U‖_F ‖z‖
    /// with γ the slack of d products: of the separation by γ ‖U‖_F ‖μ_a − μ_k‖, of the row by as much and γ ‖U‖_F ‖x −
    /// μ_a‖, which is in the stretch.
    void separate_strip(std::int64_t strip) {
        const std::int64_t d = shape_.dimensions, components = shape_.components, first = strip * strip_rows;
        const std::int64_t count = std::min(strip_rows, components - first), stride = near_stride(components);
        const bool full = shape_.family == family::full, diagonal = shape_.family == family::diagonal;
        T* centres = separating_.data() + strip * separating_numbers(shape_);
        T *z = centres + strip_rows * d, *squares = z + strip_rows * d, *lengths = squares + strip_rows * components;
        for (std::int64_t i = 0; i < count; ++i)
            for (std::int64_t j = 0; j < d; ++j) {
                centres[j * strip_rows + i] = view_.centres[(first + i) * d + j];
                if (diagonal)
                    z[j * strip_rows + i] = 1 / factors_[(first + i) * d + j];
            }
        kernels_->separate(view_, centres, z, squares, lengths);
        const double slack = rounding_slack<T>(d), far = std::sqrt(std::numeric_limits<T>::max()) / 4;
        for (std::int64_t i = 0; i < count; ++i) {
            T* row = separations_.data() + (first + i) * stride;
            for (std::int64_t k = 0; k < components; ++k) {
                const std::int64_t at = k * strip_rows + i;
                const double scale = shape_.family == family::spherical ? static_cast<double>(factors_[k]) : 1;
                double separation = std::sqrt(static_cast<double>(squares[at]) * scale) * (1 - slack);
                if (full)
                    separation -= 2 * slack * factor_norms_[k] * std::sqrt(static_cast<double>(lengths[at]));
                if (diagonal)
                    stretches_[(first + i) * stride + k] = lengths[at] * static_cast<T>(1 + slack);
                row[k] = static_cast<T>(std::isinf(offsets_[k]) ? far : std::min(separation * (1 - slack), far));
            }
            std::fill(row + components, row + stride, static_cast<T>(far));
        }
    }

    gmm_shape shape_;
    const kernel_table<T>* kernels_ = nullptr;
    aligned_array<T> means_, factors_, centres_, whitener_, offsets_, separations_, stretches_;
    aligned_array<T> separating_;      ///< scratch memory of find_separations
    std::vector<double> factor_norms_; ///< ‖U_k‖_F
    std::vector<double> column_sums_;  ///< scratch memory of pack_factors
    std::vector<double> exact_offsets_;
    parameter_drift<T> drift_;
    model_view<T> view_{};
};

/// Rounds means and factors to T: what is computed with is what is reported.
template <class T>
void round_parameters(gmm_parameters& p) {
    for (double& m : p.means)
        m = static_cast<double>(static_cast<T>(m));
    for (double& u : p.precision_cholesky)
        u = static_cast<double>(static_cast<T>(u));
}

} // namespace elbo::kernels::cpu
