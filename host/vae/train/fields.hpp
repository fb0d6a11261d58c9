// Fields of the options, records and results of training. Checkpoints keep them flat.
#pragma once

#include "elbo/vae/train.hpp"
#include "host/fields.hpp"
#include "host/vae/model/names.hpp"
#include "host/vae/train/epoch_sums.hpp"
#include "kernels/contract/vae_engine.hpp"

namespace elbo {

template <>
inline constexpr name_table names<kernels::step_record::term>{
    "term", {"nothing", "reconstruction term", "KL term", "objective", "gradient"}};

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

template <>
inline constexpr auto fields<vae::epoch_sums> = [] {
    using s = vae::epoch_sums;
    return table<s>(field{"rows", &s::rows}, field{"reconstruction", &s::reconstruction}, field{"kl", &s::kl},
                    field{"squared_error", &s::squared_error}, field{"objective", &s::objective},
                    field{"weighted_squared_error", &s::weighted_squared_error}.later(),
                    field{"learning_rate", &s::learning_rate}, field{"gradient_norm", &s::gradient_norm},
                    field{"seconds", &s::seconds});
}();

template <>
inline constexpr auto fields<kernels::running_scale> = [] {
    using s = kernels::running_scale;
    return table<s>(field{"squared_error", &s::squared_error}, field{"rows", &s::rows});
}();

} // namespace elbo
