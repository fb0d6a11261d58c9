// Tiles of matrix products: C (rows x columns) = A B by one block or one warp, of bfloat16 or float32 factors.
//
// Factors come in pieces of 16 bytes by cp.async, some chunks of the depth ahead. The warps of a block are arranged
// WM x WN x WK; WK > 1 splits the depth, for with few rows there are few tiles, and a split is the only way to keep the
// chain of dependent matrix instructions short. Partial sums are added in a fixed order through shared memory.
//
// bfloat16: m16n8k16. float32: m16n8k8 of tf32 numbers (10 bits of fraction), one product of the rounded factors, or
// three of factors that are split: v = b + s + e with b, s rounded to nearest, |s| <= 2^-11 |v|, |e| <= 2^-22 |v|; of
// the product s s' and the parts with e are left out, so that it is off by at most 3 · 2^-22 |v v'|, 12 times half a
// unit of float32, for any factors between 2^-115 and 2^127 (the exponent range is that of float32, no scales are
// needed). The tensor cores cut their sums off instead of rounding them, which would add up over a long depth: they sum
// a chunk of it, and chunks are added in float32, so that the cut is at most 12 · 2^-24 of a chunk's sum and has no
// chain.
#pragma once

#include "kernels/cuda/core/dependent.cuh"
#include "kernels/cuda/core/hopper.cuh"
#include "kernels/cuda/core/launch.cuh"
#include "kernels/cuda/vae/layer/dense.hpp"
#include "kernels/cuda/vae/layer/fragment.cuh"

#include <cstdint>
#include <type_traits>

namespace elbo::kernels::cuda {

inline constexpr int tile_threads = 256;

/// Threads that share a tile: a block or a warp.
struct block_team {
    static constexpr int threads = tile_threads;
    __device__ static int thread() { return static_cast<int>(threadIdx.x); }
    __device__ static void sync() { __syncthreads(); }
};
struct warp_team {
    static constexpr int threads = 32;
    __device__ static int thread() { return static_cast<int>(threadIdx.x) % 32; }
    __device__ static void sync() { __syncwarp(); }
};

/// Bytes: of a chunk of the depth; a matrix instruction takes 32 of them. Stages: chunks in shared memory. DepthMajor:
/// the depth of no factor runs along rows of memory.
template <class Team_, int M_, int N_, int WM_, int WN_, int WK_, int Bytes_, int Stages_, bool DepthMajor = false>
struct tile_shape {
    using Team = Team_;
    static constexpr int M = M_, N = N_, WM = WM_, WN = WN_, WK = WK_, Bytes = Bytes_, Stages = Stages_;
    static constexpr int MI = M / WM / 16, NI = N / WN / 8; // fragments of a warp
    static_assert(WM * WN * WK * 32 == Team::threads && MI * WM * 16 == M && NI * WN * 8 == N &&
                  Bytes % (32 * WK) == 0);

    // Of either layout the larger: rows of a chunk, or a chunk of rows.
    static constexpr int slot(int extent) {
        const int of_rows = DepthMajor ? 0 : extent * (Bytes + 16), of_depth = Bytes * (extent + 8);
        return of_rows > of_depth ? of_rows : of_depth;
    }
    static constexpr int stage = slot(M) + slot(N);
    static constexpr int c_stride = N + 8, c_size = M * c_stride; // floats
    static constexpr int partial_bytes = WK * c_size * 4;
    static constexpr int bytes = Stages * stage > partial_bytes ? Stages* stage : partial_bytes;
};
using tile_16 = tile_shape<block_team, 16, 16, 1, 1, 8, 256, 8>;
using tile_32 = tile_shape<block_team, 32, 32, 2, 2, 2, 128, 4>;
using tile_64 = tile_shape<block_team, 64, 64, 2, 4, 1, 128, 4>;
using tile_128 = tile_shape<block_team, 128, 112, 4, 2, 1, 128, 3>;

/// The part of a tile that is wanted.
struct tile_extent {
    std::int64_t rows, columns;
};

template <class Element>
inline constexpr int piece_size = 16 / static_cast<int>(sizeof(Element));

// Factors. Strides in shared memory are odd multiples of 16 bytes, or 8 or 24 floats modulo 32: no bank conflicts.

/// The depth runs along rows of memory: row i is row first + i of [rows x depth].
template <class Element_>
struct along_rows {
    using Element = Element_;
    static constexpr bool depth_major = false;
    const Element* data;
    std::int64_t stride, first, rows, depth;

