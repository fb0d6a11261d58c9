// k-means++ and Lloyd's iterations on a sample of rows, on the back end of a context.
#pragma once

#include "kernels/contract/kmeans_engine.hpp"

#include <cstdint>
#include <vector>

namespace elbo::gmm {

/// Indices of k of the `rows` rows that the engine has loaded, chosen by k-means++ (Arthur and Vassilvitskii 2007):
/// each with probability proportional to its weight times its squared distance to the nearest centre so far. Greedy:
/// the best of 2 + ln k candidates by the remaining sum. Rows that coincide with a centre are chosen only when there is
/// nothing else. The first `given` rows are the first centres. Afterwards the engine's labels are those of the nearest
/// chosen rows.
std::vector<std::int64_t> kmeans_plus_plus(kernels::kmeans_engine& engine, std::int64_t k, bool greedy,
                                           std::uint64_t seed, std::int64_t given = 0);

/// Lloyd's iterations from the engine's labels until none changes. At most `iterations` assignments, of which the
/// labels are the first. A centre [k x cols] that loses its rows stays where it is.
void lloyd(kernels::kmeans_engine& engine, std::vector<double>& centres, std::int64_t cols, int iterations);

inline constexpr int lloyd_iterations = 30;
/// Labels of the rows y [rows x cols], which the engine has loaded: Lloyd's iterations from k-means++.
std::vector<std::int32_t> kmeans_labels(kernels::kmeans_engine& engine, const std::vector<double>& y, std::int64_t cols,
                                        std::int64_t k, bool greedy, std::uint64_t seed,
                                        int iterations = lloyd_iterations);

} // namespace elbo::gmm
