// Fits mixtures to arrays that the program has already: nothing is copied before the fit.
// [headers]
#include <elbo/gmm/fit.hpp>
// [headers end]

#include <cmath>
#include <iostream>
#include <random>
#include <vector>

int main() {
    // Rows of four numbers of which the first two are data: 3000 samples about (0, 0), 1000 about (5, 5).
    constexpr std::int64_t rows = 4000, stride = 4;
    std::mt19937_64 random(1);
    std::normal_distribution<float> normal;
    std::vector<float> table(rows * stride, -1.0f);
    for (std::int64_t i = 0; i < rows; ++i)
        for (std::int64_t j = 0; j < 2; ++j)
            table[i * stride + j] = normal(random) + (i < 3000 ? 0.0f : 5.0f);

    const elbo::context ctx = elbo::context::cpu();
    // [array]
    elbo::matrix_view<const float> x(table.data(), rows, 2, stride, elbo::memory_space::host); // row-major
    elbo::gmm::fit_result fit = elbo::gmm::fit(ctx, x, {.components = 2, .shape = elbo::gmm::family::diagonal});
    // [array end]

    // [weights]
    std::vector<float> weights(rows, 1.0f); // one number a row; 0 leaves a row out
    weights[0] = 0;
    elbo::gmm::fit_options options;
    options.components = 2;
    options.weights = weights;
    elbo::gmm::fit_result weighted = elbo::gmm::fit(ctx, x, options);
    // [weights end]

    // [chunks]
    elbo::data_source parts = elbo::data_source::chunks({x.slice(0, 1000), x.slice(1000, 3000)});
    elbo::gmm::fit_result same = elbo::gmm::fit(ctx, parts, {.components = 2, .shape = elbo::gmm::family::diagonal});
    // [chunks end]

    // [generator]
    elbo::data_source stream =
        elbo::data_source::generator(rows, 2, [&](std::int64_t first, std::int64_t count, float* out) {
            for (std::int64_t i = first; i < first + count; ++i)
                for (std::int64_t j = 0; j < 2; ++j)
                    *out++ = table[i * stride + j]; // read, decode or compute rows first ... first + count - 1
        });
    elbo::gmm::fit_result streamed =
        elbo::gmm::fit(ctx, stream, {.components = 2, .shape = elbo::gmm::family::diagonal});
    // [generator end]

    std::cout << fit.log_likelihood << ' ' << weighted.log_likelihood << '\n';
    // Chunks and generators give the bits of the array. The larger weight is 0.75 with a standard error of 0.007.
    const double largest = std::max(fit.model.weights()[0], fit.model.weights()[1]);
    return same.model == fit.model && streamed.model == fit.model && std::abs(largest - 0.75) < 0.02 &&
                   weighted.total_weight == rows - 1
               ? 0
               : 1;
}
