// Which panels of components may count for a tile of 256 rows, found from the homes of the rows. With home a of a row,
// r = ‖x − μ_a‖, and y_k = U_kᵀ (x − μ_k):
//
//   ‖y_k‖ >= ‖U_kᵀ (μ_a − μ_k)‖ − ‖U_k‖₂ r,
//
// and the log-density at home bounds the largest one of the row from below. Component k is out for all rows of the tile
// that are at home in a where its log-density stays below that by more than Θ for the largest r and the lowest of these
// log-densities. A tile visits the panels in which a component is left for some of its homes.
//
// Rounding. What counts are the numbers that density.cuh computes, for which ‖ŷ_k − y_k‖ <= ‖e‖ with
// e_j = ε (Σ_i |U_ij| |x_i| + |b_j|), ε = 2⁻²¹ + D / 16 · 2⁻²², so ‖e‖ <= ε ‖U_k‖_F (‖x‖ + ‖μ_k‖). Here, y_a and the
// separations are float chains: off by (p + 2) 2⁻²⁴ ‖U‖_F times ‖x − μ_a‖ or ‖μ_a − μ_k‖. With ‖x‖ <= ‖μ_a‖ + r,
//
//   E_k = (ε + (p + 8) 2⁻²³) ‖U_k‖_F (‖μ_a‖ + ‖μ_k‖ + r)
//
// holds both; it is added to ‖y_a‖ and taken from ‖y_k‖. What is left are relative errors of single roundings and of
// sums of squares, D 2⁻²⁴ of q̂: slack = (D + 32) 2⁻²³ covers them, of squares, of roots and of all that is compared.
// Infinities and NaN leave a component in; q̂ ends at 1e38 in density.cuh, and so does what is compared with it.
#pragma once

#include "kernels/cuda/gmm/device_views.hpp"
#include "kernels/cuda/gmm/e_step/device_model.cuh"
#include "kernels/cuda/gmm/tensor/separations.cuh"

#include <cstdint>

