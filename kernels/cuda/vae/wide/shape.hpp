// Which layers are multiplied by cuBLASLt, the shapes of what goes in and out, and what a product should take: pure
// functions.
#pragma once

#include "elbo/vae/train.hpp"
#include "kernels/cuda/gmm/e_step/tuning.hpp"

#include <algorithm>
#include <cmath>
#include <cstdint>

namespace elbo::kernels::cuda {

/// A layer for `rows` rows: at least 128 on the narrow side, and 1024 on the other or 256 x 512 in all. Smaller ones
/// are faster in tiles of their own (layer), which read and write each number once. `Limits`: internal::wide_limits
/// (core/cuda_state.hpp), or the like where there is no CUDA.
template <class Limits>
constexpr bool is_wide(const Limits& l, std::int64_t inputs, std::int64_t outputs, std::int64_t rows) {
    const std::int64_t narrow = std::min(inputs, outputs), broad = std::max(inputs, outputs);
    const bool large = broad >= 8 * l.width || (narrow >= 2 * l.width && narrow * broad >= 8 * l.width * l.width);
    return rows >= l.rows && narrow >= l.width && large;
}

/// The elementwise kernels: blocks of 256 threads, a warp a row of 256 columns at a time, 8 columns a thread.
inline constexpr int strip_rows = 32, strip_columns = 256, strip_threads = 256, thread_columns = 8;

/// Numbers from row to row of an operand: rows begin at multiples of 32 bytes.
constexpr std::int64_t operand_stride(std::int64_t columns) {
    return blocks_for(columns, 16) * 16;
}
/// Rows of a shard, and of an operand with all its shards: behind the rows of a step there are zeros.
constexpr std::int64_t shard_rows(std::int64_t rows, std::int64_t shards) {
    return blocks_for(blocks_for(rows, shards), strip_rows) * strip_rows;
}
constexpr std::int64_t operand_rows(std::int64_t rows, std::int64_t shards) {
    return shards * shard_rows(rows, shards);
}

/// Of an H200, measured: operations of a product a second, bytes of device memory a second, seconds of a kernel.
struct wide_rates {
    double rounded = 804e12, tf32 = 419e12, copy = 4.27e12, node = 0.52e-6, ramp = 1.1e-6;
    double multiprocessors = 132;

    double operations(vae::training_precision p) const { return p == vae::training_precision::tf32 ? tf32 : rounded; }
};

/// Seconds of `count` products of rows x columns x depth, in tiles of 128 x 128, or of 64 x 64 at seven tenths of the
/// rate.
inline double product_seconds(double rows, double columns, double depth, double count, double bytes, double operations,
                              const wide_rates& rates) {
    const auto tiled = [&](double side, double share) {
        const double tiles = count * std::ceil(rows / side) * std::ceil(columns / side);
        const double waves = std::ceil(tiles / rates.multiprocessors);
        return waves * 2 * side * side * depth * rates.multiprocessors / (share * operations);
    };
    return std::max(std::min(tiled(128, 1), tiled(64, 0.7)), bytes / rates.copy);
}

} // namespace elbo::kernels::cuda
