// The kernels of one unit of rows, compiled once for each instruction set.
#include "kernels/cpu/core/dispatch.hpp"
#include "kernels/cpu/gmm/full_moments.hpp"
#include "kernels/cpu/gmm/home_screen.hpp"
#include "kernels/cpu/gmm/label_rule.hpp"
#include "kernels/cpu/gmm/log_densities.hpp"
#include "kernels/cpu/gmm/near_slots.hpp"
#include "kernels/cpu/gmm/row_rule.hpp"
#include "kernels/cpu/gmm/screen.hpp"
#include "kernels/cpu/gmm/unit_sums.hpp"

namespace elbo::kernels::cpu::ELBO_SIMD {

namespace {

/// Calls f(first, part, strips) for the parts of `most` rows of a unit or span: the first row, and the rows as a unit
/// of their own.
template <class T, class F>
void for_parts(const model_view<T>& m, const unit_view<T>& unit, std::int64_t most, const F& f) {
    for (std::int64_t first = 0; first < unit.rows; first += most) {
        const std::int64_t rows = unit.rows - first < most ? unit.rows - first : most;
        const unit_view<T> part{unit.x + first * m.dimensions,
                                unit.weights ? unit.weights + first : nullptr,
                                rows,
                                unit.homes ? unit.homes + first : nullptr,
                                unit.guards ? unit.guards + first : nullptr,
                                unit.labels ? unit.labels + first : nullptr,
                                unit.log_factors ? unit.log_factors + first * m.components : nullptr};
        f(first, part, (rows + strip_rows - 1) / strip_rows);
    }
}

/// Weights of a block: its own, or ones, with zeros behind the last row.
template <class T>
const T* block_weights(const unit_view<T>& block, std::int64_t strips, T* buffer) {
    if (block.weights && block.rows == strips * strip_rows)
        return block.weights;
    for (std::int64_t i = 0; i < block.rows; ++i)
        buffer[i] = block.weights ? block.weights[i] : T(1);
    for (std::int64_t i = block.rows; i < strips * strip_rows; ++i)
        buffer[i] = 0;
    return buffer;
}

/// Before the blocks of a span: rows whose component is known are at home there.
template <class T>
void settle_span(const model_view<T>& m, const unit_view<T>& span, const workspace_view<T>& ws) {
    if (span.labels && span.homes)
        settle_at_labels(m, span);
    begin_span(m, span, ws);
}

/// Log-densities of a block into the slab, with what is known of its rows; those of all pairs if `all_pairs`.
template <class T>
void known_log_densities(const model_view<T>& m, const unit_block<T>& b, const unit_view<T>& block, bool all_pairs,
                         const workspace_view<T>& ws) {
    const bool some = knows_some(block);
    // Screening looks for the largest log-densities without factors.
    if (all_pairs || block.log_factors) {
        log_densities(m, block.x, b.strips, ws);
    } else {
        block_log_densities(m, b, ws);
        if (some && screened_outputs(m) > 0)
            refine_labels(m, b, block.labels, block.rows, ws);
    }
    if (some && block.labels)
        apply_labels(m, block.labels, b.strips, ws.log_densities);
    else if (some)
        apply_factors(m, block.log_factors, b.strips, ws.log_densities);
}

/// The row rule for a block, from its slots if its pairs are known, else from the slab; `half` as in row_rule.
template <class T, bool half>
void block_rule(const model_view<T>& m, const unit_block<T>& b, const unit_view<T>& block, row_sums& sums,
                const workspace_view<T>& ws) {
    const T* weights = block_weights(block, b.strips, ws.row_weights);
    if (ws.screen->near >= 0) {
        fill_slots(m, b, ws);
        return slot_rule<T, half>(m, weights, b.strips, ws, sums);
    }
    known_log_densities(m, b, block, false, ws);
    row_rule<T, half>(m, weights, b.strips, ws.log_densities, ws.active, sums);
    if (block.log_factors)
        add_log_factors<T, half>(m, block.log_factors, b.strips, ws.log_densities, sums);
}

template <class T>
void accumulate_span(const model_view<T>& m, const unit_view<T>& span, row_sums& sums, const workspace_view<T>& ws) {
    const bool roots = m.family == gmm::family::full && gathers_rows(m.family, m.dimensions);
    settle_span(m, span, ws);
    for_parts(m, span, m.block_rows, [&](std::int64_t first, const unit_view<T>& block, std::int64_t strips) {
        const unit_block<T> b{span, first, strips};
        if (roots)
            block_rule<T, true>(m, b, block, sums, ws);
        else
            block_rule<T, false>(m, b, block, sums, ws);
        block_sums(m, b, ws);
        for (std::int64_t k = 0; k < m.components; ++k)
            ws.touched[k] = ws.touched[k] || ws.active[k] != 0;
    });
    grouped_sums(m, span, ws);
}

template <class T>
void accumulate_unit(const model_view<T>& m, const unit_view<T>& unit, const workspace_view<T>& ws) {
    const std::int64_t count = m.components * m.statistics;
    for (std::int64_t i = 0; i < count; ++i)
        ws.partial[i] = 0;
    for (std::int64_t k = 0; k < m.components; ++k)
        ws.touched[k] = false;
    row_sums sums;
    for_parts(m, unit, m.span_rows,
              [&](std::int64_t, const unit_view<T>& span, std::int64_t) { accumulate_span(m, span, sums, ws); });
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
                     std::int64_t count, const inference_results& to) {
    const vec<T> log_sum = logarithm<T>(row.sum);
    for (std::int64_t i = 0; i < count; ++i) {
        if (to.log_density.data)
            to.log_density.data[(first + i) * to.log_density.stride] =
                static_cast<double>(row.largest[i]) + static_cast<double>(log_sum[i]) + m.reference_offset - to.shift;
        if (!to.responsibilities.data)
            continue;
        double* r = to.responsibilities.data + (first + i) * to.responsibilities.stride;
        for (std::int64_t k = 0; k < m.components; ++k)
            r[k] = static_cast<double>(lp[k * strip_rows + i]) / static_cast<double>(row.sum[i]);
    }
}

/// Log-densities of one vector of rows.
template <class T>
void write_log_joint(const model_view<T>& m, const T* lp, std::int64_t first, std::int64_t count,
                     const inference_results& to) {
    for (std::int64_t i = 0; i < count; ++i)
        for (std::int64_t k = 0; k < m.components; ++k)
            to.log_joint.data[(first + i) * to.log_joint.stride + k] =
                static_cast<double>(lp[k * strip_rows + i]) + m.reference_offset - to.shift;
}

/// Results of a block whose log-densities are in the slab, `first` its first row in the unit.
template <class T>
void infer_block(const model_view<T>& m, const unit_view<T>& block, std::int64_t first, const workspace_view<T>& ws,
                 const inference_results& to) {
    for (std::int64_t row = 0; row < block.rows; row += lanes<T>) {
        T* lp = ws.log_densities + strip_position(row, slab_rows(m.components));
        const std::int64_t count = block.rows - row < lanes<T> ? block.rows - row : lanes<T>;
        if (to.assignment.data) {
            const vec_mask<T> best = largest_component(lp, m.components);
            for (std::int64_t i = 0; i < count; ++i)
                to.assignment.data[(first + row + i) * to.assignment.stride] = static_cast<std::int32_t>(best[i]);
        }
        if (to.log_joint.data)
            write_log_joint(m, lp, first + row, count, to);
        const row_result<T> result =
            exponentiate_column<T, false>(lp, m.components, m.threshold, vec_mask<T>{} == 0, ws.active);
        write_inference(m, result, lp, first + row, count, to);
    }
}

template <class T>
void infer_unit(const model_view<T>& m, const unit_view<T>& unit, const workspace_view<T>& ws,
                const inference_results& to) {
    const bool all_pairs = to.log_joint.data != nullptr;
    for_parts(m, unit, m.span_rows, [&](std::int64_t begin, const unit_view<T>& span, std::int64_t) {
        if (!all_pairs)
            settle_span(m, span, ws);
        for_parts(m, span, m.block_rows, [&](std::int64_t first, const unit_view<T>& block, std::int64_t strips) {
            const unit_block<T> b{span, first, strips};
            if (!all_pairs && ws.screen->near >= 0) {
                fill_slots(m, b, ws);
                spread_slots(m, b, -static_cast<T>(__builtin_inf()), ws);
            } else {
                known_log_densities(m, b, block, all_pairs, ws);
            }
            infer_block(m, block, begin + first, ws, to);
        });
    });
}

} // namespace

const kernel_table<float> float_kernels = {pack_triangle<float>, accumulate_unit<float>, separate_components<float>,
                                           scatter_unit<float>,  infer_unit<float>,      normalize_unit<float>};
const kernel_table<double> double_kernels = {pack_triangle<double>,       accumulate_unit<double>,
                                             separate_components<double>, scatter_unit<double>,
                                             infer_unit<double>,          normalize_unit<double>};

} // namespace elbo::kernels::cpu::ELBO_SIMD
