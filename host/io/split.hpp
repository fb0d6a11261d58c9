// Training and validation rows of one data set.
#pragma once

#include "elbo/data_source.hpp"

#include <cstdint>
#include <vector>

namespace elbo::io {

struct data_parts {
    data_source training, validation;
};

/// Takes about `fraction` of the rows out for validation: the data is cut into as many runs of equal length as there
/// are validation rows, and of each run one row is drawn by the seed. So rows in any order are represented evenly, and
/// the same seed gives the same rows however the data is stored. Throws invalid_argument unless each part has a row.
data_parts split(const data_source& data, double fraction, std::uint64_t seed);

/// The rows that split takes out for validation, ascending. Throws as split does.
std::vector<std::int64_t> validation_rows(const data_source& data, double fraction, std::uint64_t seed);

} // namespace elbo::io
