// The row rule (docs/kernels.md section 2) from the log-densities of a slab, for training and for inference: largest
// log-density m and where it is, then sums over the active set, all others are skipped. Eight warps share 32 rows: each
// takes every eighth component of a row, in chains of at most chain_rows floats, then float64; the parts are added in
// the order of the warps. So a sum depends on K and on the active pairs alone.
#pragma once

#include "kernels/cuda/gmm/e_step/device_model.cuh"
#include "kernels/cuda/gmm/tensor/layout.hpp"

#include <cstdint>

namespace elbo::kernels::cuda {

inline constexpr int rule_warps = 8;
inline constexpr int rule_threads = 32 * rule_warps;

struct rule_arguments {
    int rows, components;
    float active;           ///< −Θ in units of ln 2
    const float* densities; ///< [K x slab rows]
    std::int64_t slab_rows;
};

/// Largest log-density of a row and where it is first, then sums over the active set.
template <int Sums>
struct row_sums {
    float largest;
    int at;
    double sums[Sums];
};

template <int Sums>
struct row_scratch {
    float largest[rule_warps][rule_rows];
    int at[rule_warps][rule_rows];
    double sums[rule_warps][Sums][rule_rows];
};

/// By the whole block, for the row of each lane; `lp` is its first component. add(chain, k, below, e) adds the terms of
/// an active component to chain [Sums]; below = lp − m, e = 2^below.
template <int Sums, class Add>
__device__ __forceinline__ row_sums<Sums> sum_active(const rule_arguments& p, const float* lp, row_scratch<Sums>& own,
                                                     const Add& add) {
    const int lane = static_cast<int>(threadIdx.x) % 32, warp = static_cast<int>(threadIdx.x) / 32;
    row_sums<Sums> r{-INFINITY, p.components, {}};
    for (int k = warp; k < p.components; k += rule_warps) {
        const float v = lp[k * p.slab_rows];
        if (v > r.largest || r.at == p.components)
            r.largest = v, r.at = k;
    }
    own.largest[warp][lane] = r.largest;
    own.at[warp][lane] = r.at;
    __syncthreads();
    for (int i = 0; i < rule_warps; ++i) {
        const float other = own.largest[i][lane];
        const int where = own.at[i][lane];
        if (other > r.largest || (other == r.largest && where < r.at))
            r.largest = other, r.at = where;
    }
    double part[Sums] = {};
    for (int begin = warp; begin < p.components; begin += chain_rows * rule_warps) {
        float chain[Sums] = {};
        const int end = min(p.components, begin + chain_rows * rule_warps);
        for (int k = begin; k < end; k += rule_warps) {
            const float below = lp[k * p.slab_rows] - r.largest;
            if (below >= p.active)
                add(chain, k, below, exp2_of(below));
        }
        for (int i = 0; i < Sums; ++i)
            part[i] += static_cast<double>(chain[i]);
    }
    for (int i = 0; i < Sums; ++i)
        own.sums[warp][i][lane] = part[i];
    __syncthreads();
    for (int w = 0; w < rule_warps; ++w)
        for (int i = 0; i < Sums; ++i)
            r.sums[i] += own.sums[w][i][lane];
    return r;
}

} // namespace elbo::kernels::cuda
