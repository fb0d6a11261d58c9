// EM written with the statistics object: the parts of the data may lie on different nodes, or come one after the other.
// [headers]
#include <elbo/gmm/statistics.hpp>
// [headers end]
// [gradient_headers]
#include <elbo/gmm/gradient.hpp>
// [gradient_headers end]

#include <algorithm>
#include <cmath>
#include <iostream>
#include <random>
#include <vector>

int main() {
    constexpr std::int64_t rows = 8192;
    std::mt19937_64 random(1);
    std::normal_distribution<double> normal;
    std::vector<double> x(rows);
    for (std::int64_t i = 0; i < rows; ++i)
        x[i] = normal(random) + (i % 4 == 0 ? 6 : 0);

    const elbo::context ctx = elbo::context::cpu();
    const elbo::matrix_view<const double> all(x.data(), rows, 1);
    const auto first_half = all.slice(0, rows / 2), second_half = all.slice(rows / 2, rows / 2);
    elbo::gmm::model model = elbo::gmm::model::from_covariances(elbo::gmm::family::full, 1, {0.5, 0.5}, {0, 1}, {1, 1});
    std::vector<double> log_likelihood;
    // [em]
    for (int iteration = 0; iteration < 50; ++iteration) {
        elbo::gmm::statistics here(model), there(model); // one on each node
        here.accumulate(ctx, first_half);
        there.accumulate(ctx, second_half);
        here.merge(there); // exact: the order of merging changes no bit
        model = elbo::gmm::maximize(here, {});
        log_likelihood.push_back(here.total_log_likelihood() / here.total_weight());
    }
    // [em end]
    std::cout << log_likelihood.back() << " nats per sample\n";
    // [gradient]
    elbo::gmm::log_likelihood_gradient slope = elbo::gmm::gradient(ctx, model, all);
    std::cout << "largest slope of a mean: " << std::max(std::abs(slope.means[0]), std::abs(slope.means[1])) << '\n';
    // [gradient end]
    // After 50 iterations EM is close to where all slopes vanish; there they are of the order of N.
    if (!(std::abs(slope.means[0]) < 1e-3 * rows))
        return 1;
    for (std::size_t t = 1; t < log_likelihood.size(); ++t)
        if (log_likelihood[t] < log_likelihood[t - 1] - 1e-9)
            return 1; // it never falls
    // A quarter of the samples lies about 6.
    const std::int64_t right = model.means()[0] > model.means()[1] ? 0 : 1;
    return std::abs(model.weights()[right] - 0.25) < 0.03 && std::abs(model.means()[right] - 6) < 0.2 ? 0 : 1;
}
