// Data, weights and models as the commands take them from files.
#pragma once

#include "host/cli/options.hpp"

#include "elbo/data_source.hpp"
#include "elbo/gmm/fit.hpp"
#include "elbo/gmm/model.hpp"

#include <cstdint>
#include <string>
#include <vector>

namespace elbo::cli {

/// A data file with its weights.
struct weighted_data {
    data_source data;
    std::vector<double> weights; ///< empty without --weights
    gmm::sample_weights view() const { return weights.empty() ? gmm::sample_weights() : gmm::sample_weights(weights); }
};

/// Opens the data. A weights column is taken out of the data unless --columns names it. Throws file_error and
/// invalid_argument.
weighted_data open_data(const data_options& options);

/// Throws invalid_argument where the data has other columns than the model, naming both files.
void check_dimensions(const gmm::model& model, const std::string& model_path, const data_source& data);

/// At most `limit` rows, evenly spaced, as float64 row-major: the same for every way the data is stored.
std::vector<double> evenly_spaced_rows(const data_source& data, std::int64_t limit);

} // namespace elbo::cli