    template <class S, int Extent>
    __device__ void issue(unsigned to, std::int64_t k0) const {
        constexpr int pieces = S::Bytes / 16;
        for (int i = S::Team::thread(); i < Extent * pieces; i += S::Team::threads) {
            const std::int64_t row = first + i / pieces, k = k0 + i % pieces * piece_size<Element>;
            const bool wanted = row < rows && k < depth;
            copy_piece(to + i / pieces * (S::Bytes + 16) + i % pieces * 16, wanted ? data + row * stride + k : data,
                       wanted);
        }
    }
};

/// The depth runs over rows of memory, begin ... end − 1 of them; column i is column first + i of `columns`.
template <class Element_>
struct along_columns {
    using Element = Element_;
    static constexpr bool depth_major = true;
    const Element* data;
    std::int64_t stride, first, columns, begin, end;

    template <class S, int Extent>
    __device__ void issue(unsigned to, std::int64_t k0) const {
        constexpr int pieces = Extent / piece_size<Element>, depth = S::Bytes / static_cast<int>(sizeof(Element));
        for (int i = S::Team::thread(); i < depth * pieces; i += S::Team::threads) {
            const std::int64_t row = begin + k0 + i / pieces, column = first + i % pieces * piece_size<Element>;
            const bool wanted = row < end && column < columns;
            copy_piece(to + i / pieces * (Extent + 8) * static_cast<int>(sizeof(Element)) + i % pieces * 16,
                       wanted ? data + row * stride + column : data, wanted);
        }
    }
};

template <class S>
struct tile_sums {
    float c[S::MI][S::NI][4] = {};
};

/// Where a warp is in its tile.
template <class S>
struct tile_place {
    int k, row, column;
    __device__ tile_place() {
        const int warp = S::Team::thread() / 32;
        k = warp % S::WK;
        row = warp / S::WK / S::WN * (16 * S::MI);
        column = warp / S::WK % S::WN * (8 * S::NI);
    }
};

/// One step of the depth, 32 bytes. Split: three products, the small ones first.
template <bool Split, class S, class A, class B>
__device__ __forceinline__ void add_step(tile_sums<S>& sum, unsigned a, unsigned b, int step, const tile_place<S>& at,
                                         int wanted_rows, int wanted_columns) {
    using Element = typename A::Element;
    constexpr bool rounds = sizeof(Element) == 4;
    std::uint32_t fa[S::MI][4], small_a[Split ? S::MI : 1][4];
#pragma unroll
    for (int i = 0; i < S::MI; ++i) {
        fragments<A, S, S::M>::load(fa[i], a, at.row + 16 * i, step, true, true);
        if constexpr (rounds)
            round_fragment<Split>(fa[i], small_a[Split ? i : 0]);
    }
#pragma unroll
    for (int j = 0; j < S::NI; j += 2) {
        if (8 * j >= wanted_columns)
            break;
        const bool both = j + 1 < S::NI;
        std::uint32_t fb[4], small_b[4];
        fragments<B, S, S::N>::load(fb, b, at.column + 8 * j, step, false, both);
        if constexpr (rounds)
            round_fragment<Split>(fb, small_b);
#pragma unroll
        for (int half = 0; half < 2 && j + half < S::NI; ++half) {
            if (8 * (j + half) >= wanted_columns)
                break;
#pragma unroll
            for (int i = 0; i < S::MI; ++i) {
                if (16 * i >= wanted_rows)
                    break;
                float* c = sum.c[i][j + half];
                if constexpr (Split) {
                    multiply_add(c, small_a[i], fb[2 * half], fb[2 * half + 1], Element());
                    multiply_add(c, fa[i], small_b[2 * half], small_b[2 * half + 1], Element());
                }
                multiply_add(c, fa[i], fb[2 * half], fb[2 * half + 1], Element());
            }
        }
    }
}

/// Adds a chunk of the depth from shared memory, `steps` of which hold anything.
template <class S, class A, class B>
__device__ __forceinline__ void add_chunk(tile_sums<S>& sum, unsigned a, unsigned b, std::int64_t steps, bool split,
                                          const tile_place<S>& at, int wanted_rows, int wanted_columns) {
    constexpr int own = S::Bytes / 32 / S::WK;
    if constexpr (sizeof(typename A::Element) == 2) {
#pragma unroll
        for (int k = 0; k < own; ++k)
            if (const int step = k * S::WK + at.k; step < steps)
                add_step<false, S, A, B>(sum, a, b, step, at, wanted_rows, wanted_columns);
    } else {
        tile_sums<S> part;
        for (int k = 0; k < own; ++k)
            if (const int step = k * S::WK + at.k; step >= steps)
                break;
            else if (split)
                add_step<true, S, A, B>(part, a, b, step, at, wanted_rows, wanted_columns);
            else
                add_step<false, S, A, B>(part, a, b, step, at, wanted_rows, wanted_columns);
#pragma unroll
        for (int i = 0; i < S::MI; ++i)
#pragma unroll
            for (int j = 0; j < S::NI; ++j)
#pragma unroll
                for (int e = 0; e < 4; ++e)
                    sum.c[i][j][e] += part.c[i][j][e];
    }
}

/// Adds the product over `depth`. memory: S::bytes; all threads are past their last read of it in the end. `waits`: A
/// comes from the kernel before this one, for which it waits once the first chunks of B are on their way.
template <class S, class A, class B>
__device__ void multiply(tile_sums<S>& sum, unsigned char* memory, const A& a, const B& b, std::int64_t depth,
                         bool split, const tile_extent& wanted, bool waits = false) {
    constexpr int chunk = S::Bytes / static_cast<int>(sizeof(typename A::Element));
    constexpr int step = 32 / static_cast<int>(sizeof(typename A::Element));
    const unsigned base = shared_address(memory);
    const int chunks = static_cast<int>((depth + chunk - 1) / chunk);
    const tile_place<S> at;
    const auto left = [](std::int64_t all, int first) {
        return static_cast<int>(all - first < 1024 ? all - first : 1024);
    };
    const int rows = left(wanted.rows, at.row), columns = rows > 0 ? left(wanted.columns, at.column) : 0;
    const auto issue_a = [&](int c, int slot) {
        if (c < chunks)
            a.template issue<S, S::M>(base + slot * S::stage, std::int64_t(c) * chunk);
    };
    const auto issue_b = [&](int c, int slot) {
        if (c < chunks)
            b.template issue<S, S::N>(base + slot * S::stage + S::slot(S::M), std::int64_t(c) * chunk);
    };
#pragma unroll 1
    for (int c = 0; c < S::Stages - 1; ++c)
        issue_b(c, c);
    if (waits) {
        wait_for_predecessor();
        let_successor_start();
    }
#pragma unroll 1
    for (int c = 0; c < S::Stages - 1; ++c) {
        issue_a(c, c);
        commit_pieces();
    }
    int slot = 0;
#pragma unroll 1
    for (int c = 0; c < chunks; ++c) {
        wait_pieces<S::Stages - 2>();
        S::Team::sync();
        // The slot of the chunk before, which all warps are done with.
        const int free = slot == 0 ? S::Stages - 1 : slot - 1;
        issue_b(c + S::Stages - 1, free);
        issue_a(c + S::Stages - 1, free);
        commit_pieces();
        if (columns > 0)
            add_chunk<S, A, B>(sum, base + slot * S::stage, base + slot * S::stage + S::slot(S::M),
                               (depth - std::int64_t(c) * chunk + step - 1) / step, split, at, rows, columns);
        slot = slot + 1 == S::Stages ? 0 : slot + 1;
    }
    wait_pieces<0>();
    S::Team::sync();
}

/// Puts the sums into [WK][M][c_stride] at `to`.
template <class S>
__device__ void store_sums(const tile_sums<S>& sum, float* to) {
    const tile_place<S> at;
    const int lane = static_cast<int>(threadIdx.x) % 32;
    to += at.k * S::c_size + (at.row + lane / 4) * S::c_stride + at.column + lane % 4 * 2;
#pragma unroll
    for (int i = 0; i < S::MI; ++i)
#pragma unroll
        for (int j = 0; j < S::NI; ++j)
#pragma unroll
            for (int h = 0; h < 2; ++h)
                *reinterpret_cast<float2*>(to + (16 * i + 8 * h) * S::c_stride + 8 * j) = {sum.c[i][j][2 * h],
                                                                                           sum.c[i][j][2 * h + 1]};
}

/// Two neighbours of the product, whose column is even: the sums of the splits of the depth in their order.
template <class S>
__device__ float2 product_pair(const float* c, int row, int column) {
    float2 total = *reinterpret_cast<const float2*>(c + row * S::c_stride + column);
#pragma unroll
    for (int k = 1; k < S::WK; ++k) {
        const float2 part = *reinterpret_cast<const float2*>(c + k * S::c_size + row * S::c_stride + column);
        total.x += part.x;
        total.y += part.y;
    }
    return total;
}

template <class S>
__device__ float product_number(const float* c, int row, int column) {
    float total = c[row * S::c_stride + column];
#pragma unroll
    for (int k = 1; k < S::WK; ++k)
        total += c[k * S::c_size + row * S::c_stride + column];
    return total;
}

/// The product of the results of the kernel before with weights, then f(row, column, two of its numbers) for pairs of
/// columns.
template <class S, class A, class B, class F>
__device__ void for_each_pair(unsigned char* memory, const A& a, const B& b, std::int64_t depth, bool split,
                              const tile_extent& wanted, F f) {
    tile_sums<S> sum;
    multiply(sum, memory, a, b, depth, split, wanted, true);
    float* c = reinterpret_cast<float*>(memory);
    store_sums(sum, c);
    S::Team::sync();
#pragma unroll 1
    for (int e = S::Team::thread(); e < S::M * S::N / 2; e += S::Team::threads) {
        // Sixteen lanes read sixteen pairs of a row, or eight of each of two rows that are not neighbours: no
        // conflicts.
        const int line = e / (S::N / 2), column = e % (S::N / 2) * 2;
        const int row = S::N == 16 ? (line & ~3) | (line & 1) << 1 | (line >> 1 & 1) : line;
        if (row < wanted.rows && column < wanted.columns)
            f(row, column, product_pair<S>(c, row, column));
    }
}

// Rows of operands, two numbers at a time; the second may be behind the last column.

__device__ __forceinline__ void store_pair(float* to, float2 v, bool both) {
    if (both)
        *reinterpret_cast<float2*>(to) = v;
    else
        *to = v.x;
}
__device__ __forceinline__ void store_pair(__nv_bfloat16* to, float2 v, bool both) {
    if (both)
        *reinterpret_cast<__nv_bfloat162*>(to) = __floats2bfloat162_rn(v.x, v.y);
    else
        *to = __float2bfloat16_rn(v.x);
}
/// Four numbers, `left` of which are there; `to` is a multiple of them.
template <class Element>
__device__ __forceinline__ void store_pairs(Element* to, float4 v, std::int64_t left) {
    store_pair(to, {v.x, v.y}, left > 1);
    if (left > 2)
        store_pair(to + 2, {v.z, v.w}, left > 3);
}
__device__ __forceinline__ float2 load_pair(const float* from, bool both) {
    return both ? *reinterpret_cast<const float2*>(from) : float2{*from, 0};
}
__device__ __forceinline__ float2 load_pair(const __nv_bfloat16* from, bool both) {
    return both ? __bfloat1622float2(*reinterpret_cast<const __nv_bfloat162*>(from))
                : float2{__bfloat162float(*from), 0};
}

/// What is behind the columns of rows first ... of an operand, by the block of its last columns.
template <class S, class Element>
__device__ void store_padding(const operand& to, std::int64_t first, std::int64_t rows, float behind) {
    const int width = static_cast<int>(to.stride() - to.columns);
    for (int e = S::Team::thread(); e < S::M * width; e += S::Team::threads)
        if (first + e / width < rows)
            to.row<Element>(first + e / width)[to.columns + e % width] =
                static_cast<Element>(e % width == 0 ? behind : 0.0f);
}

/// Calls work(Element(), split) with the numbers that products of a precision are made of.
template <class Work>
void with_element(vae::training_precision precision, const Work& work) {
    if (precision == vae::training_precision::bfloat16)
        work(__nv_bfloat16(), false);
    else
        work(0.0f, precision == vae::training_precision::float32);
}

/// Calls work(Element(), tile, split) for a product of rows x columns numbers.
template <class Work>
void with_layer_tile(vae::training_precision precision, std::int64_t rows, std::int64_t columns, const Work& work) {
    with_element(precision, [&](auto element, bool split) {
        switch (choose_tile(layer_tiles, rows, columns)) {
        case 0:
            return work(element, tile_16(), split);
        case 1:
            return work(element, tile_32(), split);
        case 2:
            return work(element, tile_64(), split);
        default:
            return work(element, tile_128(), split);
        }
    });
}
template <class S>
launch_shape grid_of(std::int64_t rows, std::int64_t columns) {
    return dependent({blocks_for(rows, S::M), tile_threads, S::bytes, blocks_for(columns, S::N)});
}

template <class Element>
__device__ const Element* weights_of(const layer_view& layer) {
    if constexpr (std::is_same_v<Element, float>)
        return layer.weights.data;
    else
        return layer.rounded;
}

} // namespace elbo::kernels::cuda
