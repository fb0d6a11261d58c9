// The options of elbo vae train, and what they mean to the library.
#pragma once

#include "host/cli/core/options.hpp"

#include "elbo/vae/train.hpp"

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

namespace elbo::cli {

/// The network as options give it.
struct architecture_options {
    std::optional<std::int64_t> latent; ///< none: 2, or the dimensions for a sphere
    std::string encoder = "400";        ///< widths, or "none"
    std::string decoder;                ///< empty: those of the encoder backwards
    std::string activation = "tanh";
    std::string likelihood = "bernoulli";
    std::string scale = "fixed";
    double sigma = 1;
    std::vector<std::int64_t> blocks;
    std::string decoder_form = "network";
};
void add_architecture_options(parser& command, architecture_options& options);
/// Throws invalid_argument.
vae::architecture make_architecture(const architecture_options& options, std::int64_t dimensions);

/// train_options as options give them: numbers in `library`, names beside it.
struct training_options {
    vae::train_options library;
    std::string objective = "elbo";
    std::string estimator = "standard";
    std::string optimizer = "adam";
    std::string schedule = "constant";
    std::string precision = "float32";
    std::string start; ///< model file
};
void add_training_options(parser& command, training_options& options);
/// Throws invalid_argument, and file_error for a model to start from.
vae::train_options make_train_options(const training_options& options);

} // namespace elbo::cli
