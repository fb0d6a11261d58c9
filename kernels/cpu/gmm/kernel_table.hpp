// What the engine and its vector kernels share: plain views, and a table of the kernels of one instruction set.
//
// Storage. Rows lie in strips of 64: strip s holds [d][64] numbers, so that a vector holds one coordinate of several
// rows. Blocks of up to `block_rows` rows are what the kernels work on at a time; a unit (4096 rows) is a whole number
// of blocks. Missing rows of the last strip have weight zero.
#pragma once

#include "elbo/gmm/model.hpp"
#include "elbo/matrix_view.hpp"
#include "kernels/contract/gmm_layout.hpp"

#include <cstdint>

namespace elbo::kernels::cpu {

inline constexpr std::int64_t strip_rows = 64;

/// Largest d for which full covariances have kernels of their own, with the whole row in registers.
inline constexpr std::int64_t small_dimensions = 4;

/// What is left of the guards of rows (unit_view::guards): for one of guard g and reach r all components but its home
/// have √(−2 lp) ≥ scale · g − shift − reach · r of their log-densities less `rise`; nothing where the scale is 0.
template <class T>
struct guard_drift {
    T scale = 0, shift = 0, reach = 0, rise = 0;
};

/// Parameters in the layout of the kernels.
template <class T>
struct model_view {
    gmm::family family;
    std::int64_t dimensions, components;
    std::int64_t block_rows, span_rows; ///< rows whose log-densities are in the slab; rows screened, summed together
    const T* means;                     ///< [k x d] μ̃
    const T* factors;        ///< full: packed triangles, `triangle` apart; diagonal: [k x d]; spherical: [k] u²
    const T* centres;        ///< tied families: [k x d] Uᵀ μ̃; else μ̃
    const T* whitener;       ///< tied: one packed triangle; tied_diagonal and tied_spherical: [d]; else null
    const T* offsets;        ///< [k] c_k − reference_offset, −infinity for a dropped component
    double reference_offset; ///< largest c_k: log-densities are kept relative to it, where float32 is finest
    T threshold;             ///< Θ of the active set
    const T* separations;    ///< [k x near_stride(k)] lower bounds of ‖U_kᵀ (μ_a − μ_k)‖ as computed, or null
    const T* stretches; ///< [near_stride(k)], diagonal [k x near_stride(k)]: how much ‖U_kᵀ z‖ is at most of a reach
    std::int64_t stretch_stride; ///< from one home's stretches to the next: 0 where they are the same for all
    guard_drift<T> drift;        ///< since the survey
    bool surveys;                ///< whether this pass is one: it gives rows guards
    std::int64_t triangle;       ///< numbers of one packed triangle
    std::int64_t statistics;     ///< of one component (statistics_size)

