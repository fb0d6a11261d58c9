// A program of somebody who installed elbo: fits two Gaussians on the CPU and prints their means.
#include "elbo/context.hpp"
#include "elbo/gmm/fit.hpp"
#include "elbo/version.hpp"

#include <algorithm>
#include <cmath>
#include <iostream>
#include <random>
#include <vector>

int main() {
    // 500 samples each of N(-3, 1) and N(4, 1).
    constexpr std::int64_t samples = 1000;
    std::mt19937_64 random(1);
    std::normal_distribution<double> normal;
    std::vector<double> x(samples);
    for (std::int64_t i = 0; i < samples; ++i)
        x[i] = (i % 2 == 0 ? -3.0 : 4.0) + normal(random);

    const elbo::gmm::fit_result fit =
        elbo::gmm::fit(elbo::context::cpu(1), elbo::matrix_view<const double>(x.data(), samples, 1), {.components = 2});
    std::vector<double> means = fit.model.means();
    std::sort(means.begin(), means.end());
    std::cout << "elbo " << elbo::version << ": means " << means[0] << " and " << means[1] << '\n';

    // The standard error of a mean is 1/sqrt(500) = 0.045; five of them, and the components lie 7 apart.
    return std::abs(means[0] + 3) < 0.23 && std::abs(means[1] - 4) < 0.23 ? 0 : 1;
}
