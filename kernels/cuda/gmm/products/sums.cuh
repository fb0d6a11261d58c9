// Sums over the rows of a unit as products, Σ w r x of 128 components a block: A = shares of 64 components and 16 rows,
// made in registers from the log-densities of the slab, B = the operands of the rows, N-major. N_k = Σ w r, Σ w r x
// and, for spherical components, Σ w r ‖x‖², for diagonal ones Σ w r x² are about the origin and moved to the mean at
// the end of the unit. Squares have powers of two and so shares of their own.
//
// A row's operand is x 2^a, its share w r 2^(−a); those of 64 rows and a component times a power of two of their own
// are h + l in fp16. 64 rows are 3 · 4 steps of the tensor cores from 0, small products first; then they are added in
// registers, rounded to nearest, 64 times a unit. While the products run, the shares of the next 64 rows are made.
//
// Error of a sum, in units of 2⁻²⁴ Σ w r |x|: 8 for the pieces and l l, 16 for four truncated steps of h h, 64
// additions: 88. What lies below 2⁻¹⁷ of the largest share times row of 64 loses up to 2⁻⁴⁰ of that.
//
// Reads 4 bytes a pair of row and component, 16 a row and 4 d from L2 for each 128 components, half of that where two
// blocks share it; writes 24 K S bytes a unit as atomics. Tensor work 6 d a pair, d filled up to 64 or 128. Predicted
// for 1e6 x 128 x 1024 on an H200: 1.0 ms of tensor work, 1.1 of bytes from L2, 0.5 of atomics; 1.1 to 2 ms.
#pragma once

#include "kernels/cuda/gmm/products/operands.cuh"
#include "kernels/cuda/gmm/tensor/wide_products.cuh"

#include <cstdint>

namespace elbo::kernels::cuda {

struct product_sum_arguments {
    gmm_shape shape;
    int rows, sets;     ///< of 128 components for each block of a cluster
    float active;       ///< −Θ in units of ln 2
    const float* means; ///< [K x padded(d)]
    product_view memory;
    std::int64_t slab_rows;
    device_sums sums;
};

inline constexpr int sum_stride = 256; ///< threads that multiply, between the totals of one

/// What a lane is: components `component` and component + 8 of its warp, rows 4 t ... 4 t + 3 of every 16.
struct sum_place {
    int group, thread, warp, lane, quad, t;
    int first; ///< component of the warpgroup
    std::int64_t first_row;
    int tiles; ///< of 128 rows

    template <int Cluster>
    __device__ __forceinline__ static sum_place of(const product_sum_arguments& p, int warp) {
        sum_place at;
        at.group = warp / 4, at.warp = warp % 4, at.thread = static_cast<int>(threadIdx.x) % 128;
        at.lane = static_cast<int>(threadIdx.x) % 32, at.quad = at.lane / 4, at.t = at.lane % 4;
        const int item = static_cast<int>(blockIdx.x) / Cluster;
        const int block = item % p.sets * Cluster + (Cluster > 1 ? static_cast<int>(cluster_rank()) : 0);
        at.first = block * product_lines + at.group * 64;
        at.first_row = item / p.sets * unit_rows;
        const int rows = static_cast<int>(min(unit_rows, p.rows - at.first_row));
        at.tiles = (rows + product_lines - 1) / product_lines;
        return at;
    }
    __device__ __forceinline__ int component(int h) const { return first + 16 * warp + quad + 8 * h; }
    __device__ __forceinline__ void sync() const { named_sync(1 + group, 128); }
};

/// Shares of 64 rows: lp first, then w r over the power of the row; the power of two of each component; sums.
struct share_block {
    float z[2][4][4]; ///< [component][16 rows][row of the lane]
    float active;
    const float* lp; ///< of the first component, the other one is `other` further
    int other;
    float most[2]; ///< of each component's z
    float chain[2] = {}, square_chain[2] = {};
    double* totals; ///< of this thread, in shared memory: Σ w r, Σ w r ‖x‖² of each component

