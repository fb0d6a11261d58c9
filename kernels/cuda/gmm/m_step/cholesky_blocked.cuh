// Cholesky factor of a covariance in device memory and its inverse, float64, a block or a cluster of blocks a matrix,
// blocked.
//
// In place, the result as that of cholesky.cuh: L below the diagonal, U = L^-T above it and on it. With J the rows and
// columns of a panel of 32, and all columns in front of the panel done:
//   D = C_JJ − L_J Lᵀ_J (sums over the columns t in front of J) is factored and inverted in shared memory: L_JJ, U_JJ;
//   below the panel  L_iJ = (C_iJ − Σ_t L_it L_Jtᵀ) U_JJ;
//   above the panel  U_jJ = −(Σ_{t ≥ j} U_jt L_Jtᵀ) U_JJ.
// Both are the same product of rows of the matrix with the rows of L that belong to the panel, so that one pass over
// tiles of 128 rows does both; the blocks of a cluster share the tiles, and the first has D. Every element is written
// once, and nothing but the position fixes the order of a sum. Multiplying by U_JJ instead of solving with L_JJ costs a
// factor cond(L_JJ) <= sqrt(cond(C)) in the error of a panel.
// Predicted for ten matrices of d = 784 on an H200, not measured: 2.4 ms, 80 blocks on 132 multiprocessors; 13 ms with
// a block a matrix (docs/kernels.md section 6).
#pragma once

#include "kernels/cuda/gmm/e_step/tuning.hpp"
#include "kernels/cuda/gmm/m_step/cholesky.cuh"

namespace elbo::kernels::cuda {

/// One matrix and the shared memory of its block.
struct blocked_matrix {
    double* c;
    std::int64_t ld;
    int d;
    double* tile;   ///< [factor_tile_rows x factor_panel_stride] rows of the matrix
    double* panel;  ///< [factor_panel x factor_panel_stride] rows of L that belong to the panel
    double* corner; ///< [factor_panel x factor_panel_stride] D, then L_JJ and U_JJ
    double* column; ///< [factor_panel]

    __device__ blocked_matrix(double* matrix, std::int64_t stride, int size, double* shared)
        : c(matrix), ld(stride), d(size), tile(shared), panel(tile + factor_tile_rows * factor_panel_stride),
          corner(panel + factor_panel * factor_panel_stride), column(corner + factor_panel * factor_panel_stride) {}
    __device__ double& at(int row, int col) const { return c[row * ld + col]; }
};

/// Sub-blocks of 32 rows in a tile: thread t has row t / 8 of each and the columns t % 8 + 8 j of the panel.
inline constexpr int tile_parts = factor_tile_rows / factor_panel;
inline constexpr int panel_parts = 4;
static_assert(factor_panel == 8 * panel_parts);

struct tile_sums {
    double value[tile_parts][panel_parts];
};

__device__ inline int tile_row(int part) {
    return static_cast<int>(threadIdx.x) / 8 + part * factor_panel;
}
__device__ inline int panel_column(int part) {
    return static_cast<int>(threadIdx.x) % 8 + part * 8;
}

/// Adds the products of one chunk of 32 columns for the parts First ... Last − 1 of the tile.
template <int First, int Last>
__device__ inline void add_products(const blocked_matrix& m, tile_sums& sums) {
    for (int t = 0; t < factor_panel; ++t) {
        double b[panel_parts];
#pragma unroll
        for (int j = 0; j < panel_parts; ++j)
            b[j] = m.panel[panel_column(j) * factor_panel_stride + t];
#pragma unroll
        for (int i = First; i < Last; ++i) {
            const double a = m.tile[tile_row(i) * factor_panel_stride + t];
#pragma unroll
            for (int j = 0; j < panel_parts; ++j)
                sums.value[i][j] = ::fma(a, b[j], sums.value[i][j]);
        }
    }
}

/// Σ_t M_rt L_Jt over first_column ≤ t < j0, for the rows first ... end − 1 of a tile. Above the panel (`above`) row r
/// of the matrix begins at its diagonal: what stands in front of it is L.
__device__ inline void multiply_rows(const blocked_matrix& m, int first, int end, int first_column, int j0, bool above,
                                     tile_sums& sums) {
    const int threads = static_cast<int>(blockDim.x);
    for (auto& row : sums.value)
        for (double& sum : row)
            sum = 0;
    for (int t0 = first_column; t0 < j0; t0 += factor_panel) {
        // Parts that have rows, and of these, above the panel, elements in this chunk.
        const int parts = min(tile_parts, (end - first + factor_panel - 1) / factor_panel);
        const int used = above ? min(parts, (t0 - first) / factor_panel + 1) : parts;
        __syncthreads(); // the last chunk has been read
        for (int e = static_cast<int>(threadIdx.x); e < (used + 1) * factor_panel * factor_panel; e += threads) {
            const int i = e / factor_panel, t = e % factor_panel;
            if (i < used * factor_panel) {
                const int row = first + i;
                const bool inside = row < end && (!above || t0 + t >= row);
                m.tile[i * factor_panel_stride + t] = inside ? m.at(row, t0 + t) : 0;
            } else {
                const int row = j0 + i - used * factor_panel;
                m.panel[(i - used * factor_panel) * factor_panel_stride + t] = row < m.d ? m.at(row, t0 + t) : 0;
            }
        }
        __syncthreads();
        if (used == tile_parts) {
            add_products<0, tile_parts>(m, sums);
            continue;
        }
        static_assert(tile_parts == 4);
        if (used > 0)
            add_products<0, 1>(m, sums);
        if (used > 1)
            add_products<1, 2>(m, sums);
        if (used > 2)
            add_products<2, 3>(m, sums);
    }
}

/// C − sums, above the panel −sums, into the tile.
__device__ inline void subtract_products(const blocked_matrix& m, int first, int end, int j0, bool above,
                                         const tile_sums& sums) {
    __syncthreads(); // the last chunk has been read
#pragma unroll
    for (int i = 0; i < tile_parts; ++i)
#pragma unroll
        for (int j = 0; j < panel_parts; ++j) {
            const int row = first + tile_row(i), col = j0 + panel_column(j);
            const bool covariance = !above && row < end && col <= row && col < m.d;
            m.tile[tile_row(i) * factor_panel_stride + panel_column(j)] =
                (covariance ? m.at(row, col) : 0) - sums.value[i][j];
        }
    __syncthreads();
}

/// The tile times U_JJ into columns j0 ... j0 + width − 1 of the rows begin ... end − 1, the tile beginning with row
/// `first`.
__device__ inline void finish_rows(const blocked_matrix& m, int first, int begin, int end, int j0, int width) {
#pragma unroll
    for (int i = 0; i < tile_parts; ++i) {
        const int row = first + tile_row(i);
        if (row < begin || row >= end)
            continue;
        double sums[panel_parts] = {};
        for (int s = 0; s < width; ++s) {
            const double x = m.tile[tile_row(i) * factor_panel_stride + s];
#pragma unroll
            for (int j = 0; j < panel_parts; ++j)
                if (s <= panel_column(j))
                    sums[j] = ::fma(x, m.corner[s * factor_panel_stride + panel_column(j)], sums[j]);
        }
#pragma unroll
        for (int j = 0; j < panel_parts; ++j)
            if (panel_column(j) < width)
                m.at(row, j0 + panel_column(j)) = sums[j];
    }
}

/// Factors D, the first rows of the tile, and writes L_JJ and U_JJ. False in all threads at a pivot that is too small.
__device__ inline bool finish_corner(const block_team& team, const blocked_matrix& m, int j0, int width,
                                     double smallest_pivot) {
    const int threads = static_cast<int>(blockDim.x);
    for (int e = static_cast<int>(threadIdx.x); e < width * factor_panel; e += threads) {
        const int at = e / factor_panel * factor_panel_stride + e % factor_panel;
        m.corner[at] = m.tile[at];
    }
    if (!cholesky(team, m.corner, factor_panel_stride, width, smallest_pivot, m.column))
        return false;
    invert_transposed(team, m.corner, factor_panel_stride, width, m.column);
    for (int e = static_cast<int>(threadIdx.x); e < width * width; e += threads)
        m.at(j0 + e / width, j0 + e % width) = m.corner[e / width * factor_panel_stride + e % width];
    return true;
}

/// The tiles of a panel: those from the panel down, then those above it.
struct panel_tiles {
    int j0, d, below, count;

