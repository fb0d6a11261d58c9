// Names of the enumerations of autoencoders.
#pragma once

#include "elbo/vae/train.hpp"
#include "host/names.hpp"

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

} // namespace elbo
