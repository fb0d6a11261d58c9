// The operations of k-means, declared once: every back end implements kmeans_engine; host/gmm/start/kmeans.cpp strings
// them together. An engine owns rows, distances and labels of one data set. All back ends compute the same bits
// (kernels/math/kmeans.hpp), for any number of threads and any grid.
#pragma once

#include "elbo/context.hpp"

#include <cstdint>
#include <memory>
#include <span>

namespace elbo::kernels {

/// A row that may become a centre, and Σ w min(distance², distance² to it) over all rows if it did.
struct kmeans_candidate {
    std::int64_t row;
    double potential;
};

/// Candidates of one draw at most.
inline constexpr std::int64_t kmeans_candidate_limit = 32;

class kmeans_engine {
public:
    kmeans_engine() = default;
    virtual ~kmeans_engine() = default;
    kmeans_engine(const kmeans_engine&) = delete;
    kmeans_engine& operator=(const kmeans_engine&) = delete;

    /// Bytes that this engine takes at most for such rows and k centres, in the memory of its device (the host's for
    /// cpu and reference).
    virtual std::int64_t bytes_needed(std::int64_t rows, std::int64_t cols, std::int64_t k) const = 0;
    /// Rows x [rows x cols] without gaps and positive weights [rows], in host memory: both must stay where they are
    /// while the engine is used. At least one row. There are no centres then.
    virtual void load(const double* x, const double* weights, std::int64_t rows, std::int64_t cols) = 0;
    /// Forgets all centres.
    virtual void restart() = 0;

    /// For each uniform (0 ≤ u ≤ 1, at most kmeans_candidate_limit of them) the row at which the running sum of
    /// w · distance² to the nearest centre exceeds u times the total. While there are no centres, and where every row
    /// coincides with one, rows are drawn by weight. Rows that coincide with a centre are drawn only in the latter
    /// case. Potentials are computed, all in one pass, where there are centres and more than one uniform; else they are
    /// 0.
    virtual void draw(std::span<const double> uniforms, std::span<kmeans_candidate> out) = 0;
    /// Makes a row the next centre: its label is the number of centres before. A row keeps the lower label at a tie.
    virtual void add_centre(std::int64_t row) = 0;
    /// Makes the row with the least potential of such a draw the next centre, the first of them at a tie. Neither a
    /// device nor the host waits for the other.
    virtual void add_best(std::span<const double> uniforms) = 0;
    /// The rows that are centres.
    virtual void centre_rows(std::span<std::int64_t> out) = 0;

    /// Labels every row with the nearest of the centres [k x cols], the lower index at a tie; returns how many labels
    /// that changed.
    virtual std::int64_t assign(std::span<const double> centres) = 0;
    /// Σ w x [k x cols] and Σ w [k] over the rows of each label.
    virtual void cluster_sums(std::span<double> sums, std::span<double> counts) = 0;
    /// Lloyd's iterations from the labels until none changes, at most `iterations` assignments, of which the labels are
    /// the first. The centres are those rows that were added, or those of assign(); one that loses its rows stays where
    /// it is. Neither a device nor the host waits for the other.
    virtual void refine(int iterations) = 0;
    virtual void centres(std::span<double> out) = 0; ///< [k x cols]
    virtual void labels(std::span<std::int32_t> out) = 0;
};

/// The engine of the context's back end.
std::unique_ptr<kmeans_engine> make_kmeans_engine(const context& ctx);

} // namespace elbo::kernels