    __device__ __forceinline__ share_block(const product_sum_arguments& p, const sum_place& at, double* to)
        : active(p.active), totals(to) {
        const int last = static_cast<int>(p.shape.components) - 1;
#pragma unroll
        for (int h = 0; h < 2; ++h)
            totals[sum_stride * 2 * h] = totals[sum_stride * (2 * h + 1)] = 0;
        // Where there is no component the last one stands in; nothing becomes of its sums.
        const int k = min(at.component(0), last);
        lp = p.memory.densities + k * p.slab_rows + at.first_row + 4 * at.t;
        other = (min(at.component(1), last) - k) * static_cast<int>(p.slab_rows);
    }
    __device__ __forceinline__ void load(int row) {
#pragma unroll
        for (int h = 0; h < 2; ++h)
#pragma unroll
            for (int s = 0; s < 4; ++s) {
                const float4 v = __ldg(reinterpret_cast<const float4*>(lp + (h ? other : 0) + row + 16 * s));
                z[h][s][0] = v.x, z[h][s][1] = v.y, z[h][s][2] = v.z, z[h][s][3] = v.w;
            }
    }
    /// Of the 16s of rows from First up to Last; `shares`: those of the 64 rows, in shared memory.
    template <int First, int Last>
    __device__ __forceinline__ void weigh(const float4* shares, int t) {
        if constexpr (First == 0)
            most[0] = most[1] = 0;
#pragma unroll
        for (int s = First; s < Last; ++s) {
            asm volatile("" ::: "memory"); // rows are not read ahead: registers are full
#pragma unroll
            for (int j = 0; j < 4; ++j) {
                const float4 row = shares[16 * s + 4 * j + t];
#pragma unroll
                for (int h = 0; h < 2; ++h) {
                    const float below = z[h][s][j] - row.x;
                    const float share = below >= active ? exp2_of(below) * row.y : 0.0f;
                    chain[h] += share;
                    square_chain[h] += share * row.w;
                    z[h][s][j] = share * row.z;
                    most[h] = fmaxf(most[h], z[h][s][j]);
                }
            }
        }
        if constexpr (Last == 4)
            meet();
    }
    /// Shares of squares in the place of those of the rows themselves.
    __device__ __forceinline__ void square(const float4* shares, int t) {
        most[0] = most[1] = 0;
#pragma unroll
        for (int s = 0; s < 4; ++s) {
            asm volatile("" ::: "memory");
#pragma unroll
            for (int j = 0; j < 4; ++j) {
                const float scale = shares[16 * s + 4 * j + t].z;
#pragma unroll
                for (int h = 0; h < 2; ++h) {
                    z[h][s][j] *= scale;
                    most[h] = fmaxf(most[h], z[h][s][j]);
                }
            }
        }
        meet();
    }
    /// The largest of a component, over its four lanes.
    __device__ __forceinline__ void meet() {
#pragma unroll
        for (int h = 0; h < 2; ++h) {
            most[h] = fmaxf(most[h], __shfl_xor_sync(0xffffffffu, most[h], 1));
            most[h] = fmaxf(most[h], __shfl_xor_sync(0xffffffffu, most[h], 2));
        }
    }
    /// The A fragments of 64 rows, times a power of two whose inverse is returned for each component.
    __device__ __forceinline__ float2 pack(unsigned (&high)[4][4], unsigned (&low)[4][4]) const {
        const power_scale power[2] = {scale_below(most[0]), scale_below(most[1])};
#pragma unroll
        for (int s = 0; s < 4; ++s)
#pragma unroll
            for (int i = 0; i < 4; ++i) {
                const int h = i % 2, j = i / 2 * 2;
                const float a = z[h][s][j] * power[h].scale, b = z[h][s][j + 1] * power[h].scale;
                high[s][i] = pack_half(a, b);
                low[s][i] = pack_half(a - low_half(high[s][i]), b - high_half(high[s][i]));
            }
        return make_float2(power[0].inverse, power[1].inverse);
    }
    __device__ __forceinline__ void promote() {
#pragma unroll
        for (int h = 0; h < 2; ++h) {
            totals[sum_stride * 2 * h] += static_cast<double>(chain[h]);
            totals[sum_stride * (2 * h + 1)] += static_cast<double>(square_chain[h]);
            chain[h] = square_chain[h] = 0;
        }
    }
    /// Over the lanes of a quad, the first of which stores them: Σ w r and Σ w r ‖x‖² of component i of the warp at i.
    __device__ __forceinline__ void reduce(const sum_place& at, double2* to) const {
#pragma unroll
        for (int h = 0; h < 2; ++h) {
            double total = totals[sum_stride * 2 * h], squares = totals[sum_stride * (2 * h + 1)];
#pragma unroll
            for (int distance = 1; distance < 4; distance *= 2) {
                total += __shfl_xor_sync(0xffffffffu, total, distance);
                squares += __shfl_xor_sync(0xffffffffu, squares, distance);
            }
            if (at.t == 0)
                to[at.quad + 8 * h] = make_double2(total, squares);
        }
        __syncwarp();
    }
};

/// sums += shares · rows of 64 rows and a stage of dimensions, whose operand of them begins at `rows`; `meanwhile` runs
/// under the products.
template <class Work>
__device__ __forceinline__ void multiply_shares(float (&sums)[32], float2 unscale, unsigned (&high)[4][4],
                                                unsigned (&low)[4][4], unsigned rows, Work meanwhile) {
    constexpr unsigned long long low_piece = product_piece_bytes / 16, step = 2 * line_group_bytes / 16;
    const unsigned long long b = matrix_descriptor(rows, line_group_bytes, term_group_bytes);
    float acc[32];
    pin(acc);
#pragma unroll
    for (int s = 0; s < 4; ++s) {
        pin(high[s]);
        pin(low[s]);
    }
    wgmma_fence();
#pragma unroll
    for (int s = 0; s < 4; ++s) {
        wgmma_f16_n_major(acc, high[s], b + s * step + low_piece, s > 0);
        wgmma_f16_n_major(acc, low[s], b + s * step);
    }
#pragma unroll
    for (int s = 0; s < 4; ++s)
        wgmma_f16_n_major(acc, high[s], b + s * step);
    wgmma_commit();
    meanwhile();
    wgmma_wait<0>();
    pin(acc);
#pragma unroll
    for (int i = 0; i < 32; ++i)
        sums[i] += acc[i] * (i / 2 % 2 ? unscale.y : unscale.x);
}

/// Shares of the rows on their way to the shared memory of a warpgroup, a tile ahead: two buffers take turns. Of 16
/// rows row 4 t + j has place 4 j + t, so that the lanes of a quad read neighbours.
struct share_rows {
    const float4* from; ///< of this thread
    float4* to;
    int tiles;

