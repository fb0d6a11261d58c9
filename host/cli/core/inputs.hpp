// Data, weights and models as the commands take them from files.
#pragma once

#include "host/cli/core/outputs.hpp"

#include "elbo/gmm/fit.hpp"
#include "elbo/gmm/model.hpp"

namespace elbo::cli {

/// The names of a model's columns, by which those of the data are found (elbo::match_columns).
struct model_columns {
    std::vector<std::string> names = {}; ///< empty where the model knows none
    std::string model = {};              ///< whose they are, for messages
};

/// A data file with its weights and labels, and what there is to say about how it was read.
struct input_data {
    data_source data;
    std::vector<left_out_column> left_out = {};
    std::vector<std::string> remarks = {};
    std::vector<double> weights = {}; ///< [rows]; empty without --weights
    std::vector<double> labels = {};  ///< [rows]; empty without --labels
    double scale = 1;                 ///< that the values were multiplied with
    gmm::sample_weights view() const { return weights.empty() ? gmm::sample_weights() : gmm::sample_weights(weights); }
    /// The labels as components that samples are known to come from.
    gmm::sample_labels known() const;
    /// Samples with a label other than −1.
    std::int64_t labelled() const;
};

/// Opens the data. Columns of weights and labels are taken out of the data unless --columns names them. Where data and
/// model name their columns, those of the model are taken, in its order, unless --by-position. Throws file_error and
/// invalid_argument.
input_data open_data(const data_options& options, const model_columns& model = {});
/// Another file with the same columns, kept in the same way and scaled as the first one.
data_source open_alike(data_options options, const std::string& path, const model_columns& columns);

/// Lines on standard error, unless --quiet: what was left out, and why.
void tell(const output_options& output, const input_data& input);
/// Adds "left_out" to a summary, where something was.
void add_left_out(json& summary, const input_data& input);

/// The model of a file with its columns in the order of `columns`, where both have names. Throws invalid_argument.
gmm::model load_in_order(const std::string& path, const model_columns& columns, bool by_position);
/// Throws invalid_argument where the data has another number of columns than the model takes (`what`: "dimensions"),
/// naming both files.
void check_columns(const std::string& model_path, std::int64_t wanted, const char* what, const data_source& data);

/// Row `number` of the data. Throws invalid_argument that names the option where there is no such row.
std::vector<float> row_of(const data_source& data, std::int64_t number, const char* option);

} // namespace elbo::cli
