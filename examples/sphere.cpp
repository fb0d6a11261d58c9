// Points near a sphere: draw, fit, ask. docs/latent.md shows the parts between the markers.
#include <elbo/data_source.hpp>
#include <elbo/latent/sphere.hpp>

#include <cmath>
#include <cstdint>
#include <iostream>
#include <string>
#include <vector>

int main() {
    elbo::context ctx = elbo::context::best();

    // [fit]
    elbo::latent::sphere_model truth({.centre = {3, -1, 2}, .radius = 2, .noise = 0.01}); // noise: σ²
    std::vector<double> x = elbo::latent::sample(ctx, truth, 2000, 1).x;
    elbo::matrix_view<const double> rows(x.data(), 2000, 3);
    elbo::latent::sphere_result fit = elbo::latent::fit(ctx, rows, elbo::latent::sphere_options{});
    std::cout << "radius " << fit.model.radius() << ", sigma " << std::sqrt(fit.model.noise()) << ", "
              << fit.log_likelihood << " nats after " << fit.iterations << " iterations\n";
    // [fit end]

    // [use]
    elbo::latent::sphere_posterior p = elbo::latent::posterior(ctx, fit.model, rows); // u | x: means, concentrations
    std::vector<double> clean = elbo::latent::reconstruct(ctx, fit.model, rows);      // m + r E[u | x]
    elbo::latent::save(fit.model, "sphere.json");
    // [use end]

    const bool right = std::abs(fit.model.radius() - 2) < 0.02 && p.concentrations[0] > 100 &&
                       clean.size() == x.size() && elbo::latent::load_sphere("sphere.json") == fit.model;
    return right ? 0 : 1;
}
