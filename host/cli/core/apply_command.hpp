// What the commands that apply a model to data have in common.
#pragma once

#include "host/cli/command.hpp"
#include "host/cli/core/inputs.hpp"
#include "host/cli/core/options.hpp"
#include "host/cli/core/outputs.hpp"

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

/// Model and data, which fit each other: columns are found by their names.
struct applied {
    context ctx;
    gmm::model model;
    model_columns columns;
    weighted_data input;
};
applied open(const apply_options& options);

/// The files that are read: for check_files.
std::vector<std::string> files_of(const apply_options& options, std::vector<std::string> others = {});

/// The first keys of every summary: command, version, device, model, samples, dimensions, components, family.
json summary_head(const std::string& command_line, const apply_options& options, const applied& work);

/// Writes the page of --report, where it was asked for.
void write_report(const apply_options& options, const applied& work, const std::string& command_line,
                  std::vector<std::pair<std::string, std::string>> facts);

} // namespace elbo::cli
