#include "host/cli/vae/options.hpp"

#include "elbo/error.hpp"

#include <algorithm>
#include <charconv>
#include <fmt/format.h>
#include <string_view>

namespace elbo::cli {

namespace {

// "200,200", or "none" for a linear map.
std::vector<std::int64_t> widths_from_string(const char* option, const std::string& text) {
    std::vector<std::int64_t> widths;
    if (text == "none")
        return widths;
    const char* at = text.data();
    const char* end = at + text.size();
    while (true) {
        std::int64_t width = 0;
        const auto [stopped, problem] = std::from_chars(at, end, width);
        if (problem != std::errc() || (stopped != end && *stopped != ','))
            throw invalid_argument(
                fmt::format("{} {}: expected widths of layers, as in 200,200, or none", option, text));
        widths.push_back(width);
        if (stopped == end)
            return widths;
        at = stopped + 1;
    }
}

void set_schedule(vae::schedule& schedule, const std::string& name) {
    if (name == "burda") {
        const std::int64_t warm_up = schedule.warm_up_steps;
        schedule = vae::schedule::burda();
        schedule.warm_up_steps = warm_up;
        return;
    }
    for (const auto form : {vae::schedule::kind::constant, vae::schedule::kind::steps, vae::schedule::kind::cosine})
        if (name == to_string(form)) {
            schedule.form = form;
            return;
        }
    throw invalid_argument(fmt::format("--schedule {}: expected constant, steps, cosine or burda", name));
}

void add(parser& app, const char* name, option_target value, const char* what, const char* type, const char* group) {
    app.add_option(name, value, what, type, group)->capture_default_str();
}

void add_list(parser& app, const char* name, std::vector<double>& values, const char* what) {
    app.add_option(name, values, what, "A,B,...", "Optimiser")->delimiter(',');
}

void add_optimizer_options(parser& app, training_options& options) {
    constexpr const char* group = "Optimiser";
    vae::optimizer& o = options.library.optimizer;
    vae::schedule& s = options.library.schedule;
    add(app, "--optimizer", options.optimizer, "adam, adamw or sgd", "NAME", group);
    add(app, "--learning-rate", o.learning_rate, "Learning rate", "R", group);
    add(app, "--beta1", o.beta1, "adam, adamw: decay of the mean of the gradient", "B", group);
    add(app, "--beta2", o.beta2, "adam, adamw: decay of the mean of its square", "B", group);
    add(app, "--epsilon", o.epsilon, "adam, adamw: added to the root of that", "E", group);
    add(app, "--weight-decay", o.weight_decay, "adamw: decay of the weight matrices", "D", group);
    add(app, "--momentum", o.momentum, "sgd: momentum", "M", group);
    add(app, "--clip-norm", o.clip_norm, "Largest norm of the gradient; 0: no limit", "C", group);
    add(app, "--schedule", options.schedule,
        "Learning rate over time: constant, steps, cosine, or burda (the stages of arXiv 1509.00519)", "FORM", group);
    add_list(app, "--boundaries", s.boundaries, "steps: epochs where the factor changes");
    add_list(app, "--factors", s.factors, "steps: factor of the learning rate from each of those epochs on");
    add(app, "--final-factor", s.final_factor, "cosine: factor at the end", "F", group);
    add(app, "--warm-up-steps", s.warm_up_steps, "Steps over which the learning rate grows from 0", "N", group);
    add(app, "--average-decay", options.library.average_decay,
        "Result: exponential average of the weights with this decay; 0: the weights themselves", "D", group);
}

void add_objective_options(parser& app, training_options& options) {
    constexpr const char* group = "Objective";
    vae::train_options& t = options.library;
    add(app, "--objective", options.objective, "What is maximised: elbo, or importance (IWAE)", "NAME", group);
    add(app, "--estimator", options.estimator,
        "Gradient of the encoder: standard, sticking_the_landing or doubly_reparameterized", "NAME", group);
    add(app, "--samples", t.samples, "Draws of z for each data point", "S", group);
    add(app, "--beta", t.beta, "Weight of the KL divergence", "B", group);
    add(app, "--kl-warm-up", t.kl_warm_up_epochs, "Epochs over which that weight grows from 0", "E", group);
    add(app, "--free-bits", t.free_bits, "Nats of KL divergence a latent unit that cost nothing", "L", group);
    app.add_flag("--binarize", t.binarize, "bernoulli: draw x anew at each use, with the values as probabilities",
                 group);
}

} // namespace

void add_architecture_options(parser& app, architecture_options& options) {
    constexpr const char* group = "Model";
    add(app, "--likelihood", options.likelihood, "p(x|z): bernoulli, gaussian or categorical", "NAME", group);
    app.add_option("--latent", options.latent, "Latent units (default: 2; for a sphere the columns)", "L", group);
    add(app, "--encoder", options.encoder, "Widths of the hidden layers, or none", "A,B,...", group);
    add(app, "--decoder", options.decoder, "The same (default: those of the encoder backwards)", "A,B,...", group);
    add(app, "--activation", options.activation, "tanh, relu, gelu, silu, softplus or identity", "NAME", group);
    add(app, "--gaussian-scale", options.scale,
        "sigma of the gaussian likelihood: fixed, learned, learned_per_dimension or optimal", "NAME", group);
    add(app, "--sigma", options.sigma, "gaussian: sigma, or where a learned one begins", "S", group);
    app.add_option("--blocks", options.blocks, "categorical: sizes of the one-hot blocks; one size is repeated",
                   "A,B,...", group)
        ->delimiter(',');
    add(app, "--decoder-form", options.decoder_form, "network, or sphere: g(z) = r z/|z| + m", "NAME", group);
}

vae::architecture make_architecture(const architecture_options& options, std::int64_t dimensions) {
    vae::architecture a;
    a.dimensions = dimensions;
    a.encoder = widths_from_string("--encoder", options.encoder);
    a.decoder = a.encoder;
    std::reverse(a.decoder.begin(), a.decoder.end());
    if (!options.decoder.empty())
        a.decoder = widths_from_string("--decoder", options.decoder);
    a.hidden = vae::activation_from_string(options.activation);
    a.likelihood.family = vae::likelihood_from_string(options.likelihood);
    a.likelihood.scale = vae::gaussian_scale_from_string(options.scale);
    a.likelihood.sigma = options.sigma;
    a.likelihood.blocks = options.blocks;
    if (options.blocks.size() == 1 && options.blocks[0] > 0 && dimensions % options.blocks[0] == 0)
        a.likelihood.blocks.assign(static_cast<std::size_t>(dimensions / options.blocks[0]), options.blocks[0]);
    a.decoder_form = vae::decoder_kind_from_string(options.decoder_form);
    a.latent = options.latent.value_or(a.decoder_form == vae::decoder_kind::sphere ? dimensions : 2);
    if (a.decoder_form == vae::decoder_kind::sphere) {
        if (!options.decoder.empty())
            throw invalid_argument(fmt::format(
                "--decoder {}: expected none with --decoder-form sphere, which has no layers", options.decoder));
        a.decoder.clear();
    }
    a.check();
    return a;
}

void add_training_options(parser& app, training_options& options) {
    constexpr const char* group = "Training";
    vae::train_options& t = options.library;
    add(app, "--epochs", t.epochs, "Passes over the data", "E", group);
    app.add_option("--batch", t.batch, "Samples of a step (default: 128, or all where there are fewer)", "B", group);
    add(app, "--patience", t.patience, "Stop after so many epochs without a better validation ELBO; 0: never", "E",
        group);
    add(app, "--seed", t.seed, "Seed of the random numbers", "S", group);
    add(app, "--precision", options.precision,
        "Arithmetic of the products: float32, or on CUDA devices tf32 or bfloat16", "TYPE", group);
    add(app, "--start", options.start, "Begin with the parameters of this model", "MODEL", group);
    add(app, "--memory-limit", t.memory_limit, "Largest bytes of data kept on the device; 0: what fits", "BYTES",
        group);
    add(app, "--checkpoint", t.checkpoint.path, "Write checkpoints (.safetensors) to go on from", "FILE", group);
    add(app, "--checkpoint-every", t.checkpoint.every_seconds, "Seconds between checkpoints; 0: not by time", "SECONDS",
        group);
    add(app, "--checkpoint-epochs", t.checkpoint.every_epochs, "Epochs between checkpoints; 0: not by epochs", "E",
        group);
    add(app, "--resume", t.resume, "Go on from this checkpoint, under the options it was written under", "FILE", group);
    add_objective_options(app, options);
    add_optimizer_options(app, options);
}

vae::train_options make_train_options(const training_options& options) {
    vae::train_options t = options.library;
    t.objective = vae::objective_from_string(options.objective);
    t.estimator = vae::gradient_estimator_from_string(options.estimator);
    t.optimizer.kind = vae::optimizer_from_string(options.optimizer);
    t.precision = vae::training_precision_from_string(options.precision);
    set_schedule(t.schedule, options.schedule);
    if (!options.start.empty())
        t.start = vae::model::load(options.start);
    return t;
}

} // namespace elbo::cli
