// Whether the first record of a text table holds the names of its columns.
#pragma once

#include "elbo/data_source.hpp"
#include "host/io/text/records.hpp"

#include <vector>

namespace elbo::io {

using rows_of_fields = std::vector<std::vector<text_field>>;

enum class header_kind {
    none,
    names,
    numbers,       ///< 0, 1, 2, ..., which pandas gives columns without names
    partly_numbers ///< names and rising numbers: country, 2019, 2020
};

/// Looks at the first records of a table. What counts as numbers and as missing, is said by the options.
header_kind find_header(const rows_of_fields& rows, const file_options& options);

/// Whether the field is a number, in the decimal sign of the options.
bool is_number(const text_field& field, const file_options& options);
/// Whether the field stands for a missing value, by custom or by the options.
bool is_missing(const text_field& field, const file_options& options);

} // namespace elbo::io
