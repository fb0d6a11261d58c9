// The dot form of the fused variant, for the cheap families where all means lie near the origin, each product with one
// multiply-add where the direct form takes a difference, too. Where squared distances are ‖y − c_k‖² (spherical y = x,
// c = μ, and u_k² times it; tied y = Uᵀx, c = Uᵀμ) they become ‖y‖² − 2 y·c_k + ‖c_k‖² with ‖y‖² once a row; with a
// scale for each dimension (diagonal families) that would cost no less. Sums are Σ g x and Σ g x² about the origin.
//
// How exact: in units of the component's deviation let X = ‖U_kᵀx‖, m = ‖U_kᵀμ_k‖ and q = ‖U_kᵀ(x − μ_k)‖², so that X ≤
// √q + m. The three terms are rounded in proportion to their own size, together (X + m)², not to their sum q. As the
// bound of docs/kernels.md section 5, which has √q (X + m) of the differences in the place of (X + m)²:
//     |error of log p| ≤ 4 u ((X + m)² + d + q),
// at most 4 u (2 m √q + 4 m²) ≤ 4 u (q + 5 m²) more. For m ≤ 3 this is no more than the bound of the direct form has of
// q already, and 45 · 4 u = 1.1e-5 nats in float32; m = 30 would cost 1.1e-3. Σ g x / Σ g is off by some u (1 + m)
// deviations in a chain, a variance by u (1 + m)² of itself, Σ g q by 4 u (X + m)² a row: relative to q = d by 4 u (1 +
// 2 m/√d)². The origin is that of the normalised frame, amid the data. Whether all components are near is decided from
// the parameters alone: the same in every block, whatever the rows.
//
// Predicted for 1e6 rows on an H200, not measured: spherical 128 x 1024 8.4 to 17 ms, diagonal 64 x 256 2.1 to 4.5,
// tied 64 x 256 1.4 to 3.7 (docs/kernels.md section 6).
#pragma once

#include "kernels/cuda/gmm/e_step/fused_block.cuh"
#include "kernels/cuda/gmm/e_step/fused_moments.cuh"
#include "kernels/cuda/gmm/e_step/sums.cuh"

namespace elbo::kernels::cuda {

/// Whether the dot form serves these parameters. Far below where products overflow, too: there is no inf − inf.
template <class T>
__device__ bool suits_dots(const fused_arguments<T>& a) {
    constexpr T limit = T(dot_form_limit * dot_form_limit), far = T(0x1p100);
    const bool scalar = geometry(a.shape.family).spherical();
    const std::int64_t p = padded(a.shape.dimensions);
    bool near = suits_dot_form(a.shape);
    for (std::int64_t k = threadIdx.x; near && k < a.shape.components; k += accumulate_threads) {
        const T norm = a.model.norms[k];
        const T u = scalar ? a.model.factors[k * p] : T(1);
        near = ::isinf(a.model.offsets[k]) || (norm <= far && norm * u * u <= limit);
    }
    return block_all(near);
}

/// ‖y‖² of the rows of a tile, four lanes a row.
template <class T>
__device__ void tile_norms(const fused_block<T>& b) {
    const int thread = thread_index();
    const int lane = thread % 4;
    for (int base = thread / 32 * 8; base < b.rows; base += accumulate_threads / 4) {
        const int row = base + thread % 32 / 4;
        T sum = 0;
        for (int j = 4 * lane; j < b.p; j += 16) {
            const quad<T> y = load_quad(b.whitened + row * b.stride + j);
#pragma unroll
            for (int i = 0; i < 4; ++i)
                sum += y.v[i] * y.v[i];
        }
        for (int distance = 1; distance < 4; distance *= 2)
            sum += __shfl_xor_sync(0xffffffffu, sum, distance);
        if (lane == 0)
            b.norms[row] = sum;
    }
}

template <class T>
struct alignas(2 * sizeof(T)) couple {
    T v[2];
};
template <class T>
__device__ inline couple<T> load_couple(const T* p) {
    return *reinterpret_cast<const couple<T>*>(p);
}

/// Σ g x of dot_components components and `columns` quads of dimensions over rows; or Σ g x and Σ g x² of one quad. Per
/// two rows in float32: 4 (2) reads of rows, 8 of g, half as long, 128 multiply-adds. Four rows would have fewer reads,
/// but more numbers than registers.
template <class T, bool Squares>
struct origin_moments {
    static constexpr int columns = Squares ? 1 : dot_quads(sizeof(T));
    static constexpr int quads = Squares ? 2 : columns;
    T sum[dot_components][4 * quads] = {};

