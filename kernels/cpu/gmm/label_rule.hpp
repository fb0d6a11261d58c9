// What is known of the components of rows, added to the log-densities of a block: kernels in the namespace of one
// instruction set.
#pragma once

#include "kernels/cpu/core/simd.hpp"
#include "kernels/cpu/gmm/kernel_table.hpp"
#include "kernels/cpu/gmm/row_rule.hpp"
#include "kernels/cpu/gmm/screen.hpp"

namespace elbo::kernels::cpu::ELBO_SIMD {

/// Whether something is known of one of the rows of a block.
template <class T>
static inline bool knows_some(const unit_view<T>& block) {
    if (block.log_factors)
        return true;
    for (std::int64_t i = 0; i < block.rows && block.labels; ++i)
        if (block.labels[i] >= 0)
            return true;
    return false;
}

/// Whether component k has not been dropped.
template <class T>
static inline bool is_there(const model_view<T>& m, std::int64_t k) {
    return m.offsets[k] >= simd<T>::lowest;
}

/// Whether a row's label counts: it is known, and its component is there.
template <class T>
static inline bool counts(const model_view<T>& m, std::int32_t label) {
    return label >= 0 && is_there(m, label);
}

/// Makes the components of labels the homes of their rows, which screening computes in any case.
template <class T>
static void settle_at_labels(const model_view<T>& m, const unit_view<T>& span) {
    for (std::int64_t i = 0; i < span.rows; ++i)
        if (counts(m, span.labels[i]))
            move_home(span, i, span.labels[i]);
}

/// Log-densities of full covariances under the components of labels, where screening has left them out.
template <class T>
static void refine_labels(const model_view<T>& m, const unit_block<T>& b, const std::int32_t* labels, std::int64_t rows,
                          const workspace_view<T>& ws) {
    for (std::int64_t i = 0; i < rows; ++i) {
        const auto row = static_cast<std::int32_t>(b.first + i);
        const std::int32_t k = labels[i];
        if (!counts(m, k) || !(density_at(m, b, row, k, ws) < simd<T>::lowest))
            continue;
        lay_out_unit(m, b.unit, ws);
        for_exact(m, k, &row, 1, ws, [&](const std::int32_t*, std::int64_t, const exact_rows<T>& exact) {
            density_at(m, b, row, k, ws) = exact.lp[0];
        });
    }
}

/// Excludes all components but that of the label, for rows whose label stands for a component that is there.
template <class T>
static void apply_labels(const model_view<T>& m, const std::int32_t* labels, std::int64_t strips, T* slab_first) {
    const std::int64_t slab = slab_rows(m.components) * strip_rows;
    for (std::int64_t s = 0; s < strips; ++s)
        for (int v = 0; v < strip_rows; v += lanes<T>) {
            T* lp = slab_first + s * slab + v;
            vec_mask<T> label{};
            for (int i = 0; i < lanes<T>; ++i) {
                const std::int32_t given = labels[s * strip_rows + v + i];
                label[i] = counts(m, given) ? given : -1;
            }
            for (std::int64_t k = 0; k < m.components; ++k) {
                const vec_mask<T> in = (label < 0) | (label == static_cast<decltype(label[0] + 0)>(k));
                store(lp + k * strip_rows, in ? load(lp + k * strip_rows) : minus_infinity<T>());
            }
        }
}

/// The rows of one vector that some component takes which has not been dropped; factors of the others do not count.
template <class T>
static inline vec_mask<T> factors_count(const model_view<T>& m, const T* log_factors) {
    vec_mask<T> some{};
    for (std::int64_t k = 0; k < m.components; ++k)
        if (is_there(m, k))
            some |= load(log_factors + k * strip_rows) >= broadcast(simd<T>::lowest);
    return some;
}

/// Adds log π.
template <class T>
static void apply_factors(const model_view<T>& m, const T* log_factors, std::int64_t strips, T* slab_first) {
    const std::int64_t slab = slab_rows(m.components) * strip_rows;
    for (std::int64_t s = 0; s < strips; ++s)
        for (int v = 0; v < strip_rows; v += lanes<T>) {
            T* lp = slab_first + s * slab + v;
            const T* factors = log_factors + s * m.components * strip_rows + v;
            const vec_mask<T> some = factors_count(m, factors);
            for (std::int64_t k = 0; k < m.components; ++k) {
                const vec<T> factor = some ? load(factors + k * strip_rows) : vec<T>{};
                store(lp + k * strip_rows, load(lp + k * strip_rows) + factor);
            }
        }
}

/// Adds Σ w r log π of a block to the sums, after the row rule; the slab holds w r, with `half` √(w r).
template <class T, bool half>
static void add_log_factors(const model_view<T>& m, const T* log_factors, std::int64_t strips, const T* slab_first,
                            row_sums& sums) {
    const std::int64_t slab = slab_rows(m.components) * strip_rows;
    for (std::int64_t s = 0; s < strips; ++s)
        for (int v = 0; v < strip_rows; v += lanes<T>) {
            const T* weights = slab_first + s * slab + v;
            const T* factors = log_factors + s * m.components * strip_rows + v;
            for (std::int64_t first = 0; first < m.components; first += component_chain) {
                const std::int64_t end =
                    first + component_chain < m.components ? first + component_chain : m.components;
                vec<T> part{};
                for (std::int64_t k = first; k < end; ++k) {
                    const vec<T> g = load(weights + k * strip_rows), r = half ? g * g : g;
                    const vec<T> factor = load(factors + k * strip_rows);
                    // Where the row's factors do not count, all that have a share are −infinity.
                    const vec_mask<T> in = (r != T(0)) & (factor >= broadcast(simd<T>::lowest));
                    part += in ? r * factor : vec<T>{};
                }
                add_weighted(sums.log_factors, broadcast(T(1)), part, vec<T>{});
            }
        }
}

} // namespace elbo::kernels::cpu::ELBO_SIMD
