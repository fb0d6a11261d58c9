// The kernels of one unit of rows, compiled once for each instruction set.
#include "kernels/cpu/core/dispatch.hpp"
#include "kernels/cpu/gmm/full_moments.hpp"
#include "kernels/cpu/gmm/label_rule.hpp"
#include "kernels/cpu/gmm/log_densities.hpp"
#include "kernels/cpu/gmm/near_screen.hpp"
#include "kernels/cpu/gmm/row_rule.hpp"

namespace elbo::kernels::cpu::ELBO_SIMD {

namespace {

/// A block of a unit.
struct block_range {
    std::int64_t first, rows, strips; ///< `first` in the unit
};

template <class F>
void for_blocks(std::int64_t rows, std::int64_t block_rows, const F& f) {
    for (std::int64_t first = 0; first < rows; first += block_rows) {
        const std::int64_t count = rows - first < block_rows ? rows - first : block_rows;
        f(block_range{first, count, (count + strip_rows - 1) / strip_rows});
    }
}

/// Weights of a block: those of the unit, or ones, with zeros behind the last row.
template <class T>
const T* block_weights(const unit_view<T>& unit, const block_range& b, T* buffer) {
    const bool whole = b.rows == b.strips * strip_rows;
    if (unit.weights && whole)
        return unit.weights + b.first;
    for (std::int64_t i = 0; i < b.rows; ++i)
        buffer[i] = unit.weights ? unit.weights[b.first + i] : T(1);
    for (std::int64_t i = b.rows; i < b.strips * strip_rows; ++i)
        buffer[i] = 0;
    return buffer;
}

/// Homes of a block, or null.
template <class T>
std::int32_t* homes_of(const unit_view<T>& unit, const block_range& b) {
    return unit.homes ? unit.homes + b.first : nullptr;
}

/// What is known of the rows of a block.
template <class T>
block_labels<T> labels_of(const unit_view<T>& unit, const block_range& b, std::int64_t components) {
    return {unit.labels ? unit.labels + b.first : nullptr,
            unit.log_factors ? unit.log_factors + b.first * components : nullptr};
}

/// Log-densities of a block into the slab, with what is known of its rows; those of all pairs if `all_pairs`.
template <class T>
void known_log_densities(const model_view<T>& m, const unit_view<T>& unit, const block_range& b, bool all_pairs,
                         const workspace_view<T>& ws) {
    const T* x = unit.x + b.first * m.dimensions;
    const block_labels<T> known = labels_of(unit, b, m.components);
    const bool some = knows_some(known, b.rows);
    // Screening looks for the largest log-densities without factors.
    if (all_pairs || known.log_factors) {
        ws.screen->laid_out = false;
        log_densities(m, x, b.strips, ws);
    } else {
        std::int32_t* homes = homes_of(unit, b);
        if (some && homes)
            settle_at_labels(m, known.labels, b.rows, homes);
        block_log_densities(m, x, b.strips, homes, ws);
        if (some && screened_outputs(m) > 0)
            refine_labels(m, x, known.labels, b.rows, ws);
    }
    if (some)
        apply_known(m, known, b.strips, ws.log_densities);
}

std::int64_t statistics_of(gmm::family f, std::int64_t d) {
    switch (f) {
    case gmm::family::full:
        return 1 + d + triangle_size(d);
    case gmm::family::diagonal:
        return 1 + 2 * d;
    case gmm::family::spherical:
        return 2 + d;
    default:
        return 1 + d;
    }
}

template <class T>
void accumulate_unit(const model_view<T>& m, const unit_view<T>& unit, const workspace_view<T>& ws) {
    const std::int64_t d = m.dimensions, count = m.components * statistics_of(m.family, d);
    for (std::int64_t i = 0; i < count; ++i)
        ws.partial[i] = 0;
    for (std::int64_t k = 0; k < m.components; ++k)
        ws.touched[k] = false;
    const bool roots = m.family == gmm::family::full && d > small_dimensions;
    row_sums sums;
    for_blocks(unit.rows, m.block_rows, [&](const block_range& b) {
        const T* x = unit.x + b.first * d;
        const T* weights = block_weights(unit, b, ws.row_weights);
        known_log_densities(m, unit, b, false, ws);
        if (roots)
            row_rule<T, true>(m, weights, b.strips, ws.log_densities, ws.active, sums);
        else
            row_rule<T, false>(m, weights, b.strips, ws.log_densities, ws.active, sums);
        if (const T* log_factors = labels_of(unit, b, m.components).log_factors) {
            if (roots)
                add_log_factors<T, true>(m, log_factors, b.strips, ws.log_densities, sums);
            else
                add_log_factors<T, false>(m, log_factors, b.strips, ws.log_densities, sums);
        }
        block_sums(m, x, b.strips, homes_of(unit, b), ws);
        for (std::int64_t k = 0; k < m.components; ++k)
            ws.touched[k] = ws.touched[k] || ws.active[k] != 0;
    });
    const double weight = sum_lanes(sums.weight);
    ws.partial[count] = sum_lanes(sums.log_likelihood) + weight * m.reference_offset;
    ws.partial[count + 1] = sum_lanes(sums.entropy);
    ws.partial[count + 2] = weight;
    ws.partial[count + 3] = sum_lanes(sums.log_factors);
}

/// √w of `count` rows from row `first` of a unit on; 0 behind the last.
template <class T>
void weight_roots(const unit_view<T>& unit, std::int64_t first, std::int64_t count, double* root) {
    for (std::int64_t i = 0; i < count; ++i) {
        const std::int64_t row = first + i;
        const double w = row >= unit.rows ? 0.0 : unit.weights ? static_cast<double>(unit.weights[row]) : 1.0;
        root[i] = __builtin_sqrt(w);
    }
}

/// Coordinate j of `count` rows (whole strips) from row `first` on, each times its root.
template <class T>
void rooted_column(const unit_view<T>& unit, std::int64_t first, std::int64_t count, std::int64_t j, std::int64_t d,
                   const double* root, double* out) {
    for (std::int64_t begin = 0; begin < count; begin += strip_rows) {
        const T* x = unit.x + ((first + begin) / strip_rows * d + j) * strip_rows;
        for (std::int64_t i = 0; i < strip_rows; ++i)
            out[begin + i] = root[begin + i] * static_cast<double>(x[i]);
    }
}

/// Calls f(first, count) for runs of up to scatter_rows rows of a unit, in whole strips.
template <class T, class F>
void for_scatter_runs(const unit_view<T>& unit, const F& f) {
    const std::int64_t rows = (unit.rows + strip_rows - 1) / strip_rows * strip_rows;
    for (std::int64_t first = 0; first < rows; first += scatter_rows)
        f(first, rows - first < scatter_rows ? rows - first : scatter_rows);
}

/// Σ w x̃ x̃ᵀ.
template <class T>
void scatter_matrix(std::int64_t d, const unit_view<T>& unit, double* panel, double* partial) {
    const std::int64_t stride = panel_stride(scatter_rows);
    double *root = panel + d * stride, *stats = partial + triangle_size(d); // behind the result
    for (std::int64_t i = 0; i < 1 + d + triangle_size(d); ++i)
        stats[i] = 0;
    for_scatter_runs(unit, [&](std::int64_t first, std::int64_t count) {
        weight_roots(unit, first, count, root);
        for (std::int64_t j = 0; j < d; ++j)
            rooted_column(unit, first, count, j, d, root, panel + j * stride);
        rank_update(panel, count, stride, d, stats);
    });
    for (std::int64_t i = 0; i < triangle_size(d); ++i)
        partial[i] = stats[1 + d + i];
}

/// Σ w x̃² by column or, spherical, in all.
template <class T>
void scatter_squares(bool spherical, std::int64_t d, const unit_view<T>& unit, double* panel, double* partial) {
    double *column = panel, *root = panel + panel_stride(scatter_rows);
    for (std::int64_t j = 0; j < (spherical ? 1 : d); ++j)
        partial[j] = 0;
    for_scatter_runs(unit, [&](std::int64_t first, std::int64_t count) {
        weight_roots(unit, first, count, root);
        for (std::int64_t j = 0; j < d; ++j) {
            rooted_column(unit, first, count, j, d, root, column);
            double_vector sum{};
            for (std::int64_t i = 0; i < count; i += lanes<double>) {
                const double_vector x = load(column + i);
                sum += x * x;
            }
            partial[spherical ? 0 : j] += sum_lanes(sum);
        }
    });
}

template <class T>
void scatter_unit(gmm::family family, std::int64_t d, const unit_view<T>& unit, double* panel, double* partial) {
    if (family == gmm::family::tied)
        scatter_matrix(d, unit, panel, partial);
    else
        scatter_squares(family == gmm::family::tied_spherical, d, unit, panel, partial);
}

/// Results of one vector of rows, `first` the row in the unit.
template <class T>
void write_inference(const model_view<T>& m, const row_result<T>& row, const T* lp, std::int64_t first,
                     std::int64_t count, const inference_view& out) {
    const vec<T> log_sum = logarithm<T>(row.sum);
    for (std::int64_t i = 0; i < count; ++i) {
        if (out.log_density)
            out.log_density[first + i] =
                static_cast<double>(row.largest[i]) + static_cast<double>(log_sum[i]) + m.reference_offset;
        if (!out.responsibilities)
            continue;
        double* r = out.responsibilities + (first + i) * m.components;
        for (std::int64_t k = 0; k < m.components; ++k)
            r[k] = static_cast<double>(lp[k * strip_rows + i]) / static_cast<double>(row.sum[i]);
    }
}

/// argmax over the components of one vector of rows, before the log-densities are replaced.
template <class T>
void write_assignment(const T* lp, std::int64_t components, std::int64_t count, std::int32_t* out) {
    vec<T> largest = load(lp);
    vec_mask<T> best{};
    for (std::int64_t k = 1; k < components; ++k) {
        const vec<T> value = load(lp + k * strip_rows);
        const vec_mask<T> above = value > largest;
        largest = above ? value : largest;
        best = above ? vec_mask<T>{} + static_cast<decltype(best[0] + 0)>(k) : best;
    }
    for (std::int64_t i = 0; i < count; ++i)
        out[i] = static_cast<std::int32_t>(best[i]);
}

/// Log-densities of one vector of rows.
template <class T>
void write_log_joint(const model_view<T>& m, const T* lp, std::int64_t count, double* out) {
    for (std::int64_t i = 0; i < count; ++i)
        for (std::int64_t k = 0; k < m.components; ++k)
            out[i * m.components + k] = static_cast<double>(lp[k * strip_rows + i]) + m.reference_offset;
}

template <class T>
void infer_unit(const model_view<T>& m, const unit_view<T>& unit, const workspace_view<T>& ws,
                const inference_view& out) {
    const std::int64_t slab = slab_rows(m.components) * strip_rows;
    for_blocks(unit.rows, m.block_rows, [&](const block_range& b) {
        known_log_densities(m, unit, b, out.log_joint != nullptr, ws);
        for (std::int64_t row = 0; row < b.rows; row += lanes<T>) {
            T* lp = ws.log_densities + row / strip_rows * slab + row % strip_rows;
            const std::int64_t count = b.rows - row < lanes<T> ? b.rows - row : lanes<T>;
            if (out.assignment)
                write_assignment(lp, m.components, count, out.assignment + b.first + row);
            if (out.log_joint)
                write_log_joint(m, lp, count, out.log_joint + (b.first + row) * m.components);
            const row_result<T> result =
                exponentiate_column<T, false>(lp, m.components, m.threshold, vec_mask<T>{} == 0, ws.active);
            write_inference(m, result, lp, b.first + row, count, out);
        }
    });
}

} // namespace

const kernel_table<float> float_kernels = {pack_triangle<float>, accumulate_unit<float>, scatter_unit<float>,
                                           infer_unit<float>, normalize_unit};
const kernel_table<double> double_kernels = {pack_triangle<double>, accumulate_unit<double>, scatter_unit<double>,
                                             infer_unit<double>, normalize_unit};

} // namespace elbo::kernels::cpu::ELBO_SIMD
