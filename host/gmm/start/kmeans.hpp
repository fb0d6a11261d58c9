// k-means++ and Lloyd's iterations on a sample of rows, on the back end of a context.
#pragma once

#include "kernels/contract/kmeans_engine.hpp"

#include <cstdint>
#include <vector>

namespace elbo::gmm {

/// k centres among the rows that the engine has loaded, chosen by k-means++ (Arthur and Vassilvitskii 2007): each with
/// probability proportional to its weight times its squared distance to the nearest centre so far. Greedy: the best of
/// 2 + ln k candidates by the remaining sum. Rows that coincide with a centre are chosen only when there is nothing
/// else. The first `given` rows are the first centres. Afterwards the engine's labels are those of the nearest chosen
/// rows. A device is not waited for.
void choose_centres(kernels::kmeans_engine& engine, std::int64_t k, bool greedy, std::uint64_t seed,
                    std::int64_t given = 0);
/// The same; returns the indices of the rows.
std::vector<std::int64_t> kmeans_plus_plus(kernels::kmeans_engine& engine, std::int64_t k, bool greedy,
                                           std::uint64_t seed, std::int64_t given = 0);

inline constexpr int lloyd_iterations = 30;
/// Labels of the `rows` rows that the engine has loaded: Lloyd's iterations from k-means++.
std::vector<std::int32_t> kmeans_labels(kernels::kmeans_engine& engine, std::int64_t rows, std::int64_t k, bool greedy,
                                        std::uint64_t seed, int iterations = lloyd_iterations);

} // namespace elbo::gmm
