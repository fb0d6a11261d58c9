// Models that are asked many times. docs/cpp.md shows the parts between the markers.
//   sessions tests/data/faithful.csv
// [headers]
#include <elbo/gmm/infer.hpp>
#include <elbo/latent/scorer.hpp>
#include <elbo/vae/infer.hpp>
// [headers end]

#include <elbo/gmm/fit.hpp>

#include <array>
#include <iostream>

int main(int argc, char** argv) {
    elbo::context ctx = elbo::context::cpu();
    elbo::data_source data = elbo::data_source::file(argc > 1 ? argv[1] : "faithful.csv");
    const elbo::gmm::model model = elbo::gmm::fit(ctx, data, {.components = 2, .seed = 7}).model;
    const elbo::latent::factor_model factors = elbo::latent::fit(ctx, data, elbo::latent::factor_options{}).model;
    const elbo::vae::model decoder(elbo::vae::architecture{.dimensions = 2, .latent = 1});

    // [scorer]
    elbo::gmm::scorer scorer(ctx, model); // owns an engine with the model; for float32 rows
    std::vector<float> row{3.6f, 79};
    double log_density = 0;
    int component = 0;
    for (int event = 0; event < 1000; ++event) { // later calls allocate nothing
        row[1] = 40 + 0.05f * static_cast<float>(event);
        scorer.infer(elbo::matrix_view<const float>(row.data(), 1, 2),
                     {.log_density = {&log_density, 1, 1}, .assignment = {&component, 1, 1}});
    }
    // [scorer end]

    // [others]
    elbo::latent::scorer latents(ctx, factors); // or a sphere_model
    std::array<double, 2> denoised{};
    latents.infer(elbo::matrix_view<const float>(row.data(), 1, 2), {.reconstruction = {denoised.data(), 1, 2}});

    elbo::vae::network network(ctx, decoder);
    std::vector<float> mean(1), log_variance(1), pixels(2);
    network.encode(elbo::matrix_view<const float>(row.data(), 1, 2), {mean.data(), 1, 1}, {log_variance.data(), 1, 1});
    network.decode(elbo::matrix_view<const float>(mean.data(), 1, 1), {pixels.data(), 1, 2});
    // [others end]

    std::cout << "log p " << log_density << ", component " << component << ", denoised " << denoised[1] << '\n';
    const bool right =
        log_density == elbo::gmm::log_density(ctx, model, elbo::matrix_view<const float>(row.data(), 1, 2))[0] &&
        denoised[1] > 40 && pixels[0] > 0;
    return right ? 0 : 1;
}
