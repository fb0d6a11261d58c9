// What is known beforehand: labels of some samples, priors of the parameters.
#include "docs/guide/gallery.hpp"

#include <elbo/data_source.hpp>
#include <elbo/gmm/infer.hpp>
#include <elbo/gmm/variational.hpp>

#include <algorithm>
#include <cmath>
#include <iostream>

namespace elbo::guide {

namespace {

/// The share of the rows without a label that go to the component of their species (50 rows of each).
double accuracy(const std::vector<std::int32_t>& assigned, const std::vector<std::int32_t>& labels) {
    std::int64_t right = 0, asked = 0;
    for (std::size_t n = 0; n < labels.size(); ++n)
        if (labels[n] < 0) {
            ++asked;
            right += assigned[n] == static_cast<std::int32_t>(n / 50);
        }
    return static_cast<double>(right) / static_cast<double>(asked);
}

void labels(const gallery& g) {
    const context& ctx = g.ctx;
    const std::string path = g.file("iris.csv");
    std::vector<report::point> points;
    for (const std::int64_t known : {1, 2, 3, 5, 8, 12, 20, 30}) {
        // [labels]
        elbo::data_source iris = elbo::data_source::file(path, {.columns = {"Sepal.Length", "Sepal.Width"}});
        std::vector<std::int32_t> species(iris.rows(), -1); // unknown
        for (std::int32_t s = 0; s < 3; ++s)
            std::fill_n(species.begin() + 50 * s, known, s); // the first flowers of each

        elbo::gmm::fit_result fit = elbo::gmm::fit(ctx, iris, {.components = 3, .seed = 7, .labels = species});
        std::vector<std::int32_t> assigned = elbo::gmm::assign(ctx, fit.model, iris);
        // [labels end]
        points.push_back({static_cast<double>(known), accuracy(assigned, species)});
    }
    holds(points.back()[1] > points.front()[1], "labels help");
    g.save("labels",
           report::line_chart({curve("", 0, points)}, {.id = "labels",
                                                       .x_title = "flowers of each species with a label",
                                                       .y_title = "share of the others that is assigned right",
                                                       .description = "Accuracy against the number of labels"}));
}

void priors(const gallery& g) {
    const context& ctx = g.ctx;
    const std::string path = g.file("galaxies.csv");
    // [priors]
    elbo::data_source velocities = elbo::data_source::file(path, {.columns = {"dat"}, .scale = 1e-3});
    elbo::gmm::fit_options options{.components = 8, .shape = elbo::gmm::family::spherical, .restarts = 20, .seed = 1};
    elbo::gmm::fit_result likely = elbo::gmm::fit(ctx, velocities, options);
    options.prior = elbo::gmm::parameter_prior{}; // that of Fraley and Raftery
    elbo::gmm::fit_result probable = elbo::gmm::fit(ctx, velocities, options);
    std::cout << likely.log_likelihood << " without, " << probable.log_likelihood << " with a prior\n";
    // [priors end]
    std::vector<report::point> without, with;
    for (double x = 8; x <= 36; x += 0.1) {
        const matrix_view<const double> at(&x, 1, 1);
        without.push_back({x, std::exp(gmm::log_density(ctx, likely.model, at)[0])});
        with.push_back({x, std::exp(gmm::log_density(ctx, probable.model, at)[0])});
    }
    g.save("priors",
           report::line_chart({curve("maximum likelihood", 1, without), curve("maximum a posteriori", 0, with)},
                              {.id = "priors",
                               .x_title = "velocity (1000 km/s)",
                               .y_title = "density",
                               .description = "Densities of eight components with and without a prior"}));
}

void variational(const gallery& g) {
    const context& ctx = g.ctx;
    const std::string path = g.file("faithful.csv");
    // [variational]
    elbo::data_source data = elbo::data_source::file(path, {.columns = {"eruptions", "waiting"}});
    elbo::gmm::variational_options options{.components = 10, .prior = {.concentration = 1e-3}, .seed = 7};
    elbo::gmm::variational_result fit = elbo::gmm::fit_variational(ctx, data, options);
    std::cout << fit.posterior.effective_components().size() << " of 10 components are needed; the bound is "
              << fit.total_bound << " nats\n";
    std::vector<double> density = elbo::gmm::log_density(ctx, fit.posterior, data); // mixture of Student t
    // [variational end]
    holds(fit.posterior.effective_components().size() < 10, "superfluous components empty themselves");
    holds(density.size() == 272, "a density for each row");
    std::vector<double> weights = fit.posterior.expected_weights();
    std::ranges::sort(weights, std::greater());
    std::vector<report::point> sorted;
    for (std::size_t k = 0; k < weights.size(); ++k)
        sorted.push_back({static_cast<double>(k + 1), weights[k]});
    g.save("variational",
           report::line_chart({curve("", 3, sorted)}, {.id = "variational",
                                                       .x_title = "component, the heaviest first",
                                                       .y_title = "expected weight",
                                                       .description = "Expected weights of ten components"}));
}

} // namespace

void knowledge(const gallery& g) {
    labels(g);
    priors(g);
    variational(g);
}

} // namespace elbo::guide
