// A program of somebody who installed elbo and its pages: fits two Gaussians and makes the page about them.
#include "elbo/report.hpp"

#include <iostream>
#include <random>
#include <vector>

int main() {
    constexpr std::int64_t samples = 200;
    std::mt19937_64 random(1);
    std::normal_distribution<double> normal;
    std::vector<double> x(samples);
    for (std::int64_t i = 0; i < samples; ++i)
        x[i] = (i % 2 == 0 ? -3.0 : 4.0) + normal(random);

    const elbo::context ctx = elbo::context::cpu(1);
    const elbo::data_source data(elbo::matrix_view<const double>(x.data(), samples, 1));
    const elbo::gmm::fit_result fit = elbo::gmm::fit(ctx, data, {.components = 2});
    const std::string html = elbo::report::page(ctx, fit, data, {.title = "Two Gaussians"});
    std::cout << "a page of " << html.size() << " bytes\n";
    return html.starts_with("<!DOCTYPE html>") && html.find("<title>Two Gaussians</title>") != std::string::npos ? 0
                                                                                                                 : 1;
}
