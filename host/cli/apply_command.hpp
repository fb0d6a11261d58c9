// What the commands that apply a model to data have in common.
#pragma once

#include "host/cli/command.hpp"
#include "host/cli/inputs.hpp"
#include "host/cli/options.hpp"
#include "host/cli/outputs.hpp"

#include "elbo/context.hpp"
#include "elbo/gmm/model.hpp"

#include <string>
#include <utility>
#include <vector>

namespace elbo::cli {

/// MODEL DATA, where to compute and what to write.
struct apply_options {
    std::string model_path;
    data_options data;
    device_options device;
    output_options output;
};
void add_apply_options(parser& command, apply_options& options);

/// The data. Where it names its columns and has all those of a model, these are taken without --columns, in any order
/// and among others.
weighted_data open_columns_of(const std::vector<std::string>& column_names, data_options options);

/// Model and data, which fit each other. Where the data names its columns and the model knows the names of its own, the
/// right columns are found without --columns, in any order and among others.
struct applied {
    context ctx;
    gmm::model model;
    weighted_data input;
};
applied open(const apply_options& options);

/// The first keys of every summary: command, version, device, model, samples, dimensions, components, family.
json summary_head(const std::string& command_line, const apply_options& options, const applied& work);

/// Writes the page of --report, where it was asked for.
void write_report(const apply_options& options, const applied& work, const std::string& command_line,
                  std::vector<std::pair<std::string, std::string>> facts);

} // namespace elbo::cli
