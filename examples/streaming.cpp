// Data in motion: larger than memory, spread over processes, or arriving batch by batch. docs/streaming.md shows the
// parts between the markers.
#include <elbo/data_source.hpp>
#include <elbo/gmm/fit.hpp>
#include <elbo/gmm/infer.hpp>
#include <elbo/gmm/online.hpp>
#include <elbo/gmm/statistics.hpp>

#include <cmath>
#include <cstdio>
#include <iostream>
#include <random>
#include <vector>

int main() {
    constexpr std::int64_t rows = 4 * 4096, cols = 2, batch = 4096;
    std::mt19937_64 random(1);
    std::normal_distribution<float> normal;
    std::vector<float> x(rows * cols);
    for (std::int64_t i = 0; i < rows; ++i)
        for (std::int64_t j = 0; j < cols; ++j)
            x[i * cols + j] = normal(random) + (i % 4 == 0 ? 6.0f : 0.0f);
    const elbo::matrix_view<const float> all(x.data(), rows, cols);
    const elbo::context ctx = elbo::context::best();

    // [larger]
    // Rows that do not fit are read anew in each iteration; the bits are those of a fit in one piece.
    elbo::gmm::fit_options options{.components = 2, .seed = 1};
    options.memory_limit = 1 << 16; // bytes; 0, the default, takes what is free
    elbo::gmm::memory_plan plan = elbo::gmm::plan_memory(ctx, all, options);
    std::cout << plan.to_string() << '\n'; // before anything is read
    elbo::gmm::fit_result streamed = elbo::gmm::fit(ctx, all, options);
    // [larger end]

    // [parts]
    elbo::gmm::model model = streamed.model;
    {
        elbo::gmm::statistics part(model); // one process for each part of the data
        part.accumulate(ctx, all.slice(0, 2 * batch));
        elbo::gmm::save(part, "part.safetensors");
    }
    elbo::gmm::statistics sum(model);
    sum.accumulate(ctx, all.slice(2 * batch, rows - 2 * batch));
    sum.merge(elbo::gmm::load_statistics("part.safetensors")); // to the bits of a single process
    elbo::gmm::model better = elbo::gmm::maximize(sum, {});
    // [parts end]

    // [online]
    elbo::gmm::model begin = elbo::gmm::fit(ctx, all.slice(0, batch), {.components = 2}).model;
    elbo::gmm::online stream(begin, {.t0 = 1, .kappa = 0.7}); // rho_t = (t + t0)^-kappa
    for (std::int64_t first = 0; first < rows; first += batch) {
        elbo::gmm::online_step step = stream.partial_fit(ctx, all.slice(first, batch));
        std::cout << step.step << ": " << step.log_likelihood << " nats per sample before it\n";
    }
    stream.save("stream.safetensors"); // a model file, from which the stream goes on with the same bits
    elbo::gmm::online resumed = elbo::gmm::online::load("stream.safetensors");
    // [online end]

    // [warm]
    options.start_model = stream.model(); // a fit that begins where another one, or a stream, has come to
    elbo::gmm::fit_result settled = elbo::gmm::fit(ctx, all, options);
    // [warm end]

    std::remove("part.safetensors");
    std::remove("stream.safetensors");
    const double online = elbo::gmm::score(ctx, stream.model(), all).log_likelihood;
    const bool right = plan.streamed && sum.samples() == rows && better.components() == 2 &&
                       resumed.model() == stream.model() && online <= settled.log_likelihood + 1e-6 &&
                       online > settled.log_likelihood - 0.01 &&
                       std::abs(settled.log_likelihood - streamed.log_likelihood) < 1e-6;
    return right ? 0 : 1;
}