namespace elbo::kernels::cuda {

inline constexpr int screen_homes = 64; ///< of a tile; one with more visits all panels

struct screen_arguments {
    screened_rows all;
    const float* x; ///< [rows x p], row i at i * stride
    std::int64_t stride;
    int p, panel_components;
    float active; ///< −Θ in units of ln 2
    float slack;
    device_model<float> model;
    home_view homes;
};

/// The rows of a tile that are at home in one component.
struct screen_groups {
    int home[screen_homes];
    int reach[screen_homes]; ///< largest r, as the bits of a float
    int depth[screen_homes]; ///< largest −lp at home
};

inline constexpr float half_log2_e = static_cast<float>(0.5 * log2_e);

/// Number of threads of the block before this one for which a condition holds, and of all in `total`; `scratch`: a
/// number for each warp.
__device__ inline int count_before(bool condition, int* scratch, int& total) {
    const int lane = static_cast<int>(threadIdx.x) % 32, warp = static_cast<int>(threadIdx.x) / 32;
    __syncwarp();
    const unsigned mask = __ballot_sync(0xffffffffu, condition);
    __syncthreads(); // the scratch of the last call has been read
    if (lane == 0)
        scratch[warp] = __popc(mask);
    __syncthreads();
    int before = __popc(mask & ((1u << lane) - 1));
    total = 0;
    for (int w = 0; w < screen_rows / 32; ++w) {
        before += w < warp ? scratch[w] : 0;
        total += scratch[w];
    }
    return before;
}

/// Reach of a row from its home, rounded up, and its log-density there, rounded down. `z`: room for its p differences.
__device__ inline float2 look_at_home(const screen_arguments& a, const float* x, int home, float* z) {
    const float* const mean = a.model.means + std::int64_t(home) * a.p;
    float square = 0;
    for (int i = 0; i < a.p; i += 4) {
        const float4 v = __ldg(reinterpret_cast<const float4*>(x + i));
        const float4 m = *reinterpret_cast<const float4*>(mean + i);
        const float d[4] = {v.x - m.x, v.y - m.y, v.z - m.z, v.w - m.w};
#pragma unroll
        for (int j = 0; j < 4; ++j) {
            z[(i + j) * screen_rows] = d[j];
            square += d[j] * d[j];
        }
    }
    const float q = triangle_squares(a.model.factors + std::int64_t(home) * a.p * a.p, a.p, z, screen_rows, 0, 4);
    const component_bounds own = a.homes.bounds[home];
    const float up = 1 + a.slack, reach = ::sqrtf(square) * up;
    const float length = ::sqrtf(q) * up + own.error * (2 * own.size + reach);
    // Farther away the squares of density.cuh, times powers of two, may overflow.
    const float lowest =
        reach < 1e12f ? a.model.offsets[home] * up - half_log2_e * up * (length * up) * length : -INFINITY;
    return make_float2(reach, lowest);
}

/// Whether component k may count for a row of a group.
__device__ __forceinline__ bool may_count(const screen_arguments& a, const screen_groups& groups, int g, int k) {
    const int home = groups.home[g];
    const float reach = __int_as_float(groups.reach[g]), lowest = -__int_as_float(groups.depth[g]);
    const component_bounds of = a.homes.bounds[k];
    const float error = of.error * (a.homes.bounds[home].size + of.size + reach) * (1 + a.slack);
    const float separation = a.homes.separations[std::int64_t(home) * a.all.components + k];
    const float least = fmaxf(separation - (of.norm * reach + error) * (1 + a.slack), 0.0f);
    const float q = fminf(least * least, 1e38f) * (1 - a.slack);
    const float most = a.model.offsets[k] * (1 - a.slack) - half_log2_e * q;
    return !(most < lowest + a.active - a.slack * (::fabsf(lowest) - a.active));
}

/// Whether one of its components may count for a row of one of the groups.
__device__ __forceinline__ bool panel_may_count(const screen_arguments& a, const screen_groups& groups, int homes,
                                                int panel) {
    const int end = min((panel + 1) * a.panel_components, a.all.components);
    for (int k = panel * a.panel_components; k < end; ++k)
        for (int g = 0; g < homes; ++g)
            if (may_count(a, groups, g, k))
                return true;
    return false;
}

/// A block a tile, a thread a row, then a panel. Reads rows in the order of the slab, from L2 factor and mean of each
/// home, 4 K bytes of separations a home; p² / 2 multiply-adds a row, each quarter with 20 bytes of operands. Predicted
/// for 1e6 x 64 on an H200: 0.37 ms.
__global__ void __launch_bounds__(screen_rows, 2) screen_tiles(const screen_arguments a) {
    extern __shared__ __align__(16) float screen_memory[]; // [p][256] x − μ_a
    __shared__ screen_groups groups;
    __shared__ int scratch[screen_rows / 32];
    const int thread = static_cast<int>(threadIdx.x), tile = static_cast<int>(blockIdx.x);
    const home_view& h = a.homes;
    const int slab = a.all.slab_of_tile(tile), rows = a.all.rows_of(slab);
    const std::int64_t first = slab * a.all.slab_rows;
    const int place = static_cast<int>(std::int64_t(tile) * screen_rows - first) + thread;
    if (!h.slabs[slab].screened)
        return;
    const auto row_at = [&](int at) { return first + h.order[first + min(at, rows - 1)]; };
    const int home = h.homes[row_at(place)];
    const bool begins = thread == 0 || h.homes[row_at(place - 1)] != home;
    if (thread < screen_homes)
        groups.reach[thread] = groups.depth[thread] = 0;
    int homes = 0;
    const int group = count_before(begins, scratch, homes) - (begins ? 0 : 1);
    const int panels = a.all.panels, most = panels / 2;
    std::uint16_t* const list = h.lists + std::int64_t(tile) * most;
    int kept = panels;
    if (homes <= screen_homes) {
        if (begins)
            groups.home[group] = home;
        const float2 own = look_at_home(a, a.x + row_at(place) * a.stride, home, screen_memory + thread);
        atomicMax(&groups.reach[group], __float_as_int(::fabsf(own.x)));
        atomicMax(&groups.depth[group], __float_as_int(::fabsf(own.y)));
        __syncthreads();
        kept = 0;
        for (int base = 0; base < panels; base += screen_rows) {
            const int panel = base + thread;
            const bool in = panel < panels && panel_may_count(a, groups, homes, panel);
            int found = 0;
            const int at = kept + count_before(in, scratch, found);
            if (in && at < most)
                list[at] = static_cast<std::uint16_t>(panel);
            kept += found;
        }
    }
    if (thread == 0) {
        kept = kept > most ? panels : kept;
        h.counts[tile] = kept;
        atomicAdd(&h.slabs[slab].visited, kept);
    }
}

} // namespace elbo::kernels::cuda
