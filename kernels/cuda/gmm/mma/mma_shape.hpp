// How the engine by mma.sync cuts a shape into warps, blocks and clusters: a function of the shape alone.
#pragma once

#include "kernels/contract/gmm_layout.hpp"

#include <cstdint>

namespace elbo::kernels::cuda {

/// Full covariances of few dimensions by mma.sync (gmm/mma): a warp has some components, a block up to 64, a cluster
/// all.
inline constexpr int mma_dimensions = 16;
inline constexpr int mma_components = 4; ///< of a warp
inline constexpr int most_mma_components = 64;
inline constexpr std::int64_t mma_cluster_bytes = 160 * 1024; ///< shared memory that a block of a cluster takes at most
inline constexpr int most_mma_ranks = 8;                      ///< blocks of a cluster
struct mma_shape {
    int ranks = 0; ///< blocks of a cluster; 0: does not fit
    int span = 0;  ///< components of a rank, whole warps; fewer of the last one
    std::int64_t chunk_rows = 0;
};
constexpr mma_shape shape_mma(const gmm_shape& s) {
    for (int ranks = 1; ranks <= most_mma_ranks; ranks *= 2) {
        const std::int64_t warps = (s.components + ranks * mma_components - 1) / (ranks * mma_components);
        if (warps * mma_components > most_mma_components)
            continue;
        // As in the fused variant: few sums are cheap to add up, and smaller chunks keep more multiprocessors busy.
        const std::int64_t size = s.components * statistics_size(s.family, s.dimensions);
        return {ranks, static_cast<int>(warps * mma_components), size <= 2048 ? 1024 : unit_rows};
    }
    return {};
}

} // namespace elbo::kernels::cuda
