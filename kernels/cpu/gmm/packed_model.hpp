// Parameters of a mixture in the layout of the kernels.
#pragma once

#include "kernels/contract/gmm_engine.hpp"
#include "kernels/cpu/core/workspace.hpp"
#include "kernels/cpu/gmm/kernel_table.hpp"
#include "kernels/shared/threads/parallel.hpp"

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <limits>
#include <numbers>
#include <utility>
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
          whitener_(whitener_numbers(shape)), offsets_(near_stride(shape.components)), radii_(radius_numbers(shape)),
          stretches_(has_separations(shape) ? near_stride(shape.components) : 0),
          separating_(strips_of(shape.components) * separating_numbers(shape)),
          factor_norms_(static_cast<std::size_t>(stretches_.size())),
          exact_offsets_(static_cast<std::size_t>(shape.components)) {
        const bool tied = gmm::is_tied(shape.family);
        view_.family = shape.family;
        view_.dimensions = shape.dimensions;
        view_.components = shape.components;
        view_.block_rows = block_rows;
        view_.means = means_.data();
        view_.factors = factors_.data();
        view_.centres = tied ? centres_.data() : means_.data();
        view_.whitener = tied ? whitener_.data() : nullptr;
        view_.offsets = offsets_.data();
        view_.threshold = static_cast<T>(24 * std::numbers::ln2 + std::log(static_cast<double>(shape.components)));
        view_.triangle = triangle_size(shape.dimensions);
        view_.statistics = statistics_size(shape.family, shape.dimensions);
    }

    /// Takes parameters that T represents exactly (round_parameters).
    void pack(const gmm_parameters& p) {
        std::ranges::transform(p.means, means_.data(), [](double m) { return static_cast<T>(m); });
        if (gmm::is_tied(shape_.family))
            pack_common_factor(p);
        else
            pack_factors(p.precision_cholesky);
        pack_offsets(p);
        view_.radii = view_.separations = nullptr;
    }

    /// Finds model_view::radii, of full covariances separations and stretches, for the parameters taken last, on
    /// several threads; they are null after pack(). Very many components have none.
    void find_radii(int threads) {
        if (radii_.size() == 0 || view_.radii != nullptr || view_.separations != nullptr)
            return;
        if (has_separations(shape_))
            return find_separations(threads);
        const std::int64_t components = shape_.components;
        constexpr double largest = std::numeric_limits<T>::max();
        parallel_for(components > 32 ? threads : 1, components, [&](std::int64_t a, int) {
            // The kernels compare ‖x − μ‖² of spherical components before they scale it.
            const double scale = shape_.family == family::spherical ? static_cast<double>(factors_[a]) : 1;
            for (std::int64_t k = 0; k < components; ++k) {
                const double radius = std::isinf(offsets_[a])   ? 0
                                      : std::isinf(offsets_[k]) ? largest
                                                                : near_radius(a, k);
                radii_[a * components + k] = static_cast<T>(std::min(radius * radius / scale, largest));
            }
        });
        view_.radii = radii_.data();
    }

    const model_view<T>& view() const { return view_; }
    static std::int64_t bytes(const gmm_shape& s) {
        const std::int64_t vectors = gmm::is_tied(s.family) ? 2 : 1;
        return aligned_array<T>::bytes(vectors * s.components * s.dimensions + factor_numbers(s) + whitener_numbers(s) +
                                       radius_numbers(s) + near_stride(s.components) +
                                       strips_of(s.components) * separating_numbers(s)) +
               (has_separations(s) ? near_stride(s.components) * static_cast<std::int64_t>(sizeof(T) + 8) : 0) +
               s.components * 8;
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

    /// Whether pairs of components are looked at: not more of them than would be worth the time and the memory.
    static bool has_radii(const gmm_shape& s) {
        constexpr std::int64_t most_components = 512;
        return s.components <= most_components && screens_pairs(s.family, s.dimensions, s.components);
    }
    static bool has_separations(const gmm_shape& s) { return s.family == family::full && has_radii(s); }
    static std::int64_t radius_numbers(const gmm_shape& s) {
        return has_radii(s) ? s.components * near_stride(s.components) : 0;
    }

    static std::int64_t strips_of(std::int64_t components) { return (components + strip_rows - 1) / strip_rows; }
    /// For a strip of means: the means, scratch memory, and what kernel_table::separate finds.
    static std::int64_t separating_numbers(const gmm_shape& s) {
        return has_separations(s) ? strip_rows * 2 * (s.dimensions + s.components) : 0;
    }

    /// ‖U‖_F, and an upper bound of ‖U‖₂: √(‖U‖₁ ‖U‖_∞) if that is less. `columns` is scratch memory.
    static std::pair<double, double> norms_of(const double* u, std::int64_t d, std::vector<double>& columns) {
        columns.assign(static_cast<std::size_t>(d), 0);
        double squares = 0, largest_row = 0;
        for (std::int64_t i = 0; i < d; ++i) {
            double row = 0;
            for (std::int64_t j = i; j < d; ++j) {
                const double entry = std::abs(u[i * d + j]);
                squares += entry * entry, row += entry, columns[j] += entry;
            }
            largest_row = std::max(largest_row, row);
        }
        const double frobenius = std::sqrt(squares);
        return {frobenius, std::min(frobenius, std::sqrt(largest_row * std::ranges::max(columns)))};
    }

    void pack_factors(const std::vector<double>& u) {
        const std::int64_t d = shape_.dimensions;
        for (std::int64_t k = 0; k < shape_.components; ++k)
            switch (shape_.family) {
            case family::full:
                kernels_->pack_triangle(&u[k * d * d], family::full, d, factors_.data() + k * view_.triangle);
                if (has_separations(shape_)) {
                    const auto [frobenius, spectral] = norms_of(&u[k * d * d], d, column_sums_);
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

    /// Radius about μ_a, in the distance of component a, inside which component k is in no active set with it.
    ///
    /// With D = ‖U_k(μ_a − μ_k)‖ and ρ = ‖U_k U_a⁻¹‖, a row at r = ‖U_a(x − μ_a)‖ has ‖U_k(x − μ_k)‖ ≥ D − ρ r, and k
    /// is out where ½(D − ρ r)² > ½ r² + h with h = c_k − c_a + Θ, here at least zero. The left side falls and the
    /// right side grows up to r = D / ρ: out below the first root. What the kernels compute is off by relative errors
    /// of the squares, at most d + 2 roundings, and of c, Θ and the differences; `slack` is more than all of them.
    double near_radius(std::int64_t a, std::int64_t k) const {
        const std::int64_t d = shape_.dimensions;
        const bool diagonal = shape_.family == family::diagonal, spherical = shape_.family == family::spherical;
        const double slack = static_cast<double>(d + 16) * static_cast<double>(std::numeric_limits<T>::epsilon());
        double squares = 0, stretch = diagonal ? 0 : 1;
        for (std::int64_t j = 0; j < d; ++j) {
            const double scale = diagonal ? static_cast<double>(factors_[k * d + j]) : 1;
            const double step =
                static_cast<double>(view_.centres[a * d + j]) - static_cast<double>(view_.centres[k * d + j]);
            squares += scale * scale * step * step;
            if (diagonal)
                stretch = std::max(stretch, scale / static_cast<double>(factors_[a * d + j]));
        }
        if (spherical) {
            squares *= static_cast<double>(factors_[k]);
            stretch = std::sqrt(static_cast<double>(factors_[k]) / static_cast<double>(factors_[a]));
        }
        const double own = static_cast<double>(offsets_[a]), other = static_cast<double>(offsets_[k]);
        const double theta = static_cast<double>(view_.threshold);
        const double h = std::max(0.0, other - own + theta + slack * (std::abs(own) + std::abs(other) + theta));
        const double apart = std::sqrt(squares) * (1 - slack), gap = apart * apart - 2 * h;
        if (!(gap > 0))
            return 0;
        const double root = std::sqrt(apart * apart + 2 * h * (stretch * stretch - 1));
        return gap / (apart * stretch + root) / (1 + slack);
    }

    void find_separations(int threads) {
        parallel_for(threads, strips_of(shape_.components), [&](std::int64_t strip, int) { separate_strip(strip); });
        view_.separations = radii_.data();
        view_.stretches = stretches_.data();
    }
    /// Separations of the components of a strip of means from all others.
    ///
    /// With z = x − μ_k = (x − μ_a) + (μ_a − μ_k), ‖Uᵀ z‖ ≥ ‖Uᵀ (μ_a − μ_k)‖ − ‖U‖₂ ‖x − μ_a‖. What the kernels compute
    /// of each norm of Uᵀ z is off by relative roundings and, for the cancellation inside the products, by at most γ
    /// ‖U‖_F ‖z‖ with γ the slack of d products: of the separation by γ ‖U‖_F ‖μ_a − μ_k‖, of the row by as much and γ
    /// ‖U‖_F ‖x − μ_a‖, which is in the stretch.
    void separate_strip(std::int64_t strip) {
        const std::int64_t d = shape_.dimensions, components = shape_.components, first = strip * strip_rows;
        const std::int64_t count = std::min(strip_rows, components - first);
        T* means = separating_.data() + strip * separating_numbers(shape_);
        T *z = means + strip_rows * d, *squares = z + strip_rows * d, *lengths = squares + strip_rows * components;
        for (std::int64_t i = 0; i < count; ++i)
            for (std::int64_t j = 0; j < d; ++j)
                means[j * strip_rows + i] = means_[(first + i) * d + j];
        kernels_->separate(view_, means, z, squares, lengths);
        const double slack = rounding_slack<T>(d), far = std::sqrt(std::numeric_limits<T>::max()) / 4;
        for (std::int64_t i = 0; i < count; ++i) {
            T* row = radii_.data() + (first + i) * near_stride(components);
            for (std::int64_t k = 0; k < components; ++k) {
                const auto square = static_cast<double>(squares[k * strip_rows + i]);
                const double apart = std::sqrt(static_cast<double>(lengths[k * strip_rows + i]));
                const double separation = std::sqrt(square) * (1 - slack) - 2 * slack * factor_norms_[k] * apart;
                row[k] = static_cast<T>(std::isinf(offsets_[k]) ? far : std::min(separation * (1 - slack), far));
            }
            std::fill(row + components, row + near_stride(components), static_cast<T>(far));
        }
    }

    gmm_shape shape_;
    const kernel_table<T>* kernels_ = nullptr;
    aligned_array<T> means_, factors_, centres_, whitener_, offsets_, radii_, stretches_;
    aligned_array<T> separating_;      ///< scratch memory of find_separations
    std::vector<double> factor_norms_; ///< ‖U_k‖_F
    std::vector<double> column_sums_;  ///< scratch memory of pack_factors
    std::vector<double> exact_offsets_;
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
