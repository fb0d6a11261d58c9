// Where a fit of a mixture begins, from its sample of rows to the parameters, on a device: for back ends whose host
// would be the slowest part of it. Those that have no such engine leave it to the host (host/gmm/start), which computes
// the same in float64: equal but for the order of the sums.
#pragma once

#include "kernels/contract/gmm_engine.hpp"
#include "kernels/contract/kmeans_engine.hpp"

#include <cstdint>
#include <memory>
#include <span>

namespace elbo::kernels {

/// Coordinates in which k-means measures distances: the rows as they are, divided by the standard deviations, or
/// decorrelated by the total covariance, y = Uᵀ x.
enum class start_coordinates { plain, scaled, whitened };

/// A start's variances are at least this much where something is divided by their root.
inline constexpr double smallest_start_variance = 0x1p-40;
/// The same for the total variances that rows are scaled by.
inline constexpr double smallest_total_variance = 0x1p-20;
/// A covariance that is not positive definite gets a ridge, this share of its variances first, then `ridge_growth`
/// times as much, until it is or `largest_ridge` is reached.
inline constexpr double first_ridge = 0x1p-40, ridge_growth = 16, largest_ridge = 0x1p100;

/// What a start is made from: rows of positive weight in the normalised frame, in host memory.
struct start_rows {
    const double* x;       ///< [rows x d]
    const double* weights; ///< [rows], of mean 1
    const double* usual;   ///< [rows] 1, and 0 for rows that the total covariance leaves out
    std::int64_t rows;
};

/// Rows in memory of the device or the host, of which a start takes each with probability `share` by a Philox number of
/// its own. Values within `lower` and `upper`, ends included, are usual; both are empty where all are.
struct start_draw {
    any_matrix_view x;
    const frame& to;
    double share;
    std::uint64_t seed;
    std::span<const double> lower, upper; ///< [d]
};

class start_engine {
public:
    start_engine() = default;
    virtual ~start_engine() = default;
    start_engine(const start_engine&) = delete;
    start_engine& operator=(const start_engine&) = delete;

    /// Bytes of device memory for a start from so many rows, of which log_likelihood() takes `judged`.
    virtual std::int64_t bytes_needed(std::int64_t rows, std::int64_t judged) const = 0;
    /// The rows must stay where they are while the engine is used.
    virtual void load(const start_rows& rows) = 0;
    /// Instead of it: draws and normalises rows where they lie, of the host's those that were drawn, all with weight 1;
    /// returns how many. Where none is
    /// usual, all are.
    virtual std::int64_t draw(const start_draw& from) = 0;
    /// The rows [rows x d] that were drawn, and which are usual [rows].
    virtual void drawn(std::span<double> x, std::span<double> usual) = 0;
    /// Gives k-means the rows in these coordinates.
    virtual void measure_in(start_coordinates coordinates) = 0;
    virtual kmeans_engine& kmeans() = 0;
    /// An M-step from the labels of k-means. A component with few rows borrows from the pooled covariance, as if d + 1
    /// rows came from there; one without rows begins at the centre of the frame with the weight of one row.
    /// `lambda` [d] as in update_rule.
    virtual void form(std::span<const double> lambda) = 0;
    /// Σ w log p(x̃) of the first `rows` rows under the parameters that were formed last.
    virtual double log_likelihood(std::int64_t rows) = 0;
    /// Keeps the parameters that were formed last for parameters().
    virtual void keep() = 0;
    /// Throws elbo::error where a covariance is not finite.
    virtual gmm_parameters parameters() = 0;
};

/// The engine of the context's back end, null where the host is to do it.
std::unique_ptr<start_engine> make_start_engine(const context& ctx, const gmm_shape& shape);

} // namespace elbo::kernels
