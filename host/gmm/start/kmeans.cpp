#include "host/gmm/start/kmeans.hpp"

#include "kernels/math/philox.hpp"

#include <algorithm>
#include <cmath>

namespace elbo::gmm {

using namespace kernels;

std::vector<std::int64_t> kmeans_plus_plus(kmeans_engine& engine, std::int64_t k, bool greedy, std::uint64_t seed,
                                           std::int64_t given) {
    choose_centres(engine, k, greedy, seed, given);
    std::vector<std::int64_t> chosen(k);
    engine.centre_rows(chosen);
    return chosen;
}

void choose_centres(kmeans_engine& engine, std::int64_t k, bool greedy, std::uint64_t seed, std::int64_t given) {
    const std::int64_t wanted = greedy ? 2 + static_cast<std::int64_t>(std::log(static_cast<double>(k))) : 1;
    double uniforms[kmeans_candidate_limit];
    engine.restart();
    for (std::int64_t centre = 0; centre < given; ++centre)
        engine.add_centre(centre);
    for (std::int64_t centre = given; centre < k; ++centre) {
        // The first centre is drawn by weight alone: nothing to be greedy about.
        const std::int64_t tries = centre == 0 ? 1 : std::min(wanted, kmeans_candidate_limit);
        for (std::int64_t c = 0; c < tries; ++c) {
            const philox_block words =
                random_block(seed, random_purpose::centre_choice, centre, static_cast<std::uint32_t>(c));
            uniforms[c] = uniform_double(words.word[0], words.word[1]);
        }
        engine.add_best({uniforms, static_cast<std::size_t>(tries)});
    }
}

std::vector<std::int32_t> kmeans_labels(kmeans_engine& engine, std::int64_t rows, std::int64_t k, bool greedy,
                                        std::uint64_t seed, int iterations) {
    choose_centres(engine, k, greedy, seed);
    engine.refine(iterations);
    std::vector<std::int32_t> labels(rows);
    engine.labels(labels);
    return labels;
}

} // namespace elbo::gmm