    __device__ __forceinline__ void fetch(int tile, int thread) {
        copy_async(shared_address(to + tile % 2 * product_lines + thread / 16 * 16 + thread % 4 * 4 + thread / 4 % 4),
                   from + min(tile, tiles - 1) * product_lines);
    }
};

/// The sums of a warpgroup over its unit.
template <int Stages, bool Squares, class Ring>
__device__ __forceinline__ void sum_unit(const sum_place& at, Ring& ring, share_block& shares, share_rows& rows,
                                         float (&sums)[Stages][32]) {
    unsigned high[4][4], low[4][4];
    rows.fetch(0, at.thread);
    shares.load(0);
    wait_copies();
    at.sync();
    shares.weigh<0, 4>(rows.to, at.t);
#pragma unroll 1
    for (int tile = 0; tile < at.tiles; ++tile) {
        int slots[Stages];
#pragma unroll
        for (int s = 0; s < Stages; ++s)
            slots[s] = ring.take();
        rows.fetch(tile + 1, at.thread);
#pragma unroll
        for (int part = 0; part < 2; ++part) {
            float2 unscale = shares.pack(high, low);
            const unsigned at_part = part * product_half_bytes;
            const float4* const present = rows.to + tile % 2 * product_lines + part * 64;
            const float4* const following = rows.to + (tile + part) % 2 * product_lines + (1 - part) * 64;
            if constexpr (Squares) {
                multiply_shares(sums[0], unscale, high, low, ring.address(slots[0]) + at_part,
                                [&] { shares.square(present, at.t); });
                unscale = shares.pack(high, low);
                unscale.x *= 1 / square_power, unscale.y *= 1 / square_power;
            }
            // The last tile is followed by itself, which costs little.
            shares.load(min(tile + part, at.tiles - 1) * product_lines + (1 - part) * 64);
            if (part == 1) {
                wait_copies();
                at.sync();
                shares.promote(); // of this tile, before those of the next are added
            }
            if constexpr (Squares) {
                multiply_shares(sums[1], unscale, high, low, ring.address(slots[1]) + at_part,
                                [&] { shares.template weigh<0, 4>(following, at.t); });
            } else {
                multiply_shares(sums[0], unscale, high, low, ring.address(slots[0]) + at_part,
                                [&] { shares.template weigh<0, 4 / Stages>(following, at.t); });
                if constexpr (Stages == 2)
                    multiply_shares(sums[1], unscale, high, low, ring.address(slots[1]) + at_part,
                                    [&] { shares.template weigh<2, 4>(following, at.t); });
            }
        }
#pragma unroll
        for (int s = 0; s < Stages; ++s)
            ring.release(slots[s]);
    }
}

/// From registers to rows of `width` floats in shared memory, a row a component.
template <int Stages>
__device__ __forceinline__ void spread_sums(const sum_place& at, const float (&sums)[Stages][32], float* to,
                                            int width) {
#pragma unroll
    for (int s = 0; s < Stages; ++s)
#pragma unroll
        for (int i = 0; i < 32; ++i)
            to[(16 * at.warp + at.quad + i / 2 % 2 * 8) * width + 64 * s + 8 * (i / 4) + 2 * at.t + i % 2] = sums[s][i];
}

/// Adds the statistics of a warp's 16 components to the sums of the fit, about their means: Σ g (x − μ) = Σ g x − μ Σ g
/// and Σ g (x − μ)² = Σ g x² − μ (2 Σ g x − μ Σ g), of a coordinate or of all. `own`: of Σ g and Σ g ‖x‖² of the warp's
/// components.
__device__ inline void add_component_sums(const product_sum_arguments& p, const sum_place& at, const float* sums,
                                          int width, const double2* own) {
    const int d = static_cast<int>(p.shape.dimensions), stride = static_cast<int>(padded(d));
    const std::int64_t size = statistics_size(p.shape.family, d);
    const auto add = [&](std::int64_t place, double value) {
        add_fixed(p.sums.limbs, p.sums.count, place, value, p.sums.component_exponent);
    };
#pragma unroll 1
    for (int i = 0; i < 16; ++i) {
        const int k = at.first + 16 * at.warp + i;
        if (k >= p.shape.components)
            break;
        const double total = own[i].x;
        double beside = 0;
#pragma unroll 1
        for (int j = at.lane; j < d; j += 32) {
            const double sum = static_cast<double>(sums[(16 * at.warp + i) * width + j]);
            const double mean = static_cast<double>(p.means[std::int64_t(k) * stride + j]);
            const double shift = mean * (2 * sum - mean * total);
            add(k * size + 1 + j, sum - mean * total);
            if (p.shape.family == gmm::family::diagonal)
                add(k * size + 1 + d + j,
                    static_cast<double>(sums[(16 * at.warp + i) * width + product_terms + j]) - shift);
            beside += shift;
        }
        __syncwarp();
        beside = warp_reduce(beside, sum_of());
        if (at.lane == 0) {
            add(k * size, total);
            if (p.shape.family == gmm::family::spherical)
                add(k * size + 1 + d, own[i].y - beside);
        }
    }
}

/// A block for each unit and 128 components, a cluster for each unit and 256 that share what they read of the rows.
template <int Cluster, int Stages, bool Squares>
__global__ void __launch_bounds__(product_threads, 1) product_moments(const product_sum_arguments p) {
    extern __shared__ __align__(1024) unsigned char memory[];
    if (!all_near(p.memory.near, static_cast<int>(p.shape.components)))
        return;
    const int warp = __shfl_sync(0xffffffffu, static_cast<int>(threadIdx.x) / 32, 0);
    wide_ring<Cluster> ring(memory, warp < 8, sum_operands);
    if (warp >= 8) {
        registers_decrease<24>();
        if (threadIdx.x == 256) {
            const int unit = static_cast<int>(blockIdx.x) / Cluster / p.sets,
                      first_row = unit * static_cast<int>(unit_rows);
            const int rows = min(static_cast<int>(unit_rows), p.rows - first_row);
            const unsigned char* from =
                p.memory.moments + std::int64_t(first_row / product_lines) * (Stages * operand_bytes);
            for (int left = (rows + product_lines - 1) / product_lines * Stages; left > 0;
                 --left, from += operand_bytes)
                ring.fill(from, true);
        }
        __syncwarp();
    } else {
        registers_increase<240>();
        const sum_place at = sum_place::of<Cluster>(p, warp);
        float4* const buffer =
            reinterpret_cast<float4*>(memory + sum_operands * (operand_bytes + 16)) + at.group * 2 * product_lines;
        share_rows rows{p.memory.shares + at.first_row + at.thread, buffer, at.tiles};
        double* const totals =
            reinterpret_cast<double*>(memory + sum_operands * (operand_bytes + 16) + 4 * row_share_bytes);
        share_block shares(p, at, totals + threadIdx.x);
        float sums[Stages][32] = {};
        sum_unit<Stages, Squares>(at, ring, shares, rows, sums);
        named_sync(3, 256); // the other warpgroup has read the ring, too
        constexpr int width = 64 * Stages + 4;
        float* const spread = reinterpret_cast<float*>(memory) + at.group * 64 * width;
        spread_sums<Stages>(at, sums, spread, width);
        double2* const own = reinterpret_cast<double2*>(buffer) + 16 * at.warp;
        shares.reduce(at, own);
        add_component_sums(p, at, spread, width, own);
    }
    if constexpr (Cluster > 1)
        cluster_sync(); // no block leaves while the other copies to it or arrives on its barriers
}

} // namespace elbo::kernels::cuda
