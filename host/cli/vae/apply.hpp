// What the commands that apply a variational autoencoder have in common.
#pragma once

#include "host/cli/command.hpp"
#include "host/cli/core/inputs.hpp"
#include "host/cli/core/options.hpp"
#include "host/cli/core/outputs.hpp"

#include "elbo/context.hpp"
#include "elbo/vae/model.hpp"

#include <string>

namespace elbo::cli {

/// MODEL DATA, where to compute and what to write.
struct vae_apply_options {
    std::string model_path;
    data_options data;
    device_options device;
    output_options output;
};
void add_model_argument(parser& command, std::string& model_path);
void add_vae_apply_options(parser& command, vae_apply_options& options);

/// The files that are read: for check_files.
std::vector<std::string> files_of(const vae_apply_options& options);

/// Model and data, which fit each other: columns are found by their names.
struct vae_applied {
    context ctx;
    vae::model model;
    labelled_data input;
};
/// `columns`: what a row of the data must be.
enum class row_kind { observations, latents };
vae_applied open(const vae_apply_options& options, row_kind columns = row_kind::observations);

/// Names of the columns of the data that the model was trained on, or x0, x1, ...
std::vector<std::string> column_names_of(const vae::architecture& a);

/// Keys of every summary that name the model: dimensions, latent, encoder, decoder, activation, likelihood, ...
void add_architecture(json& summary, const vae::architecture& a);
/// The first keys of every summary: command, version, device, model, samples, scale, and add_architecture.
json summary_head(const std::string& command_line, const vae_apply_options& options, const vae_applied& work);

/// "784 dimensions, 20 latent units, bernoulli".
std::string describe(const vae::architecture& a);
/// "train.npy: 60000 rows, values times 0.00392157".
std::string describe(const labelled_data& input);

} // namespace elbo::cli
