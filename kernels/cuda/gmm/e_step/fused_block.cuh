// What the functions of the fused variant see: arguments of the launch, the shared memory of a block, and the range of
// components that it has.
#pragma once

#include "kernels/cuda/core/cluster.cuh"
#include "kernels/cuda/gmm/device_views.hpp"
#include "kernels/cuda/gmm/e_step/tile.cuh"

namespace elbo::kernels::cuda {

template <class T>
struct fused_arguments {
    gmm_shape shape;
    device_model<T> model;
    device_rows<T> rows;
    device_sums sums;
    fused_shape tuning;
    const int* near; ///< [K] or null: the products have done the work where all are set
};

/// How the fused variant computes a component's squared distance.
enum class distance_form {
    full,    ///< ‖U_kᵀ(x − μ_k)‖²
    scaled,  ///< Σ (x_j u_kj − μ_kj u_kj)²: diagonal, tied_diagonal
    centres, ///< ‖y − c_k‖²: spherical families, y = x and c = μ, times u_k²; tied, y = Uᵀx and c = Uᵀμ
    dots     ///< the same as ‖y‖² − 2 y·c_k + ‖c_k‖²: where centres lie near the origin (fused_dots.cuh)
};

/// Second moments that the fused variant keeps.
enum class fused_moments {
    full,     ///< upper triangle
    squares,  ///< one a dimension
    distance, ///< Σ g ‖x − μ‖²
    none
};

/// Shared memory of a block, and its components first ... first + count − 1.
template <class T>
struct fused_block {
    double* statistics; ///< [row_split][span][fused_statistics]
    double* exchange; ///< [3][ranks][tile_rows]: of each row and rank largest lp, Σ e, Σ e (m − lp); clusters only
    T* tile;          ///< [tile_rows x stride]
    T* whitened;      ///< the same, tied only: else the tile itself
    T* densities;     ///< lp, then w r, of component first + i and row n at i * column + n
    T* distances;     ///< ‖x − μ_k‖² likewise, spherical only
    T* weights;       ///< [tile_rows]
    T* norms;         ///< [tile_rows] ‖y‖², dot form only
    T* largest;       ///< [tile_rows] max lp over all components, clusters only
    int rank, first, count;
    int rows, stride, column; ///< of a tile
    int d, p;
};

template <class T>
__device__ fused_block<T> partition(const fused_arguments<T>& a, unsigned char* memory) {
    const fused_shape& f = a.tuning;
    fused_block<T> b;
    b.rank = f.ranks > 1 ? cluster_rank() : 0;
    b.first = static_cast<int>(b.rank * f.span);
    b.count = static_cast<int>(std::min(f.span, a.shape.components - b.first));
    b.rows = static_cast<int>(f.tile_rows);
    b.d = static_cast<int>(a.shape.dimensions);
    b.p = static_cast<int>(padded(b.d));
    b.stride = static_cast<int>(tile_stride(b.d));
    b.column = static_cast<int>(density_column(f.tile_rows));
    const std::int64_t statistics = f.row_split * f.span * fused_statistics(a.shape.family, b.d);
    b.statistics = reinterpret_cast<double*>(memory);
    b.exchange = b.statistics + (statistics + 1) / 2 * 2; // quads need 16-byte alignment
    b.tile = reinterpret_cast<T*>(b.exchange + (f.ranks > 1 ? 3 * f.ranks * f.tile_rows : 0));
    b.whitened = a.shape.family == gmm::family::tied ? b.tile + f.tile_rows * b.stride : b.tile;
    b.densities = b.whitened + f.tile_rows * b.stride;
    b.distances = b.densities + f.span * b.column;
    b.weights = a.shape.family == gmm::family::spherical ? b.distances + f.span * b.column : b.distances;
    b.norms = b.weights + f.tile_rows;
    b.largest = has_row_norms(a.shape) ? b.norms + f.tile_rows : b.norms;
    return b;
}

/// Sums of value[component][i] over the `lanes` lanes that are `step`, 2 step, ... apart, this one being lane `part` of
/// them, in a tree. The lanes share the components: a lane ends up with those of own_components(), at value[0] on. Each
/// step of the recursion halves what is held, so that every index is known and the values stay in registers.
template <class T, int Components, int N, int Held = Components>
__device__ void sum_over_lanes(T (&value)[Components][N], int lanes, int part, int step, int distance = 1) {
    if constexpr (Held > 1) {
        if (distance >= lanes)
            return;
        constexpr int half = Held / 2;
        const bool upper = (part & distance) != 0;
#pragma unroll
        for (int c = 0; c < half; ++c)
#pragma unroll
            for (int i = 0; i < N; ++i) {
                const T keep = upper ? value[c + half][i] : value[c][i];
                const T send = upper ? value[c][i] : value[c + half][i];
                value[c][i] = keep + __shfl_xor_sync(0xffffffffu, send, distance * step);
            }
        sum_over_lanes<T, Components, N, half>(value, lanes, part, step, 2 * distance);
    } else {
        for (; distance < lanes; distance *= 2)
#pragma unroll
            for (int i = 0; i < N; ++i)
                value[0][i] += __shfl_xor_sync(0xffffffffu, value[0][i], distance * step);
    }
}

/// The components first ... first + count − 1 of a micro-tile; none where more lanes than components share it.
struct component_range {
    int first, count;
};
template <int Components>
__device__ component_range own_components(int lanes, int part) {
    component_range own{0, part < Components ? Components : 0};
    for (int distance = 1; distance < min(lanes, Components); distance *= 2) {
        own.count /= 2;
        own.first += (part & distance) != 0 ? own.count : 0;
    }
    return own;
}

} // namespace elbo::kernels::cuda