    /// Two rows: the first one's x at `x`, the second quad `next` further, its g of component c at g + at[c].
    __device__ void add(const T* x, int stride, int next, const T* g, const int (&at)[dot_components]) {
        quad<T> row[2][quads];
#pragma unroll
        for (int r = 0; r < 2; ++r)
#pragma unroll
            for (int h = 0; h < columns; ++h)
                row[r][h] = load_quad(x + r * stride + h * next);
        if constexpr (Squares)
#pragma unroll
            for (int r = 0; r < 2; ++r)
#pragma unroll
                for (int i = 0; i < 4; ++i)
                    row[r][1].v[i] = row[r][0].v[i] * row[r][0].v[i];
#pragma unroll
        for (int c = 0; c < dot_components; ++c) {
            const couple<T> share = load_couple(g + at[c]);
#pragma unroll
            for (int r = 0; r < 2; ++r)
#pragma unroll
                for (int i = 0; i < 4 * quads; ++i)
                    sum[c][i] += share.v[r] * row[r][i / 4].v[i % 4];
        }
    }
};

/// Σ g x of a tile. A micro-tile belongs to dot_lanes lanes of a warp, eight lanes apart so that eight neighbours read
/// the same rows, each with a part of the rows; between them they have it for the whole chunk.
template <class T, bool Squares>
__device__ void tile_moments_about_origin(const fused_arguments<T>& a, const fused_block<T>& b) {
    constexpr int width = origin_moments<T, Squares>::columns;
    const int thread = thread_index();
    const int n = b.p / 4;
    const int columns = (n + width - 1) / width;
    const int groups = (b.count + dot_components - 1) / dot_components;
    const int lanes = static_cast<int>(a.tuning.dot_lanes);
    const int octets = (columns * groups + 7) / 8;
    const int part_rows = b.rows / static_cast<int>(a.tuning.row_split);
    const int numbers = static_cast<int>(fused_statistics(a.shape.family, b.d));
    const int tasks = static_cast<int>(a.tuning.row_split) * octets * lanes * 8;
    // Whole warps go round together, as for the densities.
    for (int base = thread / 32 * 32; base < tasks; base += accumulate_threads) {
        const int index = min(base + thread % 32, tasks - 1);
        const int lane = index / 8 % lanes;
        const int part = index / 8 / lanes / octets;
        const int task = index / 8 / lanes % octets * 8 + index % 8;
        const int tj = task % columns, group = min(task / columns, groups - 1);
        int at[dot_components];
#pragma unroll
        for (int c = 0; c < dot_components; ++c)
            at[c] = min(group + c * groups, b.count - 1) * b.column;
        // Where the last column has one quad alone, the second is the first again, and left out in the end.
        const int next = tj + columns < n ? 4 * columns : 0;
        for (int chain = part * part_rows; chain < (part + 1) * part_rows; chain += chain_rows) {
            const int end = min(chain + chain_rows, (part + 1) * part_rows);
            origin_moments<T, Squares> moments;
#pragma unroll 1
            for (int row = chain + 2 * lane; row < end; row += 2 * lanes)
                moments.add(b.tile + row * b.stride + 4 * tj, b.stride, next, b.densities + row, at);
            sum_over_lanes(moments.sum, lanes, lane, 8);
            if (base + thread % 32 >= tasks || task >= columns * groups)
                continue;
            const component_range own = own_components<dot_components>(lanes, lane);
#pragma unroll
            for (int c = 0; c < dot_components; ++c) {
                const int i = group + (own.first + c) * groups;
                if (c >= own.count || i >= b.count)
                    break;
                asm volatile("" ::: "memory"); // sums are not read ahead: registers are full
                double* statistics = b.statistics + (part * a.tuning.span + i) * numbers;
#pragma unroll
                for (int e = 0; e < 4 * moments.quads; ++e)
                    if (e < 4 || Squares || next != 0)
                        statistics[Squares ? statistic_at(e, tj, n) : statistic_at(e % 4, tj + e / 4 * columns, n)] +=
                            static_cast<double>(moments.sum[c][e]);
            }
        }
    }
}

} // namespace elbo::kernels::cuda
