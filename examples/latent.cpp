// Continuous latent variables with an exact posterior: principal components, factors, mixtures of factor analysers.
//   latent tests/data/optdigits.tes
#include <elbo/data_source.hpp>
#include <elbo/latent/factors.hpp>

#include <cmath>
#include <iostream>
#include <string>
#include <vector>

int main(int argc, char** argv) {
    const char* path = argc > 1 ? argv[1] : "optdigits.tes";
    elbo::context ctx = elbo::context::cpu();
    // 8 x 8 grey values 0 ... 16; the last column, the digit, is left out.
    elbo::file_options pixels{.scale = 1.0 / 16};
    for (int j = 0; j < 64; ++j)
        pixels.columns.push_back(std::to_string(j));
    elbo::data_source data = elbo::data_source::file(path, pixels);

    // [ppca]
    elbo::latent::factor_result em = elbo::latent::fit(ctx, data, {.latent = 5});
    elbo::latent::factor_result exact =
        elbo::latent::fit(ctx, data, {.latent = 5, .method = elbo::latent::factor_method::eigen});
    std::cout << em.log_likelihood << " nats after " << em.iterations << " iterations, " << exact.log_likelihood
              << " from eigenvalues, noise " << exact.model.noise()[0] << '\n';
    // [ppca end]

    // [optimum]
    elbo::latent::factor_result factors =
        elbo::latent::fit(ctx, data, {.kind = elbo::latent::factor_kind::factor_analysis, .latent = 3, .restarts = 4});
    std::cout << factors.log_likelihood << " nats from a start of the kind " << to_string(*factors.best_start) << '\n';
    // [optimum end]

    // [use]
    elbo::latent::factor_posterior code = elbo::latent::posterior(ctx, exact.model, data); // E[z | x]
    std::vector<double> covariance = exact.model.posterior_covariance(0); // Cov[z | x], the same for all x
    std::vector<double> rows = elbo::latent::reconstruct(ctx, exact.model, data);
    elbo::latent::factor_sample drawn = elbo::latent::sample(ctx, exact.model, 100, 7);
    // [use end]

    // [mixture]
    elbo::latent::factor_result mixture = elbo::latent::fit(ctx, data,
                                                            {.kind = elbo::latent::factor_kind::factor_mixture,
                                                             .latent = 3,
                                                             .components = 4,
                                                             .tolerance = 1e-4,
                                                             .noise_floor = 1e-3,
                                                             .seed = 1});
    std::cout << mixture.model.parameters() << " parameters, " << mixture.log_likelihood << " nats, "
              << mixture.events.size() << " events\n";
    // [mixture end]

    const bool right = std::abs(em.log_likelihood - exact.log_likelihood) < 1e-6 &&
                       code.means.size() == 5 * static_cast<std::size_t>(data.rows()) && covariance.size() == 25 &&
                       rows.size() == 64 * static_cast<std::size_t>(data.rows()) && drawn.z.size() == 500 &&
                       mixture.log_likelihood > exact.log_likelihood;
    return right ? 0 : 1;
}
