// Tiles of the products of layers: their sizes, which of them a product takes, and what it costs then, as plain
// numbers for the host, the tests and the predictions.
#pragma once

#include "kernels/cuda/gmm/e_step/tuning.hpp"

#include <array>
#include <cstddef>
#include <cstdint>

namespace elbo::kernels::cuda {

/// Rows and columns that a block computes.
struct tile_size {
    std::int64_t rows, columns;
};

/// Of forward passes and gradients of data, from small to large. A small tile has its depth split over the warps of the
/// block; a large one reads each factor less often.
inline constexpr std::array<tile_size, 4> layer_tiles = {{{16, 16}, {32, 32}, {64, 64}, {128, 112}}};
/// Of the last layer with its likelihood: the second and the last of those.
inline constexpr std::array<tile_size, 2> output_tiles = {{{32, 32}, {128, 112}}};
/// Of gradients of weights: all rows by one block, a shard of them for each warp, or a block for each shard.
inline constexpr std::array<tile_size, 2> weight_tiles = {{{32, 64}, {128, 112}}};

/// A tile that fills most of the multiprocessors of a device (132) is large enough.
inline constexpr std::int64_t enough_tiles = 96;
/// Rows (of the decoder) from which on gradients of weights are summed by a block for each shard.
inline constexpr std::int64_t sharded_rows = 1024;
/// Every sum over the rows of a step has so many parts, which are added in a binary tree.
inline constexpr int gradient_shards = 8;

constexpr std::int64_t tiles_of(const tile_size& tile, std::int64_t rows, std::int64_t columns) {
    return blocks_for(rows, tile.rows) * blocks_for(columns, tile.columns);
}

/// The largest tile of which there are enough, else the smallest. Depends on nothing but the sizes of the product, so
/// that results do not.
template <std::size_t count>
constexpr std::size_t choose_tile(const std::array<tile_size, count>& tiles, std::int64_t rows, std::int64_t columns) {
    std::size_t chosen = count - 1;
    while (chosen > 0 && tiles_of(tiles[chosen], rows, columns) < enough_tiles)
        --chosen;
    return chosen;
}

constexpr std::size_t choose_weight_tile(std::int64_t rows) {
    return rows < sharded_rows ? 0 : 1;
}

/// What a product of `rows` x `depth` and `depth` x `columns` numbers of `bytes` bytes costs. Fragments of 16 x 8 that
/// lie outside of it are left out.
struct product_cost {
    double tiles;
    double factor_bytes; ///< read by all blocks together, mostly from the L2 cache
    double flop;         ///< of matrix instructions; three times as many where float32 factors are split
};
constexpr product_cost cost_of_product(const tile_size& tile, std::int64_t rows, std::int64_t columns,
                                       std::int64_t depth, std::int64_t bytes, bool split) {
    const std::int64_t step = 32 / bytes, row_tiles = blocks_for(rows, tile.rows),
                       column_tiles = blocks_for(columns, tile.columns);
    const std::int64_t fragments = blocks_for(rows, 16) * blocks_for(columns, 8);
    return {static_cast<double>(row_tiles * column_tiles),
            static_cast<double>(bytes * depth * (row_tiles * columns + column_tiles * rows)),
            (split ? 3.0 : 1.0) * 2 * 16 * 8 * static_cast<double>(fragments * blocks_for(depth, step) * step)};
}

} // namespace elbo::kernels::cuda
