// How a text table is laid out: found by looking at its first lines.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

namespace elbo::io {

enum class column_kind {
    numeric,
    text,    ///< none of the first values is a number: left out unless it is asked for
    row_name ///< the row names that R and pandas put in front: left out unless it is asked for
};

struct text_layout {
    char separator = ',';             ///< or `blanks`
    bool header = false;              ///< whether the first record holds names
    std::vector<std::string> names;   ///< of all columns of the file; empty without a header
    std::vector<column_kind> kinds;   ///< of all columns of the file
    std::int64_t first_data_line = 1; ///< which says how many fields a line must have
    std::int64_t columns() const { return static_cast<std::int64_t>(kinds.size()); }
};

/// A record kept for inspection.
struct sample_record {
    std::string text;
    std::int64_t line = 0;
};

/// Finds the layout from the first records of a file. Throws file_error where there is no row of data or where the
/// header does not fit the data.
text_layout find_layout(const std::vector<sample_record>& sample, const std::string& path);

/// How column `index` is called in messages: "column 3 ('waiting')", counted from 1 as people do.
std::string column_label(const text_layout& layout, std::int64_t index);

} // namespace elbo::io
