// The pairs of a span of rows that may count, found from the homes of its rows, all families.
//
// Each row has a home, the component that it was summed under lately, and its exact log-density there bounds m_n from
// below. ‖U_kᵀ (x − μ_k)‖ is at least the separation of k from home a less the row's reach times the stretch of k: that
// bounds the log-densities under component k of all rows at home in a at once (packed_model::find_separations). Those
// that it leaves are computed by the operations of the dense kernels, square by square while the bound so far reaches
// the limit. Homes are guesses: a wrong one costs time alone.
//
// Now and then a pass is a survey, which looks for pairs some way below what counts. A row without any but that at home
// gets a guard, the least √(−2 lp) of all others, and is not looked at in later passes as long as the guard, less what
// the parameters have moved since (drift.hpp), keeps them out.
#pragma once

#include "kernels/cpu/core/simd.hpp"
#include "kernels/cpu/gmm/kernel_table.hpp"
#include "kernels/cpu/gmm/log_densities.hpp"
#include "kernels/cpu/gmm/unit_layout.hpp"

namespace elbo::kernels::cpu::ELBO_SIMD {

/// Vector operations that looking at a vector of log-densities costs.
inline constexpr std::int64_t placing_cost = 8;

/// Learns from the cost of rows whose pairs were screened, relative to that of the dense kernels.
static inline void note_screen(screen_state& state, double cost) {
    constexpr int longest_pause = 64;
    if (cost < 0.9) {
        state.pause = 0;
        return;
    }
    state.pause = state.pause == 0 ? 8 : state.pause < longest_pause ? 2 * state.pause : longest_pause;
    state.skip = state.pause;
}

template <class T>
static inline T magnitude(T x) {
    return x < 0 ? -x : x;
}

/// What log-densities must reach for their pairs to be listed, where those from `limit` on may count.
template <class T>
static inline T least_density(const model_view<T>& m, T limit) {
    return m.surveys ? limit - (8 + T(0.125) * magnitude(limit)) : limit;
}

/// Takes the rows whose guards hold out of ws.sorted, and those behind the last row. Returns how many that are.
template <class T>
static std::int64_t leave_out_guarded(const model_view<T>& m, const unit_view<T>& unit, const workspace_view<T>& ws) {
    const T slack = rounding_slack<T>(m.dimensions), shift = m.drift.shift, rise = m.drift.rise;
    const T least = rise + slack * (magnitude(rise) + m.threshold);
    std::int64_t left = 0, begin = 0;
    for (std::int64_t k = 0; k < m.components; ++k) {
        const std::int64_t end = ws.starts[k];
        for (std::int64_t i = begin; i < end; ++i) {
            const std::int32_t row = ws.sorted[i];
            bool out = row >= unit.rows;
            if (!out && unit.homes[row] == k) {
                const T root = m.drift.scale * unit.guards[row] - (shift + m.drift.reach * ws.home_reaches[row]);
                const T limit = ws.row_limits[row];
                out = root > 0 && T(0.5) * (1 - slack) * root * root > least + slack * magnitude(limit) - limit;
            }
            ws.sorted[left] = row;
            left += out ? 0 : 1;
        }
        begin = end;
        ws.starts[k] = static_cast<std::int32_t>(left);
    }
    return begin - left;
}

/// Gives guards to the rows of a span that the survey has found no pair of but that at home. Returns how many got none.
template <class T>
static std::int64_t set_guards(const model_view<T>& m, const unit_view<T>& unit, const workspace_view<T>& ws) {
    std::int64_t open = 0;
    for (std::int64_t row = 0; row < unit.rows; ++row) {
        const T least = least_density(m, ws.row_limits[row]);
        const bool alone = ws.near_starts[row] == (row == 0 ? 0 : ws.near_starts[row - 1]);
        const bool holds = alone && least < 0 && unit.homes[row] == ws.nearest[row];
        unit.guards[row] = holds ? __builtin_sqrt(-2 * least) * (1 - rounding_slack<T>(m.dimensions)) : T(0);
        open += holds ? 0 : 1;
    }
    return open;
}

/// Lists the components but `home` that one of the listed rows at home there may need, without separations all. Returns
/// how many.
template <class T>
static std::int64_t list_near_home(const model_view<T>& m, std::int64_t home, const std::int32_t* rows,
                                   std::int64_t count, const workspace_view<T>& ws) {
    std::int64_t near = 0;
    for (std::int64_t k = 0; k < m.components && !m.separations; ++k)
        if (k != home)
            ws.near[near++] = static_cast<std::int32_t>(k);
    if (!m.separations)
        return near;
    T limit = ws.row_limits[rows[0]], reach = ws.home_reaches[rows[0]];
    for (std::int64_t i = 1; i < count; ++i) {
        limit = ws.row_limits[rows[i]] < limit ? ws.row_limits[rows[i]] : limit;
        reach = ws.home_reaches[rows[i]] > reach ? ws.home_reaches[rows[i]] : reach;
    }
    limit = least_density(m, limit);
    // c_k − ½ q < limit, q as computed; offsets are not above zero.
    const T slack = rounding_slack<T>(m.dimensions);
    const vec<T> least = broadcast(-limit + slack * (magnitude(limit) + m.threshold));
    const T *separations = m.separations + home * near_stride(m.components), *stretches = m.stretches_of(home);
    for (std::int64_t k = 0; k < m.components; k += lanes<T>) {
        const vec<T> root = load(separations + k) - load(stretches + k) * broadcast(reach);
        const vec<T> needed = load(m.offsets + k) * broadcast(1 - slack) + least;
        const vec_mask<T> out = (root > T(0)) & (broadcast(T(0.5) * (1 - slack)) * root * root > needed);
        for (unsigned bits = mask_bits(~out); bits != 0; bits &= bits - 1) {
            const std::int64_t component = k + __builtin_ctz(bits);
            // Behind the last component nothing is known where a limit has overflowed.
            if (component != home && component < m.components)
                ws.near[near++] = static_cast<std::int32_t>(component);
        }
    }
    return near;
}

/// Squares of whole groups of outputs before `end` added to q, from output `first` on, while some row's bound reaches
/// its limit; z = x − μ. Returns the outputs that are in q.
template <class T>
static inline std::int64_t bound_rows(const model_view<T>& m, std::int64_t k, const T* x, vec<T> limits, T* z,
                                      vec<T> (&q)[1]) {
    const T *mean = m.means + k * m.dimensions, *u = m.factors + k * m.triangle;
    std::int64_t first = 0;
    for (; first + triangle_outputs <= m.dimensions; first += triangle_outputs) {
#pragma GCC unroll 8
        for (int j = 0; j < triangle_outputs; ++j)
            store(z + (first + j) * strip_rows, load(x + (first + j) * lanes<T>) - mean[first + j]);
        u = squared_outputs<T, triangle_outputs, 1>(z, u, first, q);
        const vec_mask<T> in = broadcast(m.offsets[k]) - T(0.5) * q[0] >= limits;
        if (mask_bits(in) == 0)
            return first + triangle_outputs;
    }
    for (std::int64_t j = first; j < m.dimensions; ++j)
        store(z + j * strip_rows, load(x + j * lanes<T>) - mean[j]);
    if (first < m.dimensions)
        with_count<triangle_outputs>(m.dimensions - first, [&]<int N>() { squared_outputs<T, N, 1>(z, u, first, q); });
    return m.dimensions;
}

/// Rows of one home in a vector, with the limits that their log-densities must reach; the missing ones reach none.
template <class T>
struct home_rows {
    const unit_view<T>& unit;
    const std::int32_t* rows;
    std::int64_t count;
    alignas(vector_bytes) T limits[lanes<T>];
};

/// Lists those of the rows' pairs with component k whose log-densities reach the limits; where one is above that at
/// home, the row moves. The list may turn out too short, then ws.screen->near is more than it holds.
template <class T>
static inline void keep_near(const home_rows<T>& of, std::int32_t k, vec<T> densities, const workspace_view<T>& ws) {
    const vec_mask<T> in = densities >= load(of.limits);
    for (unsigned bits = mask_bits(in); bits != 0; bits &= bits - 1) {
        const int i = __builtin_ctz(bits);
        const std::int32_t row = of.rows[i];
        if (const std::int64_t pair = ws.screen->near++; pair < near_capacity)
            ws.near_rows[pair] = row, ws.near_components[pair] = k, ws.near_densities[pair] = densities[i];
        if (densities[i] > ws.home_densities[row])
            move_home(of.unit, row, k);
    }
}

/// keep_near for the components in ws.near, of full covariances. Returns what that costs at most, in vector operations:
/// where many components are near, prefixes are found faster by block (screen.hpp).
template <class T>
static std::int64_t keep_full(const model_view<T>& m, const home_rows<T>& of, std::int64_t near,
                              const workspace_view<T>& ws) {
    T* x = ws.panel;
    gather_rows(
        m.dimensions, ws.rows, [&](int i) { return of.rows[i < of.count ? i : of.count - 1]; },
        [&](std::int64_t j, vec<T> column) { store(x + j * lanes<T>, column); });
    for (std::int64_t n = 0; n < near; ++n) {
        vec<T> q[1] = {};
        const std::int64_t outputs = bound_rows(m, ws.near[n], x, load(of.limits), ws.strip, q);
        if (outputs == m.dimensions)
            keep_near(of, ws.near[n], log_density_of(m, ws.near[n], q[0]), ws);
    }
    return near * m.triangle;
}

/// keep_near for the components in ws.near, of the other families: a few components at a time, coordinate by coordinate
/// as long as some row's bound reaches its limit.
template <class T, bool Scaled>
static std::int64_t keep_distances(const model_view<T>& m, const home_rows<T>& of, std::int64_t near,
                                   const workspace_view<T>& ws) {
    constexpr int at_once = 4;
    constexpr std::int64_t columns = 16; // between two looks at the bounds
    const std::int64_t d = m.dimensions;
    std::int64_t cost = near * placing_cost;
    gather_listed<T>(m, nullptr, of.rows, of.count, ws);
    in_groups<at_once>(near, [&]<int N>(std::int64_t first) {
        const std::int32_t* components = ws.near + first;
        vec<T> q[N][1] = {};
        bool some = true;
        for (std::int64_t j = 0; some && j < d; j += columns) {
            const std::int64_t end = j + columns < d ? j + columns : d;
            add_squares<T, N, 1, Scaled>(
                m, ws.strip, [components](int i) { return components[i]; }, q, j, end);
            cost += N * (Scaled ? 3 : 2) * (end - j);
            vec_mask<T> in{};
            for (int i = 0; i < N; ++i)
                in |= log_density_of(m, components[i], q[i][0]) >= load(of.limits);
            some = mask_bits(in) != 0;
        }
        for (int i = 0; i < N && some; ++i)
            keep_near(of, components[i], log_density_of(m, components[i], q[i][0]), ws);
    });
    return cost;
}

/// Lists the pairs of rows of one home and the components in ws.near that may count, with their log-densities. Returns
/// what that cost, in vector operations.
template <class T>
static std::int64_t list_near_pairs(const model_view<T>& m, const unit_view<T>& unit, const std::int32_t* rows,
                                    std::int64_t count, std::int64_t near, const workspace_view<T>& ws) {
    if (near == 0)
        return 0;
    home_rows<T> of{unit, rows, count, {}};
    for (std::int64_t i = 0; i < lanes<T>; ++i)
        of.limits[i] = i < count ? least_density(m, ws.row_limits[rows[i]]) : static_cast<T>(__builtin_inf());
    if (m.family == gmm::family::full)
        return keep_full(m, of, near, ws);
    return m.family == gmm::family::diagonal ? keep_distances<T, true>(m, of, near, ws)
                                             : keep_distances<T, false>(m, of, near, ws);
}

/// Vector operations of one pair in the dense kernels.
template <class T>
static inline std::int64_t dense_cost(const model_view<T>& m) {
    if (m.family == gmm::family::full)
        return m.triangle;
    return (m.family == gmm::family::diagonal ? 3 : 2) * m.dimensions;
}

/// Calls f(home, rows, count) for up to a vector of rows of one home at a time, as long as it returns true. Returns
/// whether it always did.
template <class T, class F>
static inline bool for_home_rows(const model_view<T>& m, const workspace_view<T>& ws, const F& f) {
    for (std::int64_t k = 0, begin = 0; k < m.components; begin = ws.starts[k++])
        for (std::int64_t at = begin; at < ws.starts[k]; at += lanes<T>) {
            const std::int64_t left = ws.starts[k] - at;
            if (!f(k, ws.sorted + at, left < lanes<T> ? left : lanes<T>))
                return false;
        }
    return true;
}

/// All pairs of a span that may count, from the components near the homes of its rows, where that costs little; else
/// none, and ws.screen->near is −1. Returns the cost relative to that of the dense kernels.
template <class T>
static double find_near_pairs(const model_view<T>& m, const unit_view<T>& unit, std::int64_t rows,
                              const workspace_view<T>& ws) {
    // Of the cost of the dense kernels; at the beginning as much as for a few rows more. Guards are worth more.
    const double most = m.surveys ? 1 : 0.5;
    const auto all = static_cast<double>(rows * m.components * dense_cost(m));
    const std::int64_t guarded = leave_out_guarded(m, unit, ws), open = rows - guarded;
    std::int64_t done = guarded, cost = 0;
    ws.screen->near = 0;
    const bool pays = for_home_rows(m, ws, [&](std::int64_t home, const std::int32_t* listed, std::int64_t count) {
        cost += list_near_pairs(m, unit, listed, count, list_near_home(m, home, listed, count, ws), ws);
        done += count;
        const double share = static_cast<double>(done + rows / 16) / static_cast<double>(rows);
        return ws.screen->near <= near_capacity && static_cast<double>(cost * lanes<T>) <= most * share * all;
    });
    if (!pays) {
        ws.screen->near = -1;
        ws.screen->open += open;
        return 1;
    }
    sort_by_key(ws.near_rows, ws.screen->near, rows, ws.near_starts, ws.near_order);
    ws.screen->open += m.surveys ? set_guards(m, unit, ws) : open;
    const double layout = static_cast<double>(rows * m.dimensions) * gather_cost;
    const std::int64_t homes = rows / lanes<T> + m.components; // vectors, at most
    return (static_cast<double>((cost + homes * dense_cost(m)) * lanes<T>) + layout) / all;
}

/// Before the blocks of a span: the log-densities of its rows at home, where they have homes and screening may pay, and
/// all pairs that may count where few do.
template <class T>
static void begin_span(const model_view<T>& m, const unit_view<T>& unit, const workspace_view<T>& ws) {
    screen_state& state = *ws.screen;
    state.at_home = state.laid_out = false;
    state.pairs = 0;
    state.near = -1;
    const bool full = m.family == gmm::family::full;
    const std::int64_t rows = (unit.rows + strip_rows - 1) / strip_rows * strip_rows;
    const bool separated = m.separations || m.drift.scale > 0;
    if (!gathers_rows(m.family, m.dimensions) || !unit.homes || unit.log_factors || !(full || separated) ||
        state.skip * m.block_rows >= rows || !homes_are_known(unit.homes, unit.rows)) {
        state.open += unit.rows;
        return;
    }
    for (std::int64_t i = 0; i < rows; ++i)
        ws.nearest[i] = unit.homes[i] < 0 ? 0 : unit.homes[i];
    find_limits(m, unit, 0, rows, ws);
    state.at_home = true;
    const double cost = separated ? find_near_pairs(m, unit, rows, ws) : 1;
    if (state.near >= 0 || !full)
        note_screen(state, m.surveys && state.near >= 0 ? 0 : cost);
}

/// Distances of a strip of components from all components (kernel_table::separate).
template <class T>
static void separate_full(const model_view<T>& m, const T* means, T* z, T* squares, T* lengths) {
    const std::int64_t d = m.dimensions;
    for (std::int64_t k = 0; k < m.components; ++k) {
        centre_strip(means, m.means + k * d, d, z);
        for (std::int64_t g = 0; g < strip_rows; g += group_rows<T>) {
            vec<T> q[group_vectors], length[group_vectors] = {};
            triangular_squares<T, group_vectors>(z + g, m.factors + k * m.triangle, d, q);
            for (std::int64_t j = 0; j < d; ++j)
                for (int v = 0; v < group_vectors; ++v) {
                    const vec<T> x = load(z + j * strip_rows + g + v * lanes<T>);
                    length[v] += x * x;
                }
            for (int v = 0; v < group_vectors; ++v) {
                store(squares + k * strip_rows + g + v * lanes<T>, q[v]);
                store(lengths + k * strip_rows + g + v * lanes<T>, length[v]);
            }
        }
    }
}

/// separate_full for the other families; inverse: 1 / s_a of diagonal ones.
template <class T, bool Scaled>
static void separate_distances(const model_view<T>& m, const T* centres, const T* inverse, T* squares, T* stretches) {
    const std::int64_t d = m.dimensions;
    for (std::int64_t k = 0; k < m.components; ++k)
        for (std::int64_t g = 0; g < strip_rows; g += group_rows<T>) {
            vec<T> q[1][group_vectors] = {}, stretch[group_vectors] = {};
            add_squares<T, 1, group_vectors, Scaled>(
                m, centres + g, [k](int) { return k; }, q);
            for (std::int64_t j = 0; Scaled && j < d; ++j)
                for (int v = 0; v < group_vectors; ++v) {
                    const vec<T> scale = broadcast(m.factors[k * d + j]);
                    stretch[v] = maximum(stretch[v], scale * load(inverse + j * strip_rows + g + v * lanes<T>));
                }
            for (int v = 0; v < group_vectors; ++v) {
                store(squares + k * strip_rows + g + v * lanes<T>, q[0][v]);
                if (Scaled)
                    store(stretches + k * strip_rows + g + v * lanes<T>, stretch[v]);
            }
        }
}

template <class T>
static void separate_components(const model_view<T>& m, const T* centres, T* z, T* squares, T* lengths) {
    if (m.family == gmm::family::full)
        separate_full(m, centres, z, squares, lengths);
    else if (m.family == gmm::family::diagonal)
        separate_distances<T, true>(m, centres, z, squares, lengths);
    else
        separate_distances<T, false>(m, centres, z, squares, lengths);
}

} // namespace elbo::kernels::cpu::ELBO_SIMD