    __device__ panel_tiles(int column, int size)
        : j0(column), d(size), below((size - column + factor_tile_rows - 1) / factor_tile_rows),
          count(below + (column + factor_tile_rows - 1) / factor_tile_rows) {}
    __device__ bool above(int tile) const { return tile >= below; }
    __device__ int first(int tile) const {
        return (above(tile) ? tile - below : tile) * factor_tile_rows + start(tile);
    }
    __device__ int end(int tile) const { return min(first(tile) + factor_tile_rows, above(tile) ? j0 : d); }

private:
    __device__ int start(int tile) const { return above(tile) ? 0 : j0; }
};

/// A tile less its products, in shared memory.
__device__ inline void prepare_tile(const blocked_matrix& m, const panel_tiles& tiles, int tile) {
    tile_sums sums;
    const int first = tiles.first(tile), end = tiles.end(tile);
    const bool above = tiles.above(tile);
    multiply_rows(m, first, end, above ? first : 0, tiles.j0, above, sums);
    subtract_products(m, first, end, tiles.j0, above, sums);
}

/// L_JJ and U_JJ as the first block of a cluster has written them.
__device__ inline void read_corner(const blocked_matrix& m, int j0, int width) {
    for (int e = static_cast<int>(threadIdx.x); e < width * width; e += static_cast<int>(blockDim.x))
        m.corner[e / width * factor_panel_stride + e % width] = m.at(j0 + e / width, j0 + e % width);
    __syncthreads();
}

/// C = L Lᵀ and U = L^-T in place; `shared` is factor_shared_bytes(d) of each block's shared memory. False (in all
/// threads) if a pivot is at most `smallest_pivot` or NaN; the matrix is then lost.
template <class Team>
__device__ bool factor_blocked(const Team& team, double* c, std::int64_t ld, int d, double smallest_pivot,
                               double* shared) {
    const blocked_matrix m(c, ld, d, shared);
    for (int j0 = 0; j0 < d; j0 += factor_panel) {
        const int width = min(factor_panel, d - j0), mine = team.block();
        const panel_tiles tiles(j0, d);
        if (mine < tiles.count)
            prepare_tile(m, tiles, mine);
        bool regular = true;
        if (mine == 0)
            regular = finish_corner(block_team(team.scratch), m, j0, width, smallest_pivot);
        if constexpr (Team::whole_cluster) {
            if (team.from(regular ? 1 : 0, 0) == 0)
                return false;
            if (mine > 0)
                read_corner(m, j0, width);
        } else if (!regular) {
            return false;
        }
        for (int tile = mine; tile < tiles.count; tile += team.blocks()) {
            if (tile != mine)
                prepare_tile(m, tiles, tile);
            finish_rows(m, tiles.first(tile), tile == 0 ? j0 + width : tiles.first(tile), tiles.end(tile), j0, width);
        }
        team.sync(); // the panel is complete
    }
    return true;
}

} // namespace elbo::kernels::cuda
