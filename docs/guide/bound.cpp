// The bound itself: log p(θ) and J(q, θ) as curves over one parameter.
#include "docs/guide/gallery.hpp"

#include <elbo/data_source.hpp>
#include <elbo/gmm/evidence.hpp>

#include <cmath>
#include <iostream>

namespace elbo::guide {

namespace {

/// The model with another mean of its second component.
gmm::model with_second_mean(const gmm::model& m, double mean) {
    return gmm::model::from_precision_cholesky(m.shape(), 1, m.weights(), {m.means()[0], mean}, m.precision_cholesky());
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

    std::vector<report::point> likelihood, from_65, from_72;
    for (double mean = 58; mean <= 96; mean += 0.5) {
        const gmm::model m = with_second_mean(model, mean);
        likelihood.push_back({mean, gmm::evidence(ctx, m, waiting).log_likelihood});
        from_65.push_back({mean, gmm::evidence(ctx, m, waiting, with_second_mean(model, 65)).elbo});
        from_72.push_back({mean, gmm::evidence(ctx, m, waiting, with_second_mean(model, 72)).elbo});
    }
    const auto in_view = [](std::vector<report::point> points) {
        std::erase_if(points, [](const report::point& p) { return p[1] < -5.2; });
        return points;
    };
    g.save("bound",
           report::line_chart({curve("log p", 0, in_view(likelihood)), curve("J, q of mean 65", 1, in_view(from_65)),
                               curve("J, q of mean 72", 2, in_view(from_72))},
                              {.id = "bound",
                               .x_title = "mean of the second component (minutes)",
                               .y_title = "nats per sample",
                               .description = "The log-likelihood and two lower bounds that touch it"}));
}

} // namespace elbo::guide
