// Priors on the parameters of a mixture. docs/priors.md shows the parts between the markers.
//   priors tests/data/faithful.csv
#include <elbo/data_source.hpp>
#include <elbo/gmm/fit.hpp>

#include <cmath>
#include <iostream>

int main(int argc, char** argv) {
    const char* path = argc > 1 ? argv[1] : "faithful.csv";
    elbo::context ctx = elbo::context::best();
    elbo::data_source data = elbo::data_source::file(path, {.columns = {"eruptions", "waiting"}});

    // [map]
    elbo::gmm::fit_options options;
    options.components = 6;
    options.relative_regularization = 0;          // the prior keeps the covariances regular by itself
    options.prior = elbo::gmm::parameter_prior{}; // all by the data
    options.prior->concentration = 2;             // each component has seen one sample before
    elbo::gmm::fit_result map = elbo::gmm::fit(ctx, data, options);
    const elbo::gmm::iteration_record& last = map.trace.back();
    std::cout << "log-likelihood " << last.log_likelihood << ", log prior " << last.log_prior << " per sample\n";
    // [map end]

    // [density]
    elbo::gmm::parameter_prior prior{.mean = {{3.5, 71.0}}, .degrees_of_freedom = 4.0, .scale = {{0.2, 0, 0, 30.0}}};
    double log_prior = elbo::gmm::log_prior(map.model, prior);
    // [density end]

    const bool right = map.events.empty() && map.model.components() == 6 && std::isfinite(log_prior);
    return right ? 0 : 1;
}
