// A variational autoencoder for the commands that apply it.
#pragma once

#include "host/cli/core/apply_command.hpp"

#include "elbo/vae/model.hpp"

#include <string>

namespace elbo::cli {

/// Keys of every summary that name the model: dimensions, latent, encoder, decoder, activation, likelihood, ...
void add_architecture(json& summary, const vae::architecture& a);

/// "784 dimensions, 20 latent units, bernoulli".
std::string describe(const vae::architecture& a);
/// "train.npy: 60000 rows, values times 0.00392157".
std::string describe(const input_data& input);

/// The likelihood's own parameter: "sigma", and "0.35", or "0.2 to 0.9" for one a dimension; empty where there is none.
std::string own_name(const vae::model& m);
std::string own_text(const vae::model& m);
/// Its key of summaries, and "sigma" in any case.
void add_own(json& summary, const vae::model& m);

struct vae_kind {
    using saved = vae::model;
    static constexpr const char* argument_help = "Model file or checkpoint (.safetensors or .json)";
    static constexpr bool scaled = true;

    static saved load(const std::string& path) { return vae::model::load(path); }
    static const std::vector<std::string>& columns(const saved& m) { return m.architecture().column_names; }
    static std::int64_t dimensions(const saved& m) { return m.architecture().dimensions; }
    static std::string describe(const saved& m) { return cli::describe(m.architecture()); }
    static void add_shape(json& summary, const saved& m) { add_architecture(summary, m.architecture()); }
    static void add_parameters(json& summary, const saved& m);
    static std::string text(const saved& m);
};
extern template class apply_command<vae_kind>;

} // namespace elbo::cli
