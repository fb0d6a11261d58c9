// Where each sufficient statistic and each parameter of a mixture lies.
#pragma once

#include "elbo/gmm/model.hpp"
#include "elbo/matrix_view.hpp"
#include "kernels/math/macros.hpp"

#include <cstdint>

namespace elbo::gmm {

/// What a family says of one covariance, whether shared or not.
enum class structure { spherical, diagonal, full };

/// How many covariances a family has, and how the numbers of one, or of its factor, lie.
struct family_geometry {
    structure form;
    bool tied;

    ELBO_HD constexpr bool matrix() const { return form == structure::full; }
    ELBO_HD constexpr bool spherical() const { return form == structure::spherical; }
    /// Covariances of k components.
    ELBO_HD constexpr std::int64_t count(std::int64_t k) const { return tied ? 1 : k; }
    /// Numbers of one: d², d or 1.
    ELBO_HD constexpr std::int64_t size(std::int64_t d) const { return matrix() ? d * d : spherical() ? 1 : d; }
    /// The same without the repeated ones of a symmetric matrix: d (d + 1) / 2, d or 1.
    ELBO_HD constexpr std::int64_t packed(std::int64_t d) const { return matrix() ? d * (d + 1) / 2 : size(d); }
    /// Numbers from that of one component to that of the next: 0 where all share one.
    ELBO_HD constexpr std::int64_t stride(std::int64_t d) const { return tied ? 0 : size(d); }
    /// Where (i, j) lies in one, for i = j unless it is a matrix.
    ELBO_HD constexpr std::int64_t at(std::int64_t i, std::int64_t j, std::int64_t d) const {
        return matrix() ? i * d + j : spherical() ? 0 : j;
    }
    /// How often the diagonal has each number that is kept of it.
    ELBO_HD constexpr std::int64_t repeats(std::int64_t d) const { return spherical() ? d : 1; }
};

ELBO_HD constexpr family_geometry geometry(family f) {
    return {f == family::full || f == family::tied                ? structure::full
            : f == family::diagonal || f == family::tied_diagonal ? structure::diagonal
                                                                  : structure::spherical,
            f == family::tied || f == family::tied_diagonal || f == family::tied_spherical};
}

} // namespace elbo::gmm

namespace elbo::kernels {

/// Rows of a unit (docs/kernels.md section 3).
inline constexpr std::int64_t unit_rows = 4096;

/// Family and sizes of a mixture.
struct gmm_shape {
    gmm::family family = gmm::family::full;
    std::int64_t dimensions = 1;
    std::int64_t components = 1;
};

/// Where the results of rows go: views of any stride, in memory that the back end reaches; those without data are
/// skipped.
struct inference_results {
    matrix_view<double> log_density = {};      ///< [rows x 1] lse, without labels log p(x̃); less `shift`
    matrix_view<double> responsibilities = {}; ///< [rows x k]
    matrix_view<std::int32_t> assignment = {}; ///< [rows x 1] argmax
    /// [rows x k] lp = log α_k + log π_nk + log N(x̃_n; k), −infinity for a component that labels exclude or that has
    /// been dropped; less `shift`.
    matrix_view<double> log_joint = {};
    double shift = 0; ///< Σ_j ln scale_j for densities in units of the data, 0 for those of the frame

    constexpr inference_results slice(std::int64_t first, std::int64_t rows) const {
        return {log_density.slice(first, rows), responsibilities.slice(first, rows), assignment.slice(first, rows),
                log_joint.slice(first, rows), shift};
    }
    /// Whether any of them lies in memory of the host.
    constexpr bool on_host() const {
        const auto is = [](const auto& view) { return view.data && view.space != memory_space::device; };
        return is(log_density) || is(responsibilities) || is(assignment) || is(log_joint);
    }
};

/// Numbers of the second moments of one component: full: upper triangle by rows, (i, j ≥ i) at i·d − i(i−1)/2 + (j −
/// i); diagonal: d squares; spherical: the sum of squares; tied families: none, the scatter matrix stands for them
/// (docs/kernels.md section 1).
ELBO_HD constexpr std::int64_t second_moments(gmm::family f, std::int64_t d) {
    return geometry(f).tied ? 0 : geometry(f).packed(d);
}

/// Statistics of one component: [Σ w r | Σ w r (x̃ − μ̃) [d] | second moments about μ̃, the mean of this iteration].
ELBO_HD constexpr std::int64_t statistics_size(gmm::family f, std::int64_t d) {
    return 1 + d + second_moments(f, d);
}

/// Numbers of Σ w x̃ x̃ᵀ as update_rule::scatter holds it: none but for the tied families.
ELBO_HD constexpr std::int64_t scatter_size(const gmm_shape& s) {
    return geometry(s.family).tied ? geometry(s.family).packed(s.dimensions) : 0;
}

/// Scalars behind the statistics of all components: Σ w lse, Σ w H(q), Σ w, Σ w r log π (zero without factors).
enum sum_scalar : std::int64_t {
    scalar_log_likelihood,
    scalar_entropy,
    scalar_weight,
    scalar_log_factors,
    scalar_count
};

/// Numbers in the sums of a shape: components x statistics_size, then the scalars.
ELBO_HD constexpr std::int64_t sum_count(const gmm_shape& s) {
    return s.components * statistics_size(s.family, s.dimensions) + scalar_count;
}

/// Position of (i, j), i ≤ j, in a packed upper triangle of a [d x d] matrix.
ELBO_HD constexpr std::int64_t packed_upper(std::int64_t i, std::int64_t j, std::int64_t d) {
    return i * d - i * (i - 1) / 2 + (j - i);
}

/// A component with N_k below this share of W counts as empty (docs/kernels.md section 5).
inline constexpr double empty_share = 10 * 0x1p-24;
/// A pivot below this share of trace / d counts as singular (docs/kernels.md section 5).
inline constexpr double singular_share = 0x1p-40;

} // namespace elbo::kernels
