// What the k-means engine and its vector kernels share: a plain view, and a table of the kernels of one instruction
// set.
//
// Rows lie in strips of 32, one for each chain of a sum over rows (kernels/math/kmeans.hpp): strip s holds [cols][32]
// numbers. Missing rows of the last strip have weight zero.
#pragma once

#include "kernels/math/kmeans.hpp"

#include <cstdint>

namespace elbo::kernels::cpu {

/// The strips of one block of rows.
struct kmeans_block {
    const double* x;       ///< [strips][cols][32]
    const double* weights; ///< [strips][32]
    double* nearest;       ///< [strips][32] squared distance to the nearest centre
    std::int32_t* labels;  ///< [strips][32]
    std::int64_t strips, cols;
};

struct kmeans_table {
    /// Nearest of the centres [k x cols] for every row; returns how many labels that changed.
    std::int64_t (*assign)(const kmeans_block&, const double* centres, std::int64_t k);
    /// lanes[c][i] = Σ w min(nearest, distance² to centre c) over the rows i of the strips.
    void (*potentials)(const kmeans_block&, const double* centres, std::int64_t count, double* lanes);
    /// Takes centre number `label` into nearest and labels; lanes[i] = Σ w nearest as above.
    void (*add_centre)(const kmeans_block&, const double* centre, std::int32_t label, double* lanes);
    /// sums[j] = Σ w x_j over the rows (row-major, cols numbers each) whose numbers are listed.
    void (*sum_rows)(const double* x, const double* weights, std::int64_t cols, const std::int64_t* rows,
                     std::int64_t count, double* sums);
};

} // namespace elbo::kernels::cpu
