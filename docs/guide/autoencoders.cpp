// Where the posterior is a network: the bound during training, the importance bound, samples.
#include "docs/guide/gallery.hpp"
#include "host/report/image/images.hpp"
#include "host/report/page/pages.hpp"

#include <elbo/data_source.hpp>
#include <elbo/vae/infer.hpp>
#include <elbo/vae/train.hpp>

#include <cmath>
#include <fstream>
#include <iostream>

namespace elbo::guide {

namespace {

void save_images(const gallery& g, const std::string& name, const std::vector<float>& rows) {
    const report::grey_image image = report::tile(rows, {8, 8}, 12, {0, 1});
    std::ofstream out(g.folder / (name + ".png"), std::ios::binary);
    out << report::grey_png(image);
}

} // namespace

void autoencoders(const gallery& g) {
    const context& ctx = g.ctx;
    const std::string path = g.file("optdigits.tes");
    const std::vector<std::string> pixels = pixel_columns();
    // [vae]
    elbo::data_source digits = elbo::data_source::file(path, {.columns = pixels, .scale = 1.0 / 16});
    elbo::vae::architecture network{.dimensions = 64, .latent = 8, .encoder = {128}, .decoder = {128}};
    elbo::vae::train_result trained = elbo::vae::train(ctx, network, digits, {.epochs = 30, .batch = 64, .seed = 7});
    std::vector<float> drawn = elbo::vae::sample(ctx, trained.model, 48, {.seed = 1, .means = true});
    // [vae end]
    g.save("vae", report::elbo_chart(trained.history));
    save_images(g, "digits", drawn);

    std::vector<report::point> bounds;
    // [importance]
    for (std::int64_t draws : {1, 2, 5, 10, 20, 50, 100, 200, 500}) {
        elbo::vae::evaluation e = elbo::vae::evaluate(ctx, trained.model, digits, {.importance_samples = draws});
        bounds.push_back({std::log10(draws), *e.log_likelihood_bound}); // J = L_1 <= L_S <= log p(x)
    }
    // [importance end]
    holds(bounds.front()[1] < bounds.back()[1], "more draws tighten the bound");
    g.save("importance", report::line_chart({curve("", 2, bounds)},
                                            {.id = "importance",
                                             .x_title = "log10 of the number of draws S",
                                             .y_title = "nats per sample",
                                             .description = "The importance bound against the number of draws"}));
}

} // namespace elbo::guide
