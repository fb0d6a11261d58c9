// E-step and sums of full covariances of few dimensions by mma.sync, which every device has: rows are read once,
// log-densities, responsibilities and statistics stay on chip.
#include "kernels/cuda/core/launch.cuh"
#include "kernels/cuda/gmm/e_step/accumulate.hpp"
#include "kernels/cuda/gmm/mma/mma_densities.cuh"
#include "kernels/cuda/gmm/mma/mma_moments.cuh"
#include "kernels/cuda/gmm/mma/mma_rows.cuh"

namespace elbo::kernels::cuda {

namespace {

/// Adds the scalars of a chunk to those of the fit.
template <class Block>
__device__ __forceinline__ void flush_scalars(const mma_arguments& a, const Block& b, double* scratch) {
    const int row = static_cast<int>(threadIdx.x);
#pragma unroll 1
    for (int i = 0; i < 3; ++i) {
        const double sum = block_sum(row < mma_rows ? b.rows->scalars[i][row] : 0, scratch);
        if (row == 0)
            add_fixed(a.sums.limbs, a.sums.count, a.sums.count - scalar_count + i, sum, a.sums.scalar_exponent);
    }
}

// A chunk of rows a block, or a cluster of blocks (ranks) that have a range of the components each, in tiles of 64
// rows. A warp has four components, whose factors and sums stay in its registers. Four tiles are under way at a time,
// in the stages load, log-densities, row rule, moments, between the same two barriers: a warp that waits for one of
// them has work in another. In a cluster the row rule is two stages, between which the ranks tell each other 16 bytes a
// row. Predicted for 1e6 x 16 x 64 on an H200: 275 instructions a pair, 245 chunks on 132 multiprocessors, 0.53 to 0.8
// ms; 0.33 to 0.5 where clusters lie apart (docs/kernels.md section 6).
template <bool Cluster>
__global__ void __launch_bounds__(32 * most_mma_components / mma_components, 1)
    accumulate_mma_chunks(const mma_arguments a) {
    extern __shared__ __align__(16) unsigned char memory[];
    __shared__ double scratch[32];
    using block = mma_block<Cluster>;
    constexpr int last = block::stages - 1; // the stage of the moments
    mma_factors factors;
    factors.load(a, block(memory));
    if (threadIdx.x < mma_rows)
        for (int i = 0; i < 3; ++i)
            block(memory).rows->scalars[i][threadIdx.x] = 0;
    const int tiles = static_cast<int>((min(a.tuning.chunk_rows, a.rows.rows - a.begin()) + mma_rows - 1) / mma_rows);
    mma_sums sums;
#pragma unroll 1
    for (int turn = 0; turn < tiles + last; ++turn) {
        const auto under_way = [&](int stage) { return turn >= stage && turn < tiles + stage; };
        if (turn < tiles)
            load_tile(a, block(memory), turn);
        if (under_way(1))
            tile_log_densities(block(memory), turn - 1, factors);
        if constexpr (Cluster) {
            if (under_way(2))
                tell_parts(a, block(memory), turn - 2);
            if (under_way(3))
                join_parts(a, block(memory), turn - 3);
        } else if (under_way(2)) {
            tile_shares(a, block(memory), turn - 2);
        }
        if (turn >= last) {
            if (!Cluster || cluster_rank() == 0)
                add_scalars(a, block(memory), turn - last);
            tile_moments(block(memory), turn - last, sums);
        }
        if constexpr (Cluster)
            cluster_sync();
        else
            __syncthreads();
    }
    flush_sums(a, block(memory), sums);
    if (!Cluster || cluster_rank() == 0)
        flush_scalars(a, block(memory), scratch);
}

// Every device has the memory of a block alone, all that know clusters but 12.0 that of a rank.
static_assert(mma_shared_bytes<false>(most_mma_components) + 1024 <= least_abilities.shared_bytes);
static_assert(mma_shared_bytes<true>(most_mma_components) + 1024 <= mma_cluster_bytes);

template <bool Cluster>
void start(const internal::cuda_state& state, const mma_arguments& a) {
    const std::int64_t warps = a.tuning.span / mma_components, ranks = a.tuning.ranks;
    launch(state, "accumulate_mma_chunks",
           {ranks * blocks_for(a.rows.rows, a.tuning.chunk_rows), static_cast<int>(32 * warps),
            mma_shared_bytes<Cluster>(a.tuning.span), 1, static_cast<unsigned>(ranks)},
           accumulate_mma_chunks<Cluster>, a);
}

} // namespace

void accumulate_mma(const internal::cuda_state& state, const gmm_shape& shape, const device_model<float>& model,
                    const device_rows<float>& rows, const device_sums& sums) {
    const mma_arguments a{shape, model, rows, sums, shape_mma(shape)};
    if (a.tuning.ranks > 1)
        start<true>(state, a);
    else
        start<false>(state, a);
}

} // namespace elbo::kernels::cuda
