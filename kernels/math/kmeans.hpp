// The arithmetic of k-means that every back end shares, so that all of them find the same centres to the last bit.
// Fused multiply-adds are written out: left to compilers, some would fuse and others not.
//
// Sums over rows run in blocks of 1024, in each block in 32 interleaved chains that are folded as a tree, then over the
// blocks in ascending order. Sums over the rows of a cluster run in chunks of 64 of its rows in ascending order, then
// over the chunks. Neither knows of threads or grids.
#pragma once

#include "kernels/math/macros.hpp"

#include <cmath>
#include <cstdint>

namespace elbo::kernels {

inline constexpr std::int64_t kmeans_block_rows = 1024;
inline constexpr std::int64_t kmeans_lanes = 32; ///< chains of a block; also the rows of a run of draw_from_block
inline constexpr std::int64_t kmeans_chunk_rows = 64;

constexpr std::int64_t kmeans_blocks(std::int64_t rows) {
    return (rows + kmeans_block_rows - 1) / kmeans_block_rows;
}

/// ‖a − b‖² in the order of the dimensions.
ELBO_HD inline double squared_distance(const double* a, const double* b, std::int64_t d) {
    double sum = 0;
    for (std::int64_t j = 0; j < d; ++j) {
        const double step = a[j] - b[j];
        sum = ::fma(step, step, sum);
    }
    return sum;
}

/// Sum of the chains of a block; overwrites them.
ELBO_HD inline double fold_lanes(double* lanes) {
    for (std::int64_t width = kmeans_lanes / 2; width > 0; width /= 2)
        for (std::int64_t i = 0; i < width; ++i)
            lanes[i] += lanes[i + width];
    return lanes[0];
}

/// What rows are drawn by: weight times squared distance to the nearest centre, or the weight where `nearest` is null.
struct row_mass {
    const double* weights;
    const double* nearest;
    /// sum + mass of row n
    ELBO_HD double add(double sum, std::int64_t n) const {
        return nearest ? ::fma(weights[n], nearest[n], sum) : sum + weights[n];
    }
    /// Mass of the rows first ... last − 1, one after the other.
    ELBO_HD double run(std::int64_t first, std::int64_t last) const {
        double sum = 0;
        for (std::int64_t n = first; n < last; ++n)
            sum = add(sum, n);
        return sum;
    }
};

/// The first of `count` items at which the running sum exceeds u · total, with what is left of it there in `rest`; the
/// last item with mass where rounding lets none exceed it. add(sum, i) is sum + mass of item i. Items without mass are
/// never found.
template <class Add>
ELBO_HD std::int64_t find_mass(std::int64_t count, double u, double total, const Add& add, double& rest) {
    double before = 0;
    std::int64_t found = 0;
    for (std::int64_t i = 0; i < count; ++i) {
        const double after = add(before, i);
        if (after > before) {
            found = i;
            rest = ::fmax(::fma(u, total, -before), 0.0);
        }
        if (::fma(u, total, -after) < 0)
            break;
        before = after;
    }
    return found;
}

/// The row of a block (rows first ... last − 1) at which its running mass exceeds `target`: first among runs of 32
/// rows, whose masses are add_run(sum, i), then inside the run.
template <class AddRun>
ELBO_HD std::int64_t draw_from_block(const row_mass& mass, std::int64_t first, std::int64_t last, double target,
                                     const AddRun& add_run) {
    const std::int64_t runs = (last - first + kmeans_lanes - 1) / kmeans_lanes;
    double rest = 0;
    const std::int64_t begin = first + kmeans_lanes * find_mass(runs, 1, target, add_run, rest);
    const std::int64_t count = last - begin < kmeans_lanes ? last - begin : kmeans_lanes;
    const auto add_row = [&](double sum, std::int64_t i) { return mass.add(sum, begin + i); };
    return begin + find_mass(count, 1, rest, add_row, rest);
}

} // namespace elbo::kernels
