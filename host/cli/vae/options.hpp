// The options of elbo vae train, and what they mean to the library.
#pragma once

#include "host/cli/core/options.hpp"

#include "elbo/vae/train.hpp"

#include <cstdint>
#include <optional>
#include <string>

namespace elbo::cli {

/// The network as options give it.
struct architecture_options {
    vae::architecture typed;
    std::optional<std::int64_t> latent; ///< none: 2, or the dimensions for a sphere
    std::string encoder = "400";        ///< widths, or "none"
    std::string decoder;                ///< empty: those of the encoder backwards
    std::string encoder_input;          ///< empty: log1p for counts, else identity

    void add_options(parser& app);
    /// Throws invalid_argument.
    vae::architecture parsed(std::int64_t dimensions) const;
};

/// How it is trained.
struct training_options {
    vae::train_options typed;
    std::string schedule = "constant"; ///< a form, or burda
    std::string start;                 ///< model file

    void add_options(parser& app);
    /// Throws invalid_argument, and file_error for a model to start from.
    vae::train_options parsed() const;
};

} // namespace elbo::cli
