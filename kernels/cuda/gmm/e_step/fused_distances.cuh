// The first product of the fused variant: log-densities of a tile of rows under a range of components.
#pragma once

#include "kernels/cuda/gmm/e_step/fused_block.cuh"

namespace elbo::kernels::cuda {

/// A thread's squared distances (dots: dot products) of `height` rows to pair_components components, over the quads of
/// dimensions `begin`, begin + step, ... Per quad in float32: 8 reads of rows, 4 or 8 of parameters, 256 arithmetic
/// instructions.
template <class T, distance_form Form>
struct pair_tile {
    static constexpr int height = pair_rows(sizeof(T));
    T q[pair_components][height] = {};

    /// `at` of a component: where its parameters lie, those of dimension 0.
    __device__ void add(const T* rows, int row_step, const T* centres, const T* factors,
                        const int (&at)[pair_components], int begin, int step, int p) {
#pragma unroll 1
        for (int j = 4 * begin; j < p; j += 4 * step) {
            quad<T> x[height];
#pragma unroll
            for (int r = 0; r < height; ++r)
                x[r] = load_quad(rows + r * row_step + j);
#pragma unroll
            for (int c = 0; c < pair_components; ++c) {
                const quad<T> m = load_quad(centres + at[c] + j);
                quad<T> u{};
                if constexpr (Form == distance_form::scaled)
                    u = load_quad(factors + at[c] + j);
#pragma unroll
                for (int r = 0; r < height; ++r)
#pragma unroll
                    for (int a = 0; a < 4; ++a) {
                        if constexpr (Form == distance_form::dots) {
                            q[c][r] += x[r].v[a] * m.v[a];
                        } else {
                            const T z =
                                Form == distance_form::scaled ? x[r].v[a] * u.v[a] - m.v[a] : x[r].v[a] - m.v[a];
                            q[c][r] += z * z;
                        }
                    }
            }
        }
    }
};

/// lp = offset − ½ log2 e · q; −infinity of a dropped component. ½ log2 e in two parts: its rounding to T alone would
/// be the same relative error of q in every row.
template <class T>
__device__ T log_density_of(T offset, T q) {
    constexpr T half = T(0.5 * log2_e);
    constexpr T rest = T(0.5 * log2_e - static_cast<double>(half));
    return ::isinf(offset) ? offset : offset - rest * q - half * q;
}

/// ‖y − c‖² from ‖y‖², ‖c‖² and y·c. Where ‖y‖² has overflowed, y·c may be no number.
template <class T>
__device__ T distance_from_dot(T row_norm, T centre_norm, T dot) {
    const T q = row_norm + centre_norm - 2 * dot;
    return ::isinf(row_norm) ? row_norm : q > T(0) ? q : T(0);
}

/// lp of a tile. Neighbouring threads take the parts of the dimensions, then neighbouring rows, then components.
template <class T, distance_form Form>
__device__ void tile_densities(const fused_arguments<T>& a, const fused_block<T>& b) {
    const int thread = thread_index();
    const gmm_shape& s = a.shape;
    const bool scalar = geometry(s.family).spherical();
    const T* centres = (scalar ? a.model.means : a.model.whitened) + std::int64_t(b.first) * b.p;
    const T* factors = a.model.factors + std::int64_t(b.first) * b.p;
    const int splits = static_cast<int>(a.tuning.dim_split);
    constexpr int height = pair_tile<T, Form>::height;
    const int row_groups = b.rows / height;
    const int groups = (b.count + pair_components - 1) / pair_components;
    const int tasks = splits * row_groups * groups;
    // Whole warps go round together: lanes that share a micro-tile exchange sums.
    for (int base = thread / 32 * 32; base < tasks; base += accumulate_threads) {
        const int task = min(base + thread % 32, tasks - 1);
        const int part = task % splits;
        const int row = task / splits % row_groups;
        const int group = task / splits / row_groups;
        int at[pair_components];
#pragma unroll
        for (int c = 0; c < pair_components; ++c)
            at[c] = min(group + c * groups, b.count - 1) * b.p;
        pair_tile<T, Form> pairs;
        pairs.add(b.whitened + row * b.stride, row_groups * b.stride, centres, factors, at, part, splits, b.p);
        sum_over_lanes(pairs.q, splits, part, 1);
        if (base + thread % 32 >= tasks)
            continue;
        const component_range own = own_components<pair_components>(splits, part);
#pragma unroll
        for (int c = 0; c < pair_components; ++c) {
            const int i = group + (own.first + c) * groups;
            if (c >= own.count || i >= b.count)
                break;
            const T offset = a.model.offsets[b.first + i];
            const T u = scalar ? factors[i * b.p] : T(1);
            const T norm = Form == distance_form::dots ? a.model.norms[b.first + i] : T(0);
#pragma unroll
            for (int r = 0; r < height; ++r) {
                const int of_row = row + r * row_groups, place = i * b.column + of_row;
                const T q = Form == distance_form::dots ? distance_from_dot(b.norms[of_row], norm, pairs.q[c][r])
                                                        : pairs.q[c][r];
                if (s.family == gmm::family::spherical)
                    b.distances[place] = q;
                b.densities[place] = log_density_of(offset, q * u * u);
            }
        }
    }
}

/// Rows of a thread whose coordinates all lie in registers, and the lanes that share a component.
constexpr int row_height(int quads) {
    return quads > 4 ? 2 : 4;
}

/// ‖Uᵀx − b‖² of Height rows, 4 · Quads coordinates each, in registers; U [p x p] is upper triangular, so four columns
/// take the blocks of four rows up to their own. A read of U serves 4 · Height multiply-adds. One loop over the
/// columns, since unrolled the reads of all would fill the registers.
template <int Quads, int Height>
__device__ void full_squares(const float (&x)[Height][4 * Quads], const float* factor, const float* bias,
                             float (&q)[Height]) {
    constexpr int p = 4 * Quads;
#pragma unroll 1
    for (int i = 0; i < p; i += 4) {
        const quad<float> start = load_quad(bias + i);
        float y[Height][4];
#pragma unroll
        for (int r = 0; r < Height; ++r)
#pragma unroll
            for (int c = 0; c < 4; ++c)
                y[r][c] = -start.v[c];
#pragma unroll
        for (int j = 0; j < p; j += 4) {
            if (j > i)
                break;
#pragma unroll
            for (int a = 0; a < 4; ++a) {
                const quad<float> u = load_quad(factor + (j + a) * p + i);
#pragma unroll
                for (int r = 0; r < Height; ++r)
#pragma unroll
                    for (int c = 0; c < 4; ++c)
                        y[r][c] += x[r][j + a] * u.v[c];
            }
        }
#pragma unroll
        for (int r = 0; r < Height; ++r)
#pragma unroll
            for (int c = 0; c < 4; ++c)
                q[r] += y[r][c] * y[r][c];
    }
}

/// lp of a tile for full covariances of 4 · Quads dimensions at most: half a warp (beyond 16 dimensions a warp) takes a
/// component and 64 rows, a thread four (two) of them, whose coordinates stay in registers.
template <int Quads>
__device__ void tile_full_densities(const fused_arguments<float>& a, const fused_block<float>& b) {
    constexpr int p = 4 * Quads, height = row_height(Quads), lanes = 64 / height, together = 32 / lanes;
    const int thread = thread_index();
    const int lane = thread % 32;
    const int groups = (b.count + together - 1) / together;
    const int tasks = (b.rows + 63) / 64 * groups;
    float x[height][p];
    int held = -1; // the 64 rows in x
    for (int task = thread / 32; task < tasks; task += accumulate_threads / 32) {
        const int first = task / groups * 64 + lane % lanes;
        if (held != task / groups) {
            held = task / groups;
#pragma unroll
            for (int r = 0; r < height; ++r)
#pragma unroll
                for (int j = 0; j < p; j += 4) {
                    const quad<float> from = load_quad(b.tile + min(first + lanes * r, b.rows - 1) * b.stride + j);
#pragma unroll
                    for (int i = 0; i < 4; ++i)
                        x[r][j + i] = from.v[i];
                }
        }
        const int i = min(task % groups * together + lane / lanes, b.count - 1);
        const std::int64_t k = b.first + i;
        float q[height] = {};
        full_squares<Quads>(x, a.model.factors + k * p * p, a.model.whitened + k * p, q);
        const float offset = a.model.offsets[k];
#pragma unroll
        for (int r = 0; r < height; ++r)
            if (first + lanes * r < b.rows)
                b.densities[i * b.column + first + lanes * r] = log_density_of(offset, q[r]);
    }
}

/// The same for any number of dimensions: a warp takes a component and 64 rows, each lane the rows l and l + 32.
template <class T>
__device__ void tile_full_densities(const fused_arguments<T>& a, const fused_block<T>& b) {
    log_densities<T, density_form::full>(b.tile, b.stride, (b.rows + 63) / 64 * 64, b.rows, a.model, b.p, b.first,
                                         b.first + b.count, [&](int row, int k, T lp) {
                                             if (row < b.rows)
                                                 b.densities[(k - b.first) * b.column + row] = lp;
                                         });
}

} // namespace elbo::kernels::cuda
