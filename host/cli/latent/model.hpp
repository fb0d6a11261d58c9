// Models with continuous latent variables as the commands take them: which kind, is told by the file.
#pragma once

#include "host/cli/command.hpp"
#include "host/cli/core/inputs.hpp"
#include "host/cli/core/options.hpp"
#include "host/cli/core/outputs.hpp"

#include "elbo/context.hpp"
#include "elbo/latent/factors.hpp"
#include "elbo/latent/sphere.hpp"

#include <string>
#include <variant>
#include <vector>

namespace elbo::cli {

using latent_model = std::variant<latent::factor_model, latent::sphere_model>;

struct saved_latent_model {
    latent_model model;
    std::vector<std::string> column_names; ///< of the data it was fitted to; empty where they were not known
};
/// Throws file_error, also for a file that holds another model.
saved_latent_model load_latent_model(const std::string& path);

/// Names of the columns of the data that the model was fitted to, or x0, x1, ...
std::vector<std::string> column_names_of(const saved_latent_model& saved);

std::int64_t dimensions_of(const latent_model& m);
/// Numbers of the latent variable: L, or d of a sphere's direction.
std::int64_t latent_of(const latent_model& m);
std::int64_t parameters_of(const latent_model& m);
/// "ppca", "factors", "factor-mixture" or "sphere", as --model takes them.
std::string kind_of(const latent_model& m);
/// "factor-mixture, 3 components, 10 dimensions, 2 latent".
std::string describe(const latent_model& m);
/// What there is to read of the parameters, for standard output.
std::string parameter_text(const latent_model& m, const std::vector<std::string>& column_names);

/// Adds model kind, dimensions, components and latent.
void add_shape(json& summary, const latent_model& m);
/// Adds the arrays of parameters, nested as their shapes are; null in place of more than 10,000 numbers.
void add_parameters(json& summary, const latent_model& m);

/// Notes on standard error that the BLAS, which does the products of these models on the CPU, leaves much of the
/// processor unused, and the cure. Not where OPENBLAS_CORETYPE is set: then somebody has chosen.
void note_slow_blas(const output_options& output, const context& ctx);

/// MODEL DATA, where to compute and what to write.
struct latent_apply_options {
    std::string model_path;
    data_options data;
    device_options device;
    output_options output;
};
void add_latent_apply_options(parser& command, latent_apply_options& options);

/// The files that are read: for check_files.
std::vector<std::string> files_of(const latent_apply_options& options);

/// Model and data, which fit each other: columns are found by their names.
struct latent_applied {
    context ctx;
    saved_latent_model saved;
    weighted_data input;
};
latent_applied open(const latent_apply_options& options);

/// The first keys of every summary: command, version, device, model, samples, and those of add_shape.
json summary_head(const std::string& command_line, const latent_apply_options& options, const latent_applied& work);

} // namespace elbo::cli
