// Distributions over the parameters of a mixture in place of point estimates. docs/priors.md shows the parts between
// the markers.
//   variational tests/data/faithful.csv
#include <elbo/data_source.hpp>
#include <elbo/gmm/infer.hpp>
#include <elbo/gmm/variational.hpp>

#include <cmath>
#include <iostream>

int main(int argc, char** argv) {
    const char* path = argc > 1 ? argv[1] : "faithful.csv";
    elbo::context ctx = elbo::context::best();
    elbo::data_source data = elbo::data_source::file(path, {.columns = {"eruptions", "waiting"}});

    // [fit]
    elbo::gmm::variational_options options;
    options.components = 10; // an upper limit
    options.weights_prior = elbo::gmm::weights_model::stick_breaking;
    options.prior.concentration = 0.01;
    elbo::gmm::variational_result fit = elbo::gmm::fit_variational(ctx, data, options);
    std::cout << fit.posterior.effective_components().size()
              << " of 10 components have samples; log p(x) >= " << fit.total_bound << '\n';
    // [fit end]

    // [use]
    elbo::gmm::variational_posterior posterior = fit.posterior.without_empty();
    elbo::gmm::save(posterior, "posterior.safetensors", data.column_names());
    elbo::gmm::model plug_in = posterior.model(); // at the posterior means: an ordinary mixture
    // log of the density averaged over the posterior: a mixture of Student t distributions
    std::vector<double> predictive = elbo::gmm::log_density(ctx, posterior, data);
    elbo::gmm::sample_result drawn = elbo::gmm::sample(ctx, posterior, 1000, 1);
    std::cout << "first row: " << predictive[0] << " nats, plug-in " << elbo::gmm::log_density(ctx, plug_in, data)[0]
              << '\n';
    // [use end]

    // [trace]
    for (const elbo::gmm::variational_record& now : fit.trace)
        std::cout << now.iteration << ' ' << now.bound << " = " << now.expected_log_likelihood << " - "
                  << now.weights_divergence << " - " << now.components_divergence << '\n';
    // [trace end]

    bool right = posterior.components() == 2 && drawn.x.size() == 2000 && std::isfinite(predictive[0]) &&
                 elbo::gmm::load_posterior("posterior.safetensors") == posterior;
    for (std::size_t t = 1; t < fit.trace.size(); ++t)
        right = right && fit.trace[t].bound >= fit.trace[t - 1].bound - 1e-6;
    return right ? 0 : 1;
}
