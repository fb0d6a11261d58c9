// Sampling from a linear-Gaussian model: Philox numbers as a pure function of (seed, row, number), so the same
// everywhere.
#include "elbo/latent/factors.hpp"

#include "host/check.hpp"
#include "host/rows/independent_rows.hpp"
#include "kernels/math/philox.hpp"

#include <algorithm>
#include <cmath>

namespace elbo::latent {

using namespace kernels;

namespace {

/// `count` standard normals of a row, from the random words `first_item` ... on.
void draw_normals(std::uint64_t seed, std::uint64_t row, std::int64_t first_item, std::int64_t count, double* out) {
    for (std::int64_t i = 0; i < count; i += 2) {
        double pair[2];
        normal_pair(
            random_block(seed, random_purpose::sample_noise, row, static_cast<std::uint32_t>(first_item + i / 2)),
            pair[0], pair[1]);
        out[i] = pair[0];
        if (i + 1 < count)
            out[i + 1] = pair[1];
    }
}

} // namespace

factor_sample sample(const context&, const factor_model& m, std::int64_t n, std::uint64_t seed) {
    expects("n", n, at_least(0));
    return sample_rows(m, 0, n, seed);
}

factor_sample sample_rows(const factor_model& m, std::int64_t first_row, std::int64_t n, std::uint64_t seed) {
    const std::int64_t d = m.dimensions(), L = m.latent(), K = m.components();
    std::vector<double> running, deviations;
    double sum = 0;
    for (std::int64_t k = 0; k < K; ++k) {
        running.push_back(sum += m.weights()[k]);
        for (const double v : m.noise_of(k))
            deviations.push_back(std::sqrt(v));
    }
    factor_sample s{std::vector<double>(n * d), std::vector<double>(n * L), std::vector<std::int32_t>(n)};
    for_independent_rows(n, d * (L + 1), [&](std::int64_t i) {
        const std::uint64_t row = first_row + i;
        const philox_block choice = random_block(seed, random_purpose::sample_component, row);
        const double u = uniform_double(choice.word[0], choice.word[1]) * sum;
        const auto k = std::min<std::int64_t>(std::ranges::upper_bound(running, u) - running.begin(), K - 1);
        double *const x = &s.x[i * d], *const z = &s.z[i * L];
        draw_normals(seed, row, 0, d, x);
        draw_normals(seed, row, (d + 1) / 2, L, z);
        for (std::int64_t j = 0; j < d; ++j) {
            double value = m.means()[k * d + j] + deviations[k * d + j] * x[j];
            for (std::int64_t l = 0; l < L; ++l)
                value += m.loadings()[(k * d + j) * L + l] * z[l];
            x[j] = value;
        }
        s.labels[i] = static_cast<std::int32_t>(k);
    });
    return s;
}

} // namespace elbo::latent
