// Sampling from a linear-Gaussian model: Philox numbers as a pure function of (seed, row, number), so the same
// everywhere.
#include "elbo/latent/factors.hpp"

#include "host/check.hpp"
#include "host/draws.hpp"
#include "host/rows/independent_rows.hpp"

#include <cmath>

namespace elbo::latent {

using namespace kernels;

factor_sample sample(const context&, const factor_model& m, std::int64_t n, std::uint64_t seed) {
    expects("n", n, at_least(0));
    return sample_rows(m, 0, n, seed);
}

factor_sample sample_rows(const factor_model& m, std::int64_t first_row, std::int64_t n, std::uint64_t seed) {
    const std::int64_t d = m.dimensions(), L = m.latent();
    const component_draw draw_component(m.weights());
    std::vector<double> deviations;
    for (std::int64_t k = 0; k < m.components(); ++k)
        for (const double v : m.noise_of(k))
            deviations.push_back(std::sqrt(v));
    factor_sample s{std::vector<double>(n * d), std::vector<double>(n * L), std::vector<std::int32_t>(n)};
    for_independent_rows(n, d * (L + 1), [&](std::int64_t i) {
        const std::uint64_t row = first_row + i;
        const std::int64_t k = draw_component(seed, row);
        double *const x = &s.x[i * d], *const z = &s.z[i * L];
        draw_normals(seed, random_purpose::sample_noise, row, d, x);
        draw_normals(seed, random_purpose::sample_noise, row, L, z, (d + 1) / 2);
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
