// What a block of the engine by mma.sync has in shared memory, the place of a thread in it, and the instructions.
#pragma once

#include "kernels/cuda/core/cluster.cuh"
#include "kernels/cuda/gmm/device_views.hpp"
#include "kernels/cuda/gmm/e_step/device_model.cuh"
#include "kernels/cuda/gmm/e_step/tuning.hpp"

#include <cstdint>

namespace elbo::kernels::cuda {

inline constexpr int mma_rows = 64; ///< of a tile
inline constexpr int mma_groups = mma_rows / 16;
/// Numbers from the log-densities of one component to those of the next, and from one dimension of a tile to the next:
/// 8 and 16 modulo 32, so that no phase has bank conflicts.
inline constexpr int mma_column = mma_rows + 8, mma_line = mma_rows + 16;

struct mma_arguments {
    gmm_shape shape;
    device_model<float> model;
    device_rows<float> rows;
    device_sums sums;
    mma_shape tuning;

    /// The first of the components of this block, and how many it has.
    __device__ int first() const { return tuning.ranks > 1 ? cluster_rank() * tuning.span : 0; }
    __device__ int count() const { return min(tuning.span, static_cast<int>(shape.components) - first()); }
    /// The first row of the chunk.
    __device__ std::int64_t begin() const { return blockIdx.x / tuning.ranks * tuning.chunk_rows; }
};

/// Of one component, as the warp that has it reads it.
struct mma_component {
    float4 shifts[4];            ///< b_k times the power of U_k, columns 2 t, 2 t + 1, 8 + 2 t, 9 + 2 t for each t
    float means[mma_dimensions]; ///< μ_k
};

/// What does not grow with the components. Four tiles are in work at a time, in a cluster five, see accumulate_mma.cu:
/// array i of a list has tile i modulo its length.
template <bool Cluster>
struct mma_rows_memory {
    static constexpr int stages = Cluster ? 5 : 4;
    uint4 pieces[2][mma_groups][2][32];               ///< h, then l, of 16 rows: fragment A of a lane
    float columns[stages][mma_dimensions * mma_line]; ///< x by dimensions: row n at n ^ 8 · (dimension / 2 % 4)
    float unscale[2][mma_rows];                       ///< inverse power of two of a row's pieces
    float sizes[stages][mma_rows];                    ///< max |x|
    float weights[stages][mma_rows];
    float4 results[2][mma_rows]; ///< of the row rule: m, Σ, Σ e (m − lp)
    float4 exchange[Cluster ? 2 : 1][Cluster ? most_mma_ranks : 1]
                   [mma_rows];   ///< the same of the components of each rank
    double scalars[3][mma_rows]; ///< of a chunk: sums over the rows at the same place of a tile
};

/// Views of a block's shared memory, and the place of a thread; each phase works them out anew. Row n of component k of
/// the log-densities, later √(w r) of them, is number n ^ 4 · (k / 4 % 2) of its column: all phases then touch every
/// bank once.
template <bool Cluster>
struct mma_block {
    using rows_memory = mma_rows_memory<Cluster>;
    static constexpr int stages = rows_memory::stages;
    rows_memory* rows;
    mma_component* components; ///< [slots]
    float2* parameters;        ///< [slots] offset, inverse power of U_k
    float* mean_sizes;         ///< [slots] max |μ_k|, and 2^-30
    float* densities;          ///< [stages - 1][slots x mma_column]
    int slots;                 ///< components of all warps; those from K on have no share in any row
    int warp, lane, quad, t;
    int first; ///< component of this warp

    __device__ __forceinline__ explicit mma_block(unsigned char* memory) {
        slots = static_cast<int>(blockDim.x) / 32 * mma_components;
        rows = reinterpret_cast<rows_memory*>(memory);
        components = reinterpret_cast<mma_component*>(rows + 1);
        parameters = reinterpret_cast<float2*>(components + slots);
        mean_sizes = reinterpret_cast<float*>(parameters + slots);
        densities = mean_sizes + slots;
        const int thread = thread_index();
        warp = __shfl_sync(0xffffffffu, thread / 32, 0); // the compiler knows that it is the same for the warp
        lane = thread % 32, quad = lane / 4, t = lane % 4;
        first = warp * mma_components;
    }
    __device__ __forceinline__ float* densities_of(int tile) const {
        return densities + tile % (stages - 1) * (slots * mma_column);
    }
    /// What the quads of rows of this warp's components are swapped by.
    __device__ __forceinline__ int flip() const { return warp & 1; }
};

template <bool Cluster>
constexpr std::int64_t mma_shared_bytes(std::int64_t slots) {
    using rows_memory = mma_rows_memory<Cluster>;
    return sizeof(rows_memory) + slots * (sizeof(mma_component) + sizeof(float2) + sizeof(float) +
                                          (rows_memory::stages - 1) * mma_column * sizeof(float));
}

/// c += a b of 16 x 16 by 16 x 8: registers of a are rows quad and quad + 8 of terms 2 t, 2 t + 1, then of terms 2 t +
/// 8, 2 t + 9; those of b the same terms of column quad; c has columns 2 t, 2 t + 1 of rows quad and quad + 8.
__device__ __forceinline__ void multiply_16(float (&c)[4], unsigned a0, unsigned a1, unsigned a2, unsigned a3,
                                            unsigned b0, unsigned b1) {
    asm("mma.sync.aligned.m16n8k16.row.col.f32.f16.f16.f32 {%0,%1,%2,%3}, {%4,%5,%6,%7}, {%8,%9}, {%0,%1,%2,%3};"
        : "+f"(c[0]), "+f"(c[1]), "+f"(c[2]), "+f"(c[3])
        : "r"(a0), "r"(a1), "r"(a2), "r"(a3), "r"(b0), "r"(b1));
}
/// c = a b.
__device__ __forceinline__ void multiply_first(float (&c)[4], unsigned a0, unsigned a1, unsigned a2, unsigned a3,
                                               unsigned b0, unsigned b1) {
    asm("mma.sync.aligned.m16n8k16.row.col.f32.f16.f16.f32 {%0,%1,%2,%3}, {%4,%5,%6,%7}, {%8,%9}, {%10,%10,%10,%10};"
        : "=f"(c[0]), "=f"(c[1]), "=f"(c[2]), "=f"(c[3])
        : "r"(a0), "r"(a1), "r"(a2), "r"(a3), "r"(b0), "r"(b1), "f"(0.0f));
}
/// c += a b of 16 x 8 by 8 x 8.
__device__ __forceinline__ void multiply_8(float (&c)[4], unsigned a0, unsigned a1, unsigned b0) {
    asm("mma.sync.aligned.m16n8k8.row.col.f32.f16.f16.f32 {%0,%1,%2,%3}, {%4,%5}, {%6}, {%0,%1,%2,%3};"
        : "+f"(c[0]), "+f"(c[1]), "+f"(c[2]), "+f"(c[3])
        : "r"(a0), "r"(a1), "r"(b0));
}

} // namespace elbo::kernels::cuda
