// How a text table is laid out: found by looking at its first lines.
#pragma once

#include "elbo/data_source.hpp"

#include <cstdint>
#include <string>
#include <vector>

namespace elbo::io {

/// All but numeric columns are left out unless they are asked for.
enum class column_kind {
    numeric,  ///< one of the first values is a number, or most of them nearly are: a fault then
    text,     ///< none of the first values is a number
    row_name, ///< the row names that R and pandas put in front
    missing,  ///< the first values are all missing; the others must be, too
    padding   ///< nothing but a separator at the end of each line: no column
};

struct text_layout {
    char separator = ',';                  ///< or `blanks`
    bool header = false;                   ///< whether the first record holds names
    std::vector<std::string> names;        ///< of all columns of the file; empty without a header
    std::vector<column_kind> kinds;        ///< of all columns of the file
    std::vector<left_out_column> left_out; ///< those that are no numbers, with their reasons
    std::vector<std::string> remarks;      ///< what was taken for granted
    std::int64_t first_data_line = 1;      ///< which says how many fields a line must have
    bool decimal_comma = false;
    std::vector<std::string> missing; ///< texts that stand for missing values, beside those by custom
    std::int64_t columns() const { return static_cast<std::int64_t>(kinds.size()); }
};

/// A record kept for inspection.
struct sample_record {
    std::string text;
    std::int64_t line = 0;
};

/// Finds the layout from the first records of a file, as far as the options do not say it. Throws file_error where
/// there is no row of data or where the header does not fit the data, and invalid_argument for a delimiter that cannot
/// be one.
text_layout find_layout(const std::vector<sample_record>& sample, const file_options& options, const std::string& path);

/// How column `index` is called in messages: "column 3 ('waiting')", counted from 1 as people do.
std::string column_label(const text_layout& layout, std::int64_t index);

} // namespace elbo::io
