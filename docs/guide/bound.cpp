// The bound itself: log p(θ) and J(q, θ) as curves over one parameter.
#include "docs/guide/gallery.hpp"

#include <elbo/data_source.hpp>
#include <elbo/gmm/evidence.hpp>

#include <algorithm>
#include <cmath>
#include <iostream>

namespace elbo::guide {

namespace {

/// The model with another mean of its component with the larger one.
gmm::model with_larger_mean(const gmm::model& m, double mean) {
    std::vector<double> means = m.means();
    *std::ranges::max_element(means) = mean;
    return gmm::model::from_precision_cholesky(m.shape(), 1, m.weights(), means, m.precision_cholesky());
}

} // namespace

void bound(const gallery& g) {
    const context& ctx = g.ctx;
    const std::string path = g.file("faithful.csv");
    // [evidence]
    elbo::data_source waiting = elbo::data_source::file(path, {.columns = {"waiting"}});
    elbo::gmm::model model = elbo::gmm::fit(ctx, waiting, {.components = 2, .seed = 7}).model;
    elbo::gmm::model other = elbo::gmm::fit(ctx, waiting, {.components = 2, .max_iterations = 1, .seed = 7}).model;

    elbo::gmm::evidence_terms tight = elbo::gmm::evidence(ctx, model, waiting);        // q = p(z | x)
    elbo::gmm::evidence_terms loose = elbo::gmm::evidence(ctx, model, waiting, other); // q of another model
    std::cout << tight.elbo << " = " << tight.log_likelihood << ", and " << loose.elbo << " = "
              << loose.expected_log_joint << " + " << loose.entropy << " = " << loose.log_likelihood << " - "
              << loose.kl << '\n';
    // [evidence end]
    holds(std::abs(tight.elbo - tight.log_likelihood) < 1e-9, "the bound is tight for the posterior");
    holds(loose.kl > 0 && std::abs(loose.elbo - loose.elbo_from_gap) < 1e-9, "J two ways");

    std::vector<report::point> likelihood, from_68, from_90;
    for (double mean = 64; mean <= 96; mean += 0.5) {
        const gmm::model m = with_larger_mean(model, mean);
        likelihood.push_back({mean, gmm::evidence(ctx, m, waiting).log_likelihood});
        from_68.push_back({mean, gmm::evidence(ctx, m, waiting, with_larger_mean(model, 68)).elbo});
        from_90.push_back({mean, gmm::evidence(ctx, m, waiting, with_larger_mean(model, 90)).elbo});
    }
    g.save("bound", report::line_chart({curve("log p", 0, likelihood), curve("J, q of mean 68", 1, from_68),
                                        curve("J, q of mean 90", 2, from_90)},
                                       {.id = "bound",
                                        .x_title = "mean of the component of long waits (minutes)",
                                        .y_title = "nats per sample",
                                        .description = "The log-likelihood and two lower bounds that touch it"}));
}

} // namespace elbo::guide
