// k-means++ and Lloyd's iterations on a sample of rows.
#pragma once

#include <cstdint>
#include <vector>

namespace elbo::gmm {

/// Rows [rows x cols] with weights [rows], all positive.
struct weighted_rows {
    const double* x = nullptr;
    const double* weights = nullptr;
    std::int64_t rows = 0, cols = 0;
    const double* row(std::int64_t n) const { return x + n * cols; }
};

/// Indices of k rows chosen by k-means++ (Arthur and Vassilvitskii 2007): each with probability proportional to its
/// weight times its squared distance to the nearest centre so far. Greedy: the best of 2 + ln k candidates by the
/// remaining sum. Rows that coincide with a centre are chosen only when there is nothing else.
std::vector<std::int64_t> kmeans_plus_plus(const weighted_rows& rows, std::int64_t k, bool greedy, std::uint64_t seed,
                                           int threads);

/// Nearest centre of each row, the lower index at a tie; returns Σ w distance².
double nearest_centres(const weighted_rows& rows, const std::vector<double>& centres, std::vector<std::int32_t>& label,
                       int threads);

/// Lloyd's iterations until no label changes, at most `iterations`. A centre that loses its rows stays where it is.
std::vector<std::int32_t> lloyd(const weighted_rows& rows, std::vector<double>& centres, int iterations, int threads);

} // namespace elbo::gmm
