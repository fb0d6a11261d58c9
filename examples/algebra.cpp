// Mixtures made from mixtures, and how far apart two of them are. docs/algebra.md shows the parts between the markers.
//   algebra tests/data/faithful.csv
#include <elbo/data_source.hpp>
#include <elbo/gmm/algebra.hpp>
#include <elbo/gmm/fit.hpp>
#include <elbo/gmm/infer.hpp>
#include <elbo/gmm/regress.hpp>

#include <cmath>
#include <iostream>
#include <vector>

int main(int argc, char** argv) {
    const char* path = argc > 1 ? argv[1] : "faithful.csv";
    elbo::context ctx = elbo::context::best();
    elbo::data_source data = elbo::data_source::file(path, {.columns = {"eruptions", "waiting"}});
    elbo::gmm::model model = elbo::gmm::fit(ctx, data, {.components = 2, .seed = 7}).model;

    // [parts]
    elbo::gmm::model waiting = elbo::gmm::marginal(model, {1});              // p(waiting)
    elbo::gmm::model after_long = elbo::gmm::conditional(model, {0}, {4.5}); // p(waiting | eruptions = 4.5)
    elbo::gmm::moments_result expected = elbo::gmm::moments(after_long);
    std::cout << expected.mean[0] << " +- " << std::sqrt(expected.covariance[0]) << " minutes\n";
    // [parts end]

    // [regression]
    std::vector<double> eruptions{1.8, 3.0, 4.5}; // any source of rows: a file, device memory, a generator
    elbo::gmm::regression next =
        elbo::gmm::regress(ctx, model, {0}, elbo::matrix_view<const double>(eruptions.data(), 3, 1));
    for (int n = 0; n < 3; ++n)
        std::cout << next.means[n] << " +- " << std::sqrt(next.variances[n]) << " minutes after " << eruptions[n]
                  << '\n';
    // [regression end]

    // [maps]
    // In hours, and as the sum of both.
    elbo::gmm::model hours = elbo::gmm::affine(model, {1.0 / 60, 0, 0, 1.0 / 60}, {0, 0});
    elbo::gmm::model cycle = elbo::gmm::affine(model, {1, 1}, {0});
    // What is known after both columns were measured with an error of variance 0.1 and 25.
    elbo::gmm::product_result posterior = elbo::gmm::product(model, {3.0, 70.0}, {0.1, 0, 0, 25});
    std::cout << "log density of the measurement: " << posterior.log_normalizer << '\n';
    // [maps end]

    // [divergence]
    elbo::gmm::model one = elbo::gmm::fit(ctx, data, {.components = 1}).model;
    elbo::gmm::divergence_result d = elbo::gmm::kl_divergence(ctx, model, one, {.samples = 100000, .seed = 1});
    elbo::gmm::variational_divergence v = elbo::gmm::kl_variational(model, one);
    std::cout << d.value << " +- " << d.standard_error << ", at most " << v.upper_bound << " nats\n";
    // [divergence end]

    const bool right = waiting.dimensions() == 1 && std::abs(expected.mean[0] - 80) < 5 &&
                       std::abs(next.means[2] - expected.mean[0]) < 1e-9 && cycle.dimensions() == 1 &&
                       std::abs(hours.means()[0] * 60 / model.means()[0] - 1) < 1e-12 &&
                       std::isfinite(posterior.log_normalizer) && d.value > 0 &&
                       d.value < v.upper_bound + 5 * d.standard_error;
    return right ? 0 : 1;
}
