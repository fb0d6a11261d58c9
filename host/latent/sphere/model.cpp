// The sphere model as a value, and what it draws.
#include "elbo/latent/sphere.hpp"

#include "host/check.hpp"
#include "host/draws.hpp"
#include "host/gmm/model/check_array.hpp"
#include "host/rows/independent_rows.hpp"

#include <algorithm>
#include <cmath>
#include <fmt/format.h>

namespace elbo::latent {

using namespace kernels;

namespace {

/// z/‖z‖ in place. The numbers of normal_pair are never all 0: log of a number in (0, 1) is not 0, nor is a sine or
/// cosine beside one.
void normalize(double* z, std::int64_t d) {
    double square = 0;
    for (std::int64_t j = 0; j < d; ++j)
        square += z[j] * z[j];
    for (std::int64_t j = 0; j < d; ++j)
        z[j] /= std::sqrt(square);
}

} // namespace

sphere_model::sphere_model(sphere_parameters p) : p_(std::move(p)) {
    expects(!p_.centre.empty(), [] { return std::string("centre is empty: expected at least one number"); });
    gmm::check_finite("centre", p_.centre);
    expects("radius", p_.radius, at_least(0));
    expects("noise", p_.noise, rule{.least = 0, .above = true, .expected = "a finite positive variance"});
    expects(std::sqrt(p_.noise) >= 1e-12 * p_.radius, [&] {
        return fmt::format("noise = {}: expected a standard deviation of at least 1e-12 of the radius {}", p_.noise,
                           p_.radius);
    });
}

sphere_sample sample(const context&, const sphere_model& m, std::int64_t n, std::uint64_t seed) {
    expects("n", n, at_least(0));
    return sample_rows(m, 0, n, seed);
}

sphere_sample sample_rows(const sphere_model& m, std::int64_t first_row, std::int64_t n, std::uint64_t seed) {
    const std::int64_t d = m.dimensions();
    const double sigma = std::sqrt(m.noise());
    sphere_sample result{std::vector<double>(n * d), std::vector<double>(n * d)};
    for_independent_rows(n, 2 * d, [&](std::int64_t i) {
        double *u = &result.u[i * d], *x = &result.x[i * d];
        draw_normals(seed, random_purpose::sample_component, first_row + i, d, u);
        normalize(u, d);
        draw_normals(seed, random_purpose::sample_noise, first_row + i, d, x);
        for (std::int64_t j = 0; j < d; ++j)
            x[j] = m.centre()[j] + m.radius() * u[j] + sigma * x[j];
    });
    return result;
}

} // namespace elbo::latent
