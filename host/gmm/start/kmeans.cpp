#include "host/gmm/start/kmeans.hpp"

#include "kernels/math/philox.hpp"

#include <algorithm>
#include <cmath>

namespace elbo::gmm {

using namespace kernels;

std::vector<std::int64_t> kmeans_plus_plus(kmeans_engine& engine, std::int64_t k, bool greedy, std::uint64_t seed,
                                           std::int64_t given) {
    const std::int64_t wanted = greedy ? 2 + static_cast<std::int64_t>(std::log(static_cast<double>(k))) : 1;
    double uniforms[kmeans_candidate_limit];
    kmeans_candidate candidates[kmeans_candidate_limit];
    std::vector<std::int64_t> chosen;
    engine.restart();
    for (std::int64_t centre = 0; centre < given; ++centre) {
        chosen.push_back(centre);
        engine.add_centre(centre);
    }
    for (std::int64_t centre = given; centre < k; ++centre) {
        // The first centre is drawn by weight alone: nothing to be greedy about.
        const std::int64_t tries = centre == 0 ? 1 : std::min(wanted, kmeans_candidate_limit);
        for (std::int64_t c = 0; c < tries; ++c) {
            const philox_block words =
                random_block(seed, random_purpose::centre_choice, centre, static_cast<std::uint32_t>(c));
            uniforms[c] = uniform_double(words.word[0], words.word[1]);
        }
        engine.draw({uniforms, static_cast<std::size_t>(tries)}, {candidates, static_cast<std::size_t>(tries)});
        const auto less = [](const kmeans_candidate& a, const kmeans_candidate& b) {
            return a.potential < b.potential;
        };
        chosen.push_back(std::min_element(candidates, candidates + tries, less)->row);
        engine.add_centre(chosen.back());
    }
    return chosen;
}

void lloyd(kmeans_engine& engine, std::vector<double>& centres, std::int64_t cols, int iterations) {
    const std::int64_t k = static_cast<std::int64_t>(centres.size()) / cols;
    std::vector<double> sums(k * cols), counts(k);
    for (int t = 1; t < iterations; ++t) {
        engine.cluster_sums(sums, counts);
        for (std::int64_t c = 0; c < k; ++c)
            for (std::int64_t j = 0; counts[c] > 0 && j < cols; ++j)
                centres[c * cols + j] = sums[c * cols + j] / counts[c];
        if (engine.assign(centres) == 0)
            break;
    }
}

std::vector<std::int32_t> kmeans_labels(kmeans_engine& engine, const std::vector<double>& y, std::int64_t cols,
                                        std::int64_t k, bool greedy, std::uint64_t seed, int iterations) {
    std::vector<double> centres;
    for (std::int64_t n : kmeans_plus_plus(engine, k, greedy, seed))
        centres.insert(centres.end(), y.begin() + n * cols, y.begin() + (n + 1) * cols);
    lloyd(engine, centres, cols, iterations);
    std::vector<std::int32_t> labels(y.size() / cols);
    engine.labels(labels);
    return labels;
}

} // namespace elbo::gmm
