// Log-densities of a block of rows under all components: kernels in the namespace of one instruction set.
//
// Lanes are rows. Every log-density is the same chain of operations whatever rows lie beside it.
#pragma once

#include "kernels/cpu/core/simd.hpp"
#include "kernels/cpu/core/tiling.hpp"
#include "kernels/cpu/gmm/kernel_table.hpp"

namespace elbo::kernels::cpu::ELBO_SIMD {

/// Vectors worked on at once, and how many make a strip.
inline constexpr int group_vectors = 4;
template <class T>
inline constexpr int group_rows = group_vectors* lanes<T>;

/// Outputs of the triangular product kept in registers: with 4 vectors of rows 24 or 12 accumulators.
inline constexpr int triangle_outputs = vector_registers == 32 ? 6 : 3;

/// Order of the packed triangle: groups of outputs (columns of u); in a group row after row, entries on or above the
/// diagonal only. The triangular product reads it from front to back. Small full covariances are a single group.
template <class T>
static void pack_triangle(const double* u, gmm::family family, std::int64_t d, T* packed) {
    const bool small = family == gmm::family::full && d <= small_dimensions;
    const std::int64_t group = small ? small_dimensions : triangle_outputs;
    for (std::int64_t first = 0; first < d; first += group) {
        const std::int64_t end = first + group < d ? first + group : d;
        for (std::int64_t t = 0; t < end; ++t)
            for (std::int64_t j = t > first ? t : first; j < end; ++j)
                *packed++ = static_cast<T>(u[t * d + j]);
    }
}

/// y_j = Σ_{t ≤ j} u_tj z_t for N outputs from `first` on and V vectors of rows; returns the packed entries behind.
template <class T, int N, int V>
static inline const T* triangular_outputs(const T* z, const T* u, std::int64_t first, vec<T> (&y)[N][V]) {
#pragma GCC unroll 8
    for (int i = 0; i < N; ++i)
#pragma GCC unroll 8
        for (int v = 0; v < V; ++v)
            y[i][v] = vec<T>{};
    for (std::int64_t t = 0; t < first; ++t, u += N, z += strip_rows)
        add_outer(u, z, y);
#pragma GCC unroll 8
    for (int t = 0; t < N; u += N - t++, z += strip_rows)
        add_outer(u, z, y, t);
    return u;
}

/// Adds y_j² of N outputs to q, in ascending j.
template <class T, int N, int V>
static const T* squared_outputs(const T* z, const T* u, std::int64_t first, vec<T> (&q)[V]) {
    vec<T> y[N][V];
    u = triangular_outputs<T, N, V>(z, u, first, y);
#pragma GCC unroll 8
    for (int i = 0; i < N; ++i)
#pragma GCC unroll 8
        for (int v = 0; v < V; ++v)
            q[v] += y[i][v] * y[i][v];
    return u;
}

/// Stores N outputs.
template <class T, int N, int V>
static const T* stored_outputs(const T* z, const T* u, std::int64_t first, T* out) {
    vec<T> y[N][V];
    u = triangular_outputs<T, N, V>(z, u, first, y);
#pragma GCC unroll 8
    for (int i = 0; i < N; ++i)
#pragma GCC unroll 8
        for (int v = 0; v < V; ++v)
            store(out + (first + i) * strip_rows + v * lanes<T>, y[i][v]);
    return u;
}

/// ‖Uᵀ z‖² for V vectors of rows.
template <class T, int V>
static inline void triangular_squares(const T* z, const T* u, std::int64_t d, vec<T> (&q)[V]) {
    for (int v = 0; v < V; ++v)
        q[v] = vec<T>{};
    std::int64_t first = 0;
    for (; first + triangle_outputs <= d; first += triangle_outputs)
        u = squared_outputs<T, triangle_outputs, V>(z, u, first, q);
    if (first < d)
        with_count<triangle_outputs>(d - first, [&]<int N>() { u = squared_outputs<T, N, V>(z, u, first, q); });
}

/// y = Uᵀ x for one strip.
template <class T>
static void whiten_strip(const T* x, const T* u, std::int64_t d, T* y) {
    for (std::int64_t g = 0; g < strip_rows; g += group_rows<T>) {
        const T* entries = u;
        in_groups<triangle_outputs>(d, [&]<int N>(std::int64_t first) {
            entries = stored_outputs<T, N, group_vectors>(x + g, entries, first, y + g);
        });
    }
}

/// z = x − μ for one strip.
template <class T>
static inline void centre_strip(const T* x, const T* mean, std::int64_t d, T* z) {
    for (std::int64_t j = 0; j < d; ++j) {
        const vec<T> m = broadcast(mean[j]);
#pragma GCC unroll 4
        for (int v = 0; v < strip_rows; v += lanes<T>)
            store(z + j * strip_rows + v, load(x + j * strip_rows + v) - m);
    }
}

/// lp = c − ½ q.
template <class T, int V>
static inline void store_log_density(T* lp, T offset, const vec<T> (&q)[V]) {
#pragma GCC unroll 4
    for (int v = 0; v < V; ++v)
        store(lp + v * lanes<T>, broadcast(offset) - T(0.5) * q[v]);
}

/// Log-densities of one strip under component k from the first `outputs` coordinates of Uᵀ z: all of them, or as many
/// whole groups as give an upper bound.
template <class T>
static inline void full_component_strip(const model_view<T>& m, const T* x, std::int64_t k, std::int64_t outputs, T* z,
                                        T* lp) {
    centre_strip(x, m.means + k * m.dimensions, outputs, z);
    for (std::int64_t g = 0; g < strip_rows; g += group_rows<T>) {
        vec<T> q[group_vectors];
        triangular_squares<T, group_vectors>(z + g, m.factors + k * m.triangle, outputs, q);
        store_log_density(lp + g, m.offsets[k], q);
    }
}

template <class T>
static void full_strip(const model_view<T>& m, const T* x, std::int64_t outputs, T* z, T* lp) {
    for (std::int64_t k = 0; k < m.components; ++k)
        full_component_strip(m, x, k, outputs, z, lp + k * strip_rows);
}

/// Full covariances of at most 4 dimensions: the row stays in registers for all components.
template <class T, int D>
static void small_full_strip(const model_view<T>& m, const T* x, T* lp) {
    constexpr int at_once = 2;
    for (std::int64_t g = 0; g < strip_rows; g += at_once * lanes<T>) {
        vec<T> row[D][at_once];
#pragma GCC unroll 4
        for (int j = 0; j < D; ++j)
#pragma GCC unroll 4
            for (int v = 0; v < at_once; ++v)
                row[j][v] = load(x + j * strip_rows + g + v * lanes<T>);
        for (std::int64_t k = 0; k < m.components; ++k) {
            const T* mean = m.means + k * D;
            const T* u = m.factors + k * m.triangle; // row-major upper triangle
#pragma GCC unroll 4
            for (int v = 0; v < at_once; ++v) {
                vec<T> z[D], q{};
#pragma GCC unroll 4
                for (int j = 0; j < D; ++j)
                    z[j] = row[j][v] - mean[j];
#pragma GCC unroll 4
                for (int j = 0; j < D; ++j) {
                    vec<T> y{};
#pragma GCC unroll 4
                    for (int t = 0; t <= j; ++t)
                        y += u[t * D - t * (t - 1) / 2 + (j - t)] * z[t];
                    q += y * y;
                }
                store(lp + k * strip_rows + g + v * lanes<T>, m.offsets[k] - T(0.5) * q);
            }
        }
    }
}

/// Components worked on at once where a pair needs one accumulator.
inline constexpr int component_group = vector_registers == 32 ? 4 : 2;

/// Adds the squares of coordinates first ... end − 1 of x − μ, with Scaled of s ∘ (x − μ), to q for the components
/// component(0) ... component(N − 1) and V vectors of rows.
template <class T, int N, int V, bool Scaled, class Component>
static inline void add_squares(const model_view<T>& m, const T* x, const Component& component, vec<T> (&q)[N][V],
                               std::int64_t first, std::int64_t end) {
    const std::int64_t d = m.dimensions;
    const T *centres[N], *scales[N];
#pragma GCC unroll 8
    for (int i = 0; i < N; ++i) {
        centres[i] = m.centres + component(i) * d;
        scales[i] = m.factors + component(i) * d;
    }
    for (std::int64_t j = first; j < end; ++j) {
        vec<T> row[V];
#pragma GCC unroll 8
        for (int v = 0; v < V; ++v)
            row[v] = load(x + j * strip_rows + v * lanes<T>);
#pragma GCC unroll 8
        for (int i = 0; i < N; ++i) {
            const vec<T> centre = broadcast(centres[i][j]), scale = broadcast(Scaled ? scales[i][j] : T(1));
#pragma GCC unroll 8
            for (int v = 0; v < V; ++v) {
                const vec<T> difference = row[v] - centre, t = Scaled ? difference * scale : difference;
                q[i][v] += t * t;
            }
        }
    }
}

/// add_squares of all coordinates.
template <class T, int N, int V, bool Scaled, class Component>
static inline void add_squares(const model_view<T>& m, const T* x, const Component& component, vec<T> (&q)[N][V]) {
    add_squares<T, N, V, Scaled>(m, x, component, q, 0, m.dimensions);
}

/// c − ½ q; spherical: c − ½ u² q.
template <class T>
static inline vec<T> log_density_of(const model_view<T>& m, std::int64_t k, vec<T> q) {
    if (m.family == gmm::family::spherical)
        q *= m.factors[k];
    return broadcast(m.offsets[k]) - T(0.5) * q;
}

/// Log-densities of N components from k on for one strip; keeps ‖x − μ‖² if `distances` is given (spherical).
template <class T, int N, bool Scaled>
static void distance_group(const model_view<T>& m, const T* x, std::int64_t k, T* lp, T* distances) {
    for (std::int64_t g = 0; g < strip_rows; g += group_rows<T>) {
        vec<T> q[N][group_vectors] = {};
        add_squares<T, N, group_vectors, Scaled>(
            m, x + g, [k](int i) { return k + i; }, q);
#pragma GCC unroll 8
        for (int i = 0; i < N; ++i)
#pragma GCC unroll 8
            for (int v = 0; v < group_vectors; ++v) {
                const std::int64_t at = (k + i) * strip_rows + g + v * lanes<T>;
                if (distances)
                    store(distances + at, q[i][v]);
                store(lp + at, log_density_of(m, k + i, q[i][v]));
            }
    }
}

template <class T>
static void whiten(const model_view<T>& m, const T* x, T* y) {
    if (m.family == gmm::family::tied)
        return whiten_strip(x, m.whitener, m.dimensions, y);
    for (std::int64_t j = 0; j < m.dimensions; ++j)
        for (int v = 0; v < strip_rows; v += lanes<T>)
            store(y + j * strip_rows + v, load(x + j * strip_rows + v) * broadcast(m.whitener[j]));
}

/// The rows of a strip as the distances take them: whitened in ws.strip for the tied families.
template <class T>
static const T* distance_rows(const model_view<T>& m, const T* x, const workspace_view<T>& ws) {
    if (!m.whitener)
        return x;
    whiten(m, x, ws.strip);
    return ws.strip;
}

/// Log-densities, relative to reference_offset, of the strips of a block into the slab ws.log_densities.
template <class T>
static void log_densities(const model_view<T>& m, const T* x, std::int64_t strips, const workspace_view<T>& ws) {
    const std::int64_t d = m.dimensions, slab = slab_rows(m.components) * strip_rows;
    for (std::int64_t s = 0; s < strips; ++s) {
        const T* rows = x + s * d * strip_rows;
        T* lp = ws.log_densities + s * slab;
        if (m.family == gmm::family::full) {
            if (d <= small_dimensions)
                with_count<small_dimensions>(d, [&]<int D>() { small_full_strip<T, D>(m, rows, lp); });
            else
                full_strip(m, rows, d, ws.strip, lp);
        } else if (m.family == gmm::family::diagonal) {
            in_groups<component_group>(
                m.components, [&]<int N>(std::int64_t k) { distance_group<T, N, true>(m, rows, k, lp, nullptr); });
        } else {
            T* distances = m.whitener ? nullptr : ws.distances + s * slab;
            rows = distance_rows(m, rows, ws);
            in_groups<component_group>(
                m.components, [&]<int N>(std::int64_t k) { distance_group<T, N, false>(m, rows, k, lp, distances); });
        }
    }
}

} // namespace elbo::kernels::cpu::ELBO_SIMD