    const T* stretches_of(std::int64_t home) const { return stretches + home * stretch_stride; }
};

constexpr std::int64_t triangle_size(std::int64_t d) {
    return d * (d + 1) / 2;
}

/// Rows of one unit in strips. `weights` is null where all are 1; `rows` counts the real ones.
template <class T>
struct unit_view {
    const T* x;
    const T* weights;
    std::int64_t rows;
    std::int32_t*
        homes; ///< component that a row was summed under lately, or −1: a guess that changes no result; or null
    T* guards; ///< lower bounds of √(−2 lp) of a row at the last survey under all but its home; 0 where none; or null
    const std::int32_t* labels = nullptr; ///< component that a row comes from, −1 where unknown; or null
    const T* log_factors = nullptr;       ///< [strip][k][64] log π, or null
};

/// Whether screening pays, learnt from the blocks before. It changes the time, no result.
struct screen_state {
    int skip = 0;             ///< blocks to take densely before the next try
    int pause = 0;            ///< how many were skipped after the last try that did not pay
    bool homes_known = false; ///< whether some rows have been given a home
    bool laid_out = false;    ///< whether the rows of the span lie row after row
    bool at_home = false;     ///< whether home_densities and row_limits of the span have been found
    std::int64_t open = 0;    ///< rows of the pass that have been looked at for want of a guard, or will be
    std::int64_t pairs = 0;   ///< listed in pair_rows
    std::int64_t near = -1;   ///< pairs in near_rows that make a span's active sets together with the homes, or −1
};

/// Rows of a block over which a component is summed (moments.hpp).
enum class moment_choice : unsigned char { none, all_rows, active_rows };

/// Memory of one thread. Sizes: workspace_sizes.
template <class T>
struct workspace_view {
    T* log_densities;       ///< slab [strip][slab_rows(k)][64]: log-densities, then what the M-step multiplies with
    T* distances;           ///< slab of ‖x̃ − μ̃_k‖², spherical
    T* panel;               ///< [strip][panel_rows(family, d)][64]
    T* strip;               ///< [d][64] centred or whitened rows
    T* row_weights;         ///< [block_rows]
    T* row_limits;          ///< [span_rows] m_n − Θ or less
    std::int32_t* near;     ///< [k] components that rows of one home may need
    std::int32_t* nearest;  ///< [span_rows] component with the largest upper bound, or the home
    std::int32_t* listed;   ///< [span_rows] rows of the block or the span, for one component
    std::int32_t* starts;   ///< [k + 1] where the rows of each component begin in a list of all
    std::int32_t* active;   ///< [k] active rows of the block
    moment_choice* choices; ///< [k]
    T* rows;                ///< the span row after row, each in whole cache lines
    T* listed_weights;      ///< [span_rows] w r of the listed rows
    T* home_densities;      ///< [span_rows] log-densities of the rows at home
    T* home_reaches;    ///< [span_rows] upper bounds of ‖x − μ‖ at home, of cheap families in the home's measure
    T* pair_weights;    ///< [pair_capacity] w r; full: √(w r)
    T* near_densities;  ///< [pair_capacity] log-densities
    T* slot_densities;  ///< as the slab, slots in place of components (near_slots.hpp)
    T* slot_components; ///< as the slab: components of the slots
    std::int32_t* slots;           ///< [block_rows / lanes] slots of the rows of one vector
    std::int32_t* near_rows;       ///< [pair_capacity] rows of the span
    std::int32_t* near_components; ///< [pair_capacity]
    std::int32_t* near_order;      ///< [pair_capacity] near pairs in the order of their rows
    std::int32_t* near_starts;     ///< [span_rows + 1] where those of each row begin
    std::int32_t* pair_rows;       ///< [pair_capacity] rows of the span
    std::int32_t* pair_components; ///< [pair_capacity]
    std::int32_t* sorted;          ///< [pair_capacity] rows or pairs in the order of their components
    double* partial;               ///< [sum_count] sums of the unit
    bool* touched;                 ///< [k] whether the unit added to component k
    screen_state* screen;
};

/// Rows of a slab strip: odd, so that the strips of one component do not share cache sets.
constexpr std::int64_t slab_rows(std::int64_t k) {
    return k | 1;
}
/// Rows of the panel: of full covariances the coordinates and the weights, for the rank update; never fewer than the
/// columns that other moments are taken of at once.
constexpr std::int64_t panel_rows(gmm::family f, std::int64_t d) {
    return f != gmm::family::full || d < 3 ? 4 : d + 1;
}
/// From one row of a panel to the next: not a power of two, so that the rows do not share cache sets.
constexpr std::int64_t panel_stride(std::int64_t block_rows) {
    return block_rows + strip_rows;
}

/// Numbers from one row to the next where a block is laid out row after row: whole vectors of every instruction set.
constexpr std::int64_t row_stride(std::int64_t d) {
    return (d + 15) / 16 * 16;
}

/// Whether rows are gathered where few count, from the span laid out row after row.
constexpr bool gathers_rows(gmm::family f, std::int64_t d) {
    return f != gmm::family::full || d > small_dimensions;
}
/// Whether pairs of rows and components are screened (screen.hpp, home_screen.hpp): then rows have homes.
constexpr bool screens_pairs(gmm::family f, std::int64_t d, std::int64_t k) {
    return f != gmm::family::full || (d >= 12 && k >= 4);
}
/// Whether pairs of components are looked at, too: not more of them than would be worth the time and the memory.
constexpr bool separates_components(gmm::family f, std::int64_t d, std::int64_t k) {
    constexpr std::int64_t most_components = 512;
    return k <= most_components && screens_pairs(f, d, k);
}
/// From one component's separations to the next: whole vectors of every instruction set.
constexpr std::int64_t near_stride(std::int64_t k) {
    return (k + 15) / 16 * 16;
}
/// A share that covers the roundings of a sum of d products, of its square root and of what is added to it.
template <class T>
constexpr T rounding_slack(std::int64_t d) {
    return static_cast<T>(2 * d + 32) * (sizeof(T) == 4 ? T(0x1p-23) : T(0x1p-52));
}
/// Pairs of a span that are found near the homes of its rows, and with the homes those that are summed together.
inline constexpr std::int64_t near_capacity = 2 * unit_rows, pair_capacity = near_capacity + unit_rows;
/// Pairs of one component that are multiplied together, each z, √(w r) in a row of a panel.
inline constexpr std::int64_t pairs_at_once = 64;
constexpr std::int64_t pair_stride(std::int64_t d) {
    return row_stride(d) + 16;
}

/// Rows at a time of the scatter matrix of the tied families, in a panel of float64: of a matrix with all coordinates
/// and the weights, else with one coordinate and the weights.
inline constexpr std::int64_t scatter_rows = 256;
constexpr std::int64_t scatter_panel(gmm::family f, std::int64_t d) {
    return panel_stride(scatter_rows) * (f == gmm::family::tied ? d + 1 : 2);
}
/// Numbers of the results of scatter_unit, and of a matrix behind them the statistics of a full component that they are
/// taken from; in whole cache lines.
constexpr std::int64_t scatter_partial(gmm::family f, std::int64_t d) {
    const std::int64_t numbers = f == gmm::family::tied ? 1 + d + 2 * triangle_size(d) : d;
    return (numbers + 7) / 8 * 8;
}

/// The moments of one unit of input rows (kernels::unit_summary).
struct moments_view {
    double weight, largest_weight, smallest_weight;
    std::int64_t positive;
    double *mean, *m2, *min, *max; ///< [d]
};

/// Input rows with their weights, as in input_rows; its functions are not for kernels (simd.hpp).
struct input_view {
    any_matrix_view x, weights;
    double weight_scale;
};

/// The kernels of one instruction set for one element type.
template <class T>
struct kernel_table {
    /// Packs the upper triangular u [d x d], row-major, into triangle_size(d) numbers for the triangular product.
    void (*pack_triangle)(const double* u, gmm::family, std::int64_t d, T* packed);
    /// E-step and sums of one unit: replaces ws.partial and ws.touched.
    void (*accumulate_unit)(const model_view<T>&, const unit_view<T>&, const workspace_view<T>& ws);
    /// For a strip of components a, their centres as [d][64]: squares[k][64] ‖U_kᵀ (μ_a − μ_k)‖², spherical without
    /// U_k; lengths[k][64] of full covariances ‖μ_a − μ_k‖², with z [d][64] as scratch memory, of diagonal ones the
    /// largest s_k / s_a, with 1 / s_a in z.
    void (*separate)(const model_view<T>&, const T* centres, T* z, T* squares, T* lengths);
    /// Σ w x̃ x̃ᵀ of one unit, replaces `partial` (layout of update_rule::scatter); memory: scatter_panel and
    /// scatter_partial.
    void (*scatter_unit)(gmm::family, std::int64_t d, const unit_view<T>&, double* panel, double* partial);
    /// Results of one unit.
    void (*infer_unit)(const model_view<T>&, const unit_view<T>&, const workspace_view<T>& ws,
                       const inference_results& to);
    /// x̃ = (x − centre) · inverse_scale for all rows of `in` (at most one unit), into strips; weights may be null.
    void (*normalize_unit)(const input_view& in, const double* centre, const double* inverse_scale, T* x, T* weights);
};

/// The kernels without an element type of the model.
struct common_table {
    /// limbs[l][i] += limb l of values[i]; the limb arrays are `limb_stride` apart.
    void (*add_fixed)(const double* values, std::int64_t count, int exponent, std::int64_t* limbs,
                      std::int64_t limb_stride);
    /// Moments of the rows of one unit; returns row · cols + col of the first NaN or infinity, else −1.
    std::int64_t (*summarize_unit)(const input_view& in, moments_view& out);
};

} // namespace elbo::kernels::cpu
