// Continuous latent variables whose posterior is known.
#include "docs/guide/gallery.hpp"
#include "host/report/chart/charts.hpp"

#include <elbo/data_source.hpp>
#include <elbo/latent/factors.hpp>
#include <elbo/latent/sphere.hpp>

#include <cmath>
#include <iostream>

namespace elbo::guide {

namespace {

void factors(const gallery& g) {
    const context& ctx = g.ctx;
    const std::string path = g.file("optdigits.tes");
    const std::vector<std::string> pixels = pixel_columns();
    // [factors]
    elbo::data_source digits = elbo::data_source::file(path, {.columns = pixels, .scale = 1.0 / 16});
    using elbo::latent::factor_kind;
    elbo::latent::factor_result pca = elbo::latent::fit(ctx, digits, {.kind = factor_kind::ppca, .latent = 2});
    elbo::latent::factor_result fa =
        elbo::latent::fit(ctx, digits, {.kind = factor_kind::factor_analysis, .latent = 2, .noise_floor = 1e-3});
    elbo::latent::factor_result mixture = elbo::latent::fit(
        ctx, digits, {.kind = factor_kind::factor_mixture, .latent = 2, .components = 10, .noise_floor = 1e-3});
    std::cout << pca.log_likelihood << " < " << fa.log_likelihood << " < " << mixture.log_likelihood << '\n';

    elbo::latent::factor_posterior z = elbo::latent::posterior(ctx, pca.model, digits); // means [n x 2]
    // [factors end]
    holds(pca.log_likelihood < fa.log_likelihood && fa.log_likelihood < mixture.log_likelihood,
          "each model holds the one before");
    std::vector<std::array<double, 2>> points;
    for (std::int64_t n = 0; n < digits.rows(); ++n)
        points.push_back({z.means[2 * n], z.means[2 * n + 1]});
    const data_source truth = data_source::file(path, {.columns = {"64"}});
    g.save("ppca", report::point_cloud(report::group_by(points, numbers_of(truth)),
                                       {.id = "ppca",
                                        .x_title = "E[z_1 | x]",
                                        .y_title = "E[z_2 | x]",
                                        .description = "Posterior means of two latent variables, by digit"}));
}

void sphere(const gallery& g) {
    const context& ctx = g.ctx;
    // [sphere]
    elbo::latent::sphere_model truth({.centre = {3, -1}, .radius = 2, .noise = 0.04});
    elbo::latent::sphere_sample drawn = elbo::latent::sample(ctx, truth, 400, 1);
    elbo::matrix_view<const double> rows(drawn.x.data(), 400, 2);

    elbo::latent::sphere_result fit = elbo::latent::fit(ctx, rows, elbo::latent::sphere_options{});
    std::cout << "centre " << fit.model.centre()[0] << ", " << fit.model.centre()[1] << ", radius "
              << fit.model.radius() << ", sigma " << std::sqrt(fit.model.noise()) << '\n';
    std::vector<double> clean = elbo::latent::reconstruct(ctx, fit.model, rows); // m + r E[u | x]
    // [sphere end]
    holds(std::abs(fit.model.radius() - 2) < 0.05, "the radius comes back");
    report::point_groups cloud;
    for (int n = 0; n < 400; ++n) {
        cloud.points.push_back({drawn.x[2 * n], drawn.x[2 * n + 1]});
        cloud.points.push_back({clean[2 * n], clean[2 * n + 1]});
        cloud.groups.insert(cloud.groups.end(), {0, 1});
    }
    cloud.legend = {{report::style_of(0), "samples"}, {report::style_of(1), "without their noise"}};
    g.save("sphere", report::point_cloud(cloud, {.id = "sphere",
                                                 .x_title = "x_1",
                                                 .y_title = "x_2",
                                                 .description = "Points about a circle and their reconstructions"}));
}

} // namespace

void continuous(const gallery& g) {
    factors(g);
    sphere(g);
}

} // namespace elbo::guide
