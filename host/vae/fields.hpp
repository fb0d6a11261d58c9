// Names of the enumerations, and fields of the options, records and results, of autoencoders. Files keep the fields of
// an architecture and of training flat: what kind of likelihood it is has the name "likelihood".
#pragma once

#include "elbo/vae/infer.hpp"
#include "elbo/vae/train.hpp"
#include "host/fields.hpp"

namespace elbo {

template <>
inline constexpr name_table names<vae::activation>{"activation",
                                                   {"identity", "tanh", "relu", "gelu", "silu", "softplus"}};
template <>
inline constexpr name_table names<vae::likelihood_family>{
    "likelihood", {"bernoulli", "gaussian", "categorical", "poisson", "negative_binomial"}};
template <>
inline constexpr name_table names<vae::gaussian_scale>{"scale of the gaussian likelihood",
                                                       {"fixed", "learned", "learned_per_dimension", "optimal"}};
template <>
inline constexpr name_table names<vae::count_mean>{"mean of counts", {"softplus", "exp"}};
template <>
inline constexpr name_table names<vae::encoder_input>{"input of the encoder", {"identity", "log1p"}};
template <>
inline constexpr name_table names<vae::decoder_kind>{"decoder", {"network", "sphere"}};
template <>
inline constexpr name_table names<vae::objective>{"objective", {"elbo", "importance"}};
template <>
inline constexpr name_table names<vae::gradient_estimator>{
    "gradient estimator", {"standard", "sticking_the_landing", "doubly_reparameterized"}};
template <>
inline constexpr name_table names<vae::optimizer_kind>{"optimizer", {"adam", "adamw", "sgd"}};
template <>
inline constexpr name_table names<vae::schedule::kind>{"schedule", {"constant", "steps", "cosine"}};
template <>
inline constexpr name_table names<vae::training_precision>{"precision", {"float32", "tf32", "bfloat16"}};
template <>
inline constexpr name_table names<vae::train_stop>{"stop", {"completed", "early_stopping", "interrupted"}};

/// Widths of layers: the products of two stay far from 2^63.
inline constexpr rule layer_width = between(1, 0x1p24);

template <>
inline constexpr auto fields<vae::likelihood> = [] {
    using s = vae::likelihood;
    return table<s>(
        field{"likelihood", &s::family, "p(x|z): bernoulli, gaussian, categorical, poisson or negative_binomial"},
        field{"scale", &s::scale, "sigma of the gaussian likelihood: fixed, learned, learned_per_dimension or optimal"},
        // Twice the logarithm must be a float32 with a finite reciprocal of its exponential.
        field{"sigma", &s::sigma, between(1e-15, 1e15, "a positive number from 1e-15 to 1e15"),
              "gaussian: sigma, or where a learned one begins"},
        field{"blocks", &s::blocks, layer_width, "categorical: sizes of the one-hot blocks; one size is repeated"},
        field{"count_mean", &s::count_mean, "counts: mean from what the decoder puts out, softplus or exp"}.later(),
        field{"library_size", &s::library_size, "counts: the mean is that times the sum of the row"}.later(),
        field{"dispersion", &s::dispersion, "theta of negative_binomial: fixed, learned or learned_per_dimension"}
            .later(),
        field{"theta", &s::theta, between(1e-7, 1e17, "a number from 1e-7 to 1e17"),
              "negative_binomial: theta, or where a learned one begins"}
            .later());
}();

template <>
inline constexpr auto fields<vae::architecture> = [] {
    using s = vae::architecture;
    return table<s>(
        field{"dimensions", &s::dimensions, layer_width, "Columns of the data"},
        field{"latent", &s::latent, layer_width, "Latent units (default: 2; for a sphere the columns)"},
        field{"encoder", &s::encoder, layer_width, "Widths of the hidden layers, or none"},
        field{"decoder", &s::decoder, layer_width, "The same (default: those of the encoder backwards)"},
        field{"activation", &s::hidden, "tanh, relu, gelu, silu, softplus or identity"},
        field{"likelihood", &s::likelihood, "p(x|z)"},
        field{"decoder_form", &s::decoder_form, "network, or sphere: g(z) = r z/|z| + m"},
        field{"encoder_input", &s::encoder_input, "What the encoder sees: identity, or log1p (default for counts)"}
            .later(),
        field{"column_names", &s::column_names, "Names of the columns"}.later());
}();

template <>
inline constexpr auto fields<vae::evaluate_options> = [] {
    using s = vae::evaluate_options;
    return table<s>(field{"samples", &s::samples, between(1, 0x1p31), "Draws of z a row for the ELBO"},
                    field{"importance_samples", &s::importance_samples, between(0, 0x1p31),
                          "Draws of z a row for the importance bound on log p(x); 0: none"},
                    field{"binarize", &s::binarize, "bernoulli: draw x once, with the values as probabilities"},
                    field{"seed", &s::seed, "Seed of the random numbers"}, field{"callback", &s::callback});
}();

template <>
inline constexpr auto fields<vae::evaluation> = [] {
    using s = vae::evaluation;
    return table<s>(field{"rows", &s::rows}, field{"elbo", &s::elbo}, field{"reconstruction", &s::reconstruction},
                    field{"kl", &s::kl}, field{"elbo_standard_error", &s::elbo_standard_error},
                    field{"kl_per_unit", &s::kl_per_unit}, field{"unit_activity", &s::unit_activity},
                    field{"active_units", &s::active_units}, field{"importance_samples", &s::importance_samples},
                    field{"log_likelihood_bound", &s::log_likelihood_bound},
                    field{"log_likelihood_standard_error", &s::log_likelihood_standard_error},
                    field{"effective_sample_size", &s::effective_sample_size}, field{"seconds", &s::seconds});
}();

template <>
inline constexpr auto fields<vae::sample_options> = [] {
    using s = vae::sample_options;
    return table<s>(field{"seed", &s::seed, "Seed of the random numbers"},
                    field{"means", &s::means, "Means of p(x|z) instead of draws of x"},
                    field{"row_sum", &s::row_sum, "With library size: what rows shall add up to on average"});
}();

template <>
inline constexpr auto fields<vae::optimizer> = [] {
    using s = vae::optimizer;
    return table<s>(field{"optimizer", &s::kind, "adam, adamw or sgd"},
                    field{"learning_rate", &s::learning_rate, positive, "Learning rate"},
                    field{"beta1", &s::beta1, fraction, "adam, adamw: decay of the mean of the gradient"},
                    field{"beta2", &s::beta2, fraction, "adam, adamw: decay of the mean of its square"},
                    field{"epsilon", &s::epsilon, positive, "adam, adamw: added to the root of that"},
                    field{"weight_decay", &s::weight_decay, at_least(0), "adamw: decay of the weight matrices"},
                    field{"momentum", &s::momentum, fraction, "sgd: momentum"},
                    field{"clip_norm", &s::clip_norm, at_least(0), "Largest norm of the gradient; 0: no limit"});
}();

template <>
inline constexpr auto fields<vae::schedule> = [] {
    using s = vae::schedule;
    return table<s>(
        field{"schedule", &s::form,
              "Learning rate over time: constant, steps, cosine, or burda (the stages of arXiv 1509.00519)"},
        field{"boundaries", &s::boundaries, at_least(0), "steps: epochs where the factor changes"},
        field{"factors", &s::factors, at_least(0), "steps: factor of the learning rate from each of those epochs on"},
        field{"final_factor", &s::final_factor, at_least(0), "cosine: factor at the end"},
        field{"warm_up_steps", &s::warm_up_steps, at_least(0), "Steps over which the learning rate grows from 0"});
}();

template <>
inline constexpr auto fields<vae::checkpoint_options> = [] {
    using s = vae::checkpoint_options;
    return table<s>(
        field{"path", &s::path, "Write checkpoints (.safetensors) to go on from"},
        field{"every_seconds", &s::every_seconds, at_least(0), "Seconds between checkpoints; 0: not by time"},
        field{"every_epochs", &s::every_epochs, at_least(0), "Epochs between checkpoints; 0: not by epochs"});
}();

template <>
inline constexpr auto fields<vae::train_options> = [] {
    using s = vae::train_options;
    return table<s>(
        field{"epochs", &s::epochs, between(1, 0x1p30), "Passes over the data"}.free(),
        field{"batch", &s::batch, at_least(1), "Samples of a step (default: 128, or all where there are fewer)"},
        field{"samples", &s::samples, between(1, 0x1p20), "Draws of z for each data point"},
        field{"objective", &s::objective, "What is maximised: elbo, or importance (IWAE)"},
        field{"estimator", &s::estimator,
              "Gradient of the encoder: standard, sticking_the_landing or doubly_reparameterized"},
        field{"beta", &s::beta, at_least(0), "Weight of the KL divergence"},
        field{"kl_warm_up_epochs", &s::kl_warm_up_epochs, at_least(0), "Epochs over which that weight grows from 0"},
        field{"free_bits", &s::free_bits, at_least(0), "Nats of KL divergence a latent unit that cost nothing"},
        field{"binarize", &s::binarize, "bernoulli: draw x anew at each use, with the values as probabilities"},
        field{"optimizer", &s::optimizer, "Steps along the gradient"},
        field{"schedule", &s::schedule, "Learning rate over time"},
        field{"average_decay", &s::average_decay, fraction,
              "Result: exponential average of the weights with this decay; 0: the weights themselves"},
        field{"patience", &s::patience, at_least(0),
              "Stop after so many epochs without a better validation ELBO; 0: never"},
        field{"seed", &s::seed, "Seed of the random numbers"},
        field{"precision", &s::precision, "Arithmetic of the products: float32, or on CUDA devices tf32 or bfloat16"},
        field{"start", &s::start, "Begin with the parameters of this model"}.free(),
        field{"checkpoint", &s::checkpoint, "Where and how often the state is written"}.free(),
        field{"resume", &s::resume, "Go on from this checkpoint, under the options it was written under"}.free(),
        field{"memory_limit", &s::memory_limit, bytes_or_what_fits,
              "Largest bytes of data kept on the device; 0: what fits"}
            .free(),
        field{"callback", &s::callback}.free());
}();

template <>
inline constexpr auto fields<vae::epoch_record> = [] {
    using s = vae::epoch_record;
    return table<s>(field{"epoch", &s::epoch}, field{"step", &s::step}, field{"train_elbo", &s::train_elbo},
                    field{"train_reconstruction", &s::train_reconstruction}, field{"train_kl", &s::train_kl},
                    field{"train_objective", &s::train_objective}, field{"validation_elbo", &s::validation_elbo},
                    field{"validation_reconstruction", &s::validation_reconstruction},
                    field{"validation_kl", &s::validation_kl}, field{"learning_rate", &s::learning_rate},
                    field{"gradient_norm", &s::gradient_norm}, field{"seconds", &s::seconds},
                    field{"samples_per_second", &s::samples_per_second});
}();

template <>
inline constexpr auto fields<vae::train_result> = [] {
    using s = vae::train_result;
    return table<s>(field{"model", &s::model}, field{"history", &s::history}, field{"stopped", &s::stopped},
                    field{"elbo", &s::elbo}, field{"epochs", &s::epochs}, field{"steps", &s::steps},
                    field{"best_epoch", &s::best_epoch}, field{"seconds", &s::seconds},
                    field{"samples_per_second", &s::samples_per_second});
}();

} // namespace elbo
