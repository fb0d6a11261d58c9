// Training a variational autoencoder on the digits of the test data, and using it.
// [headers]
#include <elbo/data_source.hpp>
#include <elbo/vae/infer.hpp>
#include <elbo/vae/train.hpp>
// [headers end]

#include <cmath>
#include <iostream>

static std::vector<std::string> pixel_columns() {
    std::vector<std::string> pixels;
    for (int j = 0; j < 64; ++j)
        pixels.push_back(std::to_string(j));
    return pixels;
}

int main(int argc, char** argv) {
    const std::string path = argc > 1 ? argv[1] : "optdigits.tes";
    const std::vector<std::string> pixels = pixel_columns();

    // [train]
    elbo::context ctx = elbo::context::best(); // a GPU if there is one, else the CPU
    elbo::data_source data =
        elbo::data_source::file(path, {.columns = pixels, .scale = 1.0 / 16}); // grey values in [0, 1]

    elbo::vae::architecture network{.dimensions = 64, .latent = 8, .encoder = {128}, .decoder = {128}};
    elbo::vae::train_result trained = elbo::vae::train(ctx, network, data, {.epochs = 30, .batch = 64, .seed = 7});
    std::cout << trained.elbo << " nats per sample after " << trained.epochs << " epochs\n";

    trained.model.save("vae.safetensors");
    // [train end]

    // [use]
    elbo::vae::model model = elbo::vae::model::load("vae.safetensors");
    elbo::vae::evaluation e = elbo::vae::evaluate(ctx, model, data, {.importance_samples = 100});
    std::cout << e.reconstruction << " - " << e.kl << " = " << e.elbo << " <= " << *e.log_likelihood_bound << '\n';

    elbo::vae::latents z = elbo::vae::encode(ctx, model, data);                 // mean, log_variance [n x 8]
    std::vector<float> again = elbo::vae::reconstruct(ctx, model, data);        // [n x 64]
    std::vector<float> drawn = elbo::vae::sample(ctx, model, 100, {.seed = 1}); // [100 x 64]
    // [use end]

    // [options]
    elbo::vae::train_options options;
    options.epochs = 5;
    options.objective = elbo::vae::objective::importance; // IWAE: ln 1/S sum of w_s
    options.samples = 5;                                  // S
    options.binarize = true;                              // draw the pixels anew at each use
    options.optimizer = {.kind = elbo::vae::optimizer_kind::adamw, .learning_rate = 2e-3, .weight_decay = 1e-4};
    options.schedule = {.form = elbo::vae::schedule::kind::cosine, .warm_up_steps = 50};
    options.checkpoint = {.path = "checkpoint.safetensors", .every_epochs = 1};
    options.callback = [](const elbo::vae::train_progress& now) {
        if (now.finished)
            std::cout << now.epoch << ' ' << now.finished->train_elbo << ' ' << now.seconds_left << " s left\n";
        return true; // false stops; the model so far is returned
    };
    elbo::vae::train_result tight = elbo::vae::train(ctx, network, data, options);
    // [options end]

    // [resume]
    options.resume = "checkpoint.safetensors"; // to the same bits as a run that never stopped
    elbo::vae::train_result resumed = elbo::vae::train(ctx, network, data, options);
    // [resume end]

    // [online]
    elbo::vae::trainer trainer(ctx, model, {.batch = 64});
    std::vector<float> batch(64 * 64, 0.5f); // from a simulation; device memory is taken where it lies
    elbo::vae::epoch_record step = trainer.partial_fit(elbo::matrix_view<const float>(batch.data(), 64, 64));
    std::cout << "step " << trainer.steps() << ": " << step.train_elbo << '\n';
    // [online end]

    const bool right = e.elbo > -28 && *e.log_likelihood_bound > e.elbo && z.mean.size() == 1797 * 8 &&
                       again.size() == 1797 * 64 && drawn.size() == 6400 &&
                       tight.model.parameters() == resumed.model.parameters() && std::isfinite(step.train_elbo);
    return right ? 0 : 1;
}
