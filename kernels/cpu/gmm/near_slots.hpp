// A block of rows whose pairs are known (home_screen.hpp) without the slab: the pairs of each row in slots.
//
// Slot i of a row is its i-th component in ascending order, and lies where the slab has component i. The rule adds the
// same terms in the same order as row_rule.hpp does, so that no bit depends on which of the two a block takes.
#pragma once

#include "kernels/cpu/core/simd.hpp"
#include "kernels/cpu/core/tiling.hpp"
#include "kernels/cpu/gmm/kernel_table.hpp"
#include "kernels/cpu/gmm/label_rule.hpp"
#include "kernels/cpu/gmm/row_rule.hpp"
#include "kernels/cpu/gmm/unit_layout.hpp"

namespace elbo::kernels::cpu::ELBO_SIMD {

/// The pairs of a row of the span but that at home: ws.near_order[begin] ... ws.near_order[end − 1].
struct near_range {
    std::int32_t begin, end;
};

/// The near pairs of a row; none if its label counts, which then is its home.
template <class T>
static inline near_range near_of(const model_view<T>& m, const unit_view<T>& span, std::int64_t row,
                                 const workspace_view<T>& ws) {
    const std::int32_t begin = row == 0 ? 0 : ws.near_starts[row - 1];
    const bool settled = span.labels && row < span.rows && counts(m, span.labels[row]);
    return {begin, settled ? begin : ws.near_starts[row]};
}

/// Puts the pairs of a row, that at home among them, into its slots, of which there are `slots`.
template <class T>
static inline void fill_row(std::int64_t row, near_range near, std::int32_t slots, T* densities, T* components,
                            const workspace_view<T>& ws) {
    const std::int32_t home = ws.nearest[row];
    std::int64_t at = 0;
    bool placed = false;
    const auto place = [&](std::int32_t k, T lp) {
        densities[at] = lp, components[at] = static_cast<T>(k);
        at += strip_rows;
    };
    for (std::int32_t i = near.begin; i < near.end; ++i) {
        const std::int32_t pair = ws.near_order[i], k = ws.near_components[pair];
        if (k > home && !placed) {
            place(home, ws.home_densities[row]);
            placed = true;
        }
        place(k, ws.near_densities[pair]);
    }
    if (!placed)
        place(home, ws.home_densities[row]);
    while (at < slots * strip_rows)
        place(0, -static_cast<T>(__builtin_inf()));
}

/// Fills the slots of a block.
template <class T>
static void fill_slots(const model_view<T>& m, const unit_block<T>& b, const workspace_view<T>& ws) {
    for (std::int64_t row = 0; row < b.strips * strip_rows; row += lanes<T>) {
        near_range near[lanes<T>];
        std::int32_t slots = 1;
        for (int i = 0; i < lanes<T>; ++i) {
            near[i] = near_of(m, b.unit, b.first + row + i, ws);
            const std::int32_t pairs = 1 + near[i].end - near[i].begin;
            slots = pairs > slots ? pairs : slots;
        }
        const std::int64_t at = strip_position(row, slab_rows(m.components));
        for (int i = 0; i < lanes<T>; ++i) {
            ws.slot_densities[at + i] = ws.home_densities[b.first + row + i];
            ws.slot_components[at + i] = static_cast<T>(ws.nearest[b.first + row + i]);
        }
        for (int i = 0; i < lanes<T> && slots > 1; ++i)
            fill_row(b.first + row + i, near[i], slots, ws.slot_densities + at + i, ws.slot_components + at + i, ws);
        ws.slots[row / lanes<T>] = slots;
    }
}

/// Calls f(row, k, value) for the slots of a block, row by row, that are not empty; `row` is in the block.
template <class T, class F>
static inline void for_slots(const model_view<T>& m, const unit_block<T>& b, const workspace_view<T>& ws, const F& f) {
    for (std::int64_t row = 0; row < b.strips * strip_rows; ++row) {
        const near_range near = near_of(m, b.unit, b.first + row, ws);
        std::int64_t at = strip_position(row, slab_rows(m.components));
        for (std::int32_t i = near.begin; i <= near.end; ++i, at += strip_rows)
            f(row, static_cast<std::int64_t>(ws.slot_components[at]), ws.slot_densities[at]);
    }
}

/// Copies the slots of a block to their places in the slab; `empty` for all others.
template <class T>
static void spread_slots(const model_view<T>& m, const unit_block<T>& b, T empty, const workspace_view<T>& ws) {
    const std::int64_t numbers = b.strips * slab_rows(m.components) * strip_rows;
    for (std::int64_t i = 0; i < numbers; i += lanes<T>)
        store(ws.log_densities + i, broadcast(empty));
    for_slots(m, b, ws,
              [&](std::int64_t row, std::int64_t k, T value) { density_at(m, b, b.first + row, k, ws) = value; });
}

/// exponentiate_column for slots, whose components are at `components`.
template <class T, bool half>
static inline row_result<T> exponentiate_slots(T* lp, const T* components, std::int64_t slots, T threshold,
                                               vec_mask<T> counted, std::int32_t* active) {
    column_terms<T> terms(lp, slots, threshold, counted);
    vec<T> chain_end{}; // the component behind the chain that the row is in
    for (std::int64_t i = 0; i < slots; ++i) {
        const vec<T> k = load(components + i * strip_rows);
        if (const vec_mask<T> behind = k >= chain_end; mask_bits(behind) != 0) {
            terms.end_chain(behind);
            using number = decltype(behind[0] + 0);
            const vec_mask<T> chain =
                __builtin_convertvector(k, vec_mask<T>) & ~static_cast<number>(component_chain - 1);
            chain_end =
                behind ? __builtin_convertvector(chain + static_cast<number>(component_chain), vec<T>) : chain_end;
        }
        for (unsigned bits = terms.template take<half>(lp + i * strip_rows); bits != 0; bits &= bits - 1)
            ++active[static_cast<std::int64_t>(k[__builtin_ctz(bits)])];
    }
    terms.end_chain(vec_mask<T>{} == 0);
    return terms.result();
}

/// The row rule for the slots of a block.
template <class T, bool half>
static void slot_rule(const model_view<T>& m, const T* weights, std::int64_t strips, const workspace_view<T>& ws,
                      row_sums& sums) {
    for (std::int64_t k = 0; k < m.components; ++k)
        ws.active[k] = 0;
    for (std::int64_t row = 0; row < strips * strip_rows; row += lanes<T>) {
        const std::int64_t at = strip_position(row, slab_rows(m.components)), slots = ws.slots[row / lanes<T>];
        T* lp = ws.slot_densities + at;
        weigh_column<T, half>(lp, slots, weights + row, sums, [&](vec_mask<T> counted) {
            return exponentiate_slots<T, half>(lp, ws.slot_components + at, slots, m.threshold, counted, ws.active);
        });
    }
}

} // namespace elbo::kernels::cpu::ELBO_SIMD
