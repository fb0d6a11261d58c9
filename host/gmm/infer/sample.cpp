// Sampling from a mixture: Philox numbers as a pure function of (seed, row, dimension), so the same everywhere.
#include "host/check.hpp"
#include "host/draws.hpp"
#include "host/gmm/infer/infer.hpp"
#include "host/rows/independent_rows.hpp"
#include "kernels/contract/gmm_layout.hpp"

#include <cblas.h>

namespace elbo::gmm {

using namespace kernels;

namespace {

/// x ← U^-T x for one row, so that ε ~ N(0, I) becomes U^-T ε ~ N(0, Σ).
void colour(const model& m, std::int64_t k, double* x) {
    const std::int64_t d = m.dimensions();
    const family_geometry g = geometry(m.shape());
    const double* u = &m.precision_cholesky()[k * g.stride(d)];
    if (g.matrix())
        cblas_dtrsv(CblasRowMajor, CblasUpper, CblasTrans, CblasNonUnit, static_cast<int>(d), u, static_cast<int>(d), x,
                    1);
    else
        for (std::int64_t j = 0; j < d; ++j)
            x[j] /= u[g.at(j, j, d)];
}

} // namespace

sample_result sample(const context&, const model& m, std::int64_t n, std::uint64_t seed) {
    expects("n", n, at_least(0));
    return sample_rows(m, 0, n, seed);
}

sample_result sample_rows(const model& m, std::int64_t first_row, std::int64_t n, std::uint64_t seed) {
    const std::int64_t d = m.dimensions();
    const component_draw draw_component(m.weights());
    sample_result result{std::vector<double>(n * d), std::vector<std::int32_t>(n)};
    for_independent_rows(n, d, [&](std::int64_t i) {
        const std::uint64_t row = first_row + i;
        const std::int64_t k = draw_component(seed, row);
        double* x = &result.x[i * d];
        draw_normals(seed, random_purpose::sample_noise, row, d, x);
        colour(m, k, x);
        for (std::int64_t j = 0; j < d; ++j)
            x[j] += m.means()[k * d + j];
        result.labels[i] = static_cast<std::int32_t>(k);
    });
    return result;
}

} // namespace elbo::gmm
