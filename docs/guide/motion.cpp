// Data that are seen once, batch by batch.
#include "docs/guide/gallery.hpp"

#include <elbo/data_source.hpp>
#include <elbo/gmm/infer.hpp>
#include <elbo/gmm/online.hpp>

#include <iostream>

namespace elbo::guide {

void motion(const gallery& g) {
    const context& ctx = g.ctx;
    const data_source faithful = data_source::file(g.file("faithful.csv"), {.columns = {"eruptions", "waiting"}});
    const gmm::model truth = gmm::fit(ctx, faithful, {.components = 2, .seed = 7}).model;
    const std::vector<double> stream = gmm::sample(ctx, truth, 20000, 1).x;
    const matrix_view<const double> all(stream.data(), 20000, 2);
    const double settled = gmm::fit(ctx, all, {.components = 2, .seed = 7}).log_likelihood;
    std::vector<report::point> stepwise, batch;
    // [stepwise]
    elbo::matrix_view<const double> first(stream.data(), 100, 2); // [20000 x 2] in batches of 100
    elbo::gmm::fit_options rough{
        .components = 2, .start = elbo::gmm::start_method::kmeans_plus_plus, .max_iterations = 1};
    elbo::gmm::online follower(elbo::gmm::fit(ctx, first, rough).model, {.kappa = 0.7});
    for (std::int64_t at = 0; at < 200; ++at) {
        elbo::matrix_view<const double> rows(stream.data() + 200 * at, 100, 2);
        elbo::gmm::online_step step = follower.partial_fit(ctx, rows); // under the model before it
        std::cout << step.step << ": " << step.log_likelihood << ", rate " << step.rate << '\n';
        if (step.step % 5 == 0)
            stepwise.push_back({1.0 * step.step, elbo::gmm::score(ctx, follower.model(), all).log_likelihood});
    }
    // [stepwise end]
    for (const double step : {5.0, 200.0})
        batch.push_back({step, settled});
    holds(stepwise.back()[1] > settled - 0.01 && stepwise.back()[1] <= settled + 1e-6,
          "stepwise EM settles near the batch fit");
    g.save("stepwise",
           report::line_chart({curve("stepwise EM, one pass", 0, stepwise), curve("EM over all rows", 1, batch)},
                              {.id = "stepwise",
                               .x_title = "batches of 100 rows",
                               .y_title = "log-likelihood of all rows (nats per sample)",
                               .description = "Log-likelihood after each batch, and of the batch fit"}));
}

} // namespace elbo::guide
