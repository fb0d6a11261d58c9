#include "host/io/text/layout.hpp"

#include "host/io/errors.hpp"
#include "host/io/text/header.hpp"
#include "host/io/text/near_numbers.hpp"

#include <algorithm>
#include <cctype>
#include <fmt/format.h>
#include <map>

namespace elbo::io {
namespace {

rows_of_fields split_all(const std::vector<sample_record>& sample, char separator) {
    rows_of_fields rows(sample.size());
    for (std::size_t i = 0; i < sample.size(); ++i)
        split_fields(sample[i].text, separator, rows[i]);
    return rows;
}

// The number of records that have the most frequent number of fields; zero where that is one field.
std::size_t agreement(const rows_of_fields& rows) {
    std::map<std::size_t, std::size_t> frequency;
    for (const auto& fields : rows)
        ++frequency[fields.size()];
    const auto most = std::max_element(frequency.begin(), frequency.end(),
                                       [](const auto& a, const auto& b) { return a.second < b.second; });
    return most->first > 1 ? most->second : 0;
}

// The separator on which the lines agree best. In a tie the rarer one inside fields wins: a comma may be part of a
// text between tabs or a decimal sign between semicolons, and blanks often follow a comma.
char find_separator(const std::vector<sample_record>& sample, bool decimal_comma) {
    char best = decimal_comma ? ';' : ',';
    std::size_t best_agreement = 0;
    for (const char separator : {'\t', ';', ',', '|', blanks}) {
        if (separator == ',' && decimal_comma)
            continue;
        const std::size_t agreeing = agreement(split_all(sample, separator));
        if (agreeing > best_agreement) {
            best = separator;
            best_agreement = agreeing;
        }
    }
    return best;
}

char separator_of(const std::vector<sample_record>& sample, const file_options& options) {
    const char given = options.delimiter;
    if (given == 0)
        return find_separator(sample, options.decimal_comma);
    if (std::isalnum(static_cast<unsigned char>(given)) ||
        std::string_view(".+-\"#\r\n").find(given) != std::string_view::npos)
        throw invalid_argument(
            fmt::format("delimiter = {}: expected a character that no number, quote or line end has, such as ; or |",
                        in_quotes({&given, 1})));
    if (given == ',' && options.decimal_comma)
        throw invalid_argument("delimiter = ',': expected another one beside decimal_comma, or none");
    return given;
}

bool is_row_name_title(const std::string& name) {
    return name.empty() || name == "rownames" || name == "row.names" || name == "rowname" || name == "Unnamed: 0";
}

// "1", "2", ... in the first column.
bool counts_rows(const rows_of_fields& rows, std::size_t first_row) {
    for (std::size_t i = first_row; i < rows.size(); ++i)
        if (rows[i].front().text != std::to_string(i - first_row + 1))
            return false;
    return true;
}

bool is_quoted(const rows_of_fields& rows, std::size_t first_row) {
    return std::all_of(rows.begin() + static_cast<std::ptrdiff_t>(first_row), rows.end(),
                       [](const auto& fields) { return fields.front().quoted; });
}

// Whether the first column of a table with one name too few can be the row names that R's write.table gives no name:
// quoted, text, or a count of several rows. A plain number too many in each line is a fault.
bool has_unnamed_row_names(const rows_of_fields& rows, const file_options& options) {
    const bool text =
        std::none_of(rows.begin() + 1, rows.end(), [&](const auto& f) { return is_number(f.front(), options); });
    return rows[1].size() == rows[0].size() + 1 &&
           (text || is_quoted(rows, 1) || (rows.size() > 2 && counts_rows(rows, 1)));
}

// Whether the lines of data, or also those of the header, end in a separator.
bool ends_in_separator(const rows_of_fields& rows, std::size_t first_row) {
    return std::all_of(rows.begin() + static_cast<std::ptrdiff_t>(first_row), rows.end(), [](const auto& fields) {
        return fields.size() > 1 && fields.back().text.empty() && !fields.back().quoted;
    });
}

void read_header(text_layout& layout, const rows_of_fields& rows, const std::vector<sample_record>& sample,
                 const file_options& options, const std::string& path) {
    const std::size_t fields = rows[1].size();
    const bool padded = rows[0].size() + 1 == fields && ends_in_separator(rows, 1);
    if (!padded && has_unnamed_row_names(rows, options))
        layout.names.emplace_back();
    for (const text_field& field : rows[0])
        layout.names.push_back(unescaped(field));
    if (padded)
        layout.names.emplace_back();
    if (layout.names.size() == fields + 1 && layout.names.back().empty())
        layout.names.pop_back();
    if (layout.names.size() != fields)
        fail_at_line(path, sample[1].line,
                     fmt::format("expected {} fields, one for each name in line {}, found {}", rows[0].size(),
                                 sample[0].line, fields));
}

/// What the values of a column are.
struct column_survey {
    std::size_t numbers = 0, near = 0, others = 0, units = 0;
    std::size_t first_other = 0; ///< row of the first value that is neither a number nor missing
    std::size_t values() const { return numbers + near + others + units; }
};

column_survey survey(const rows_of_fields& rows, std::size_t first_row, std::size_t column,
                     const file_options& options) {
    column_survey found;
    std::string unit;
    for (std::size_t i = first_row; i < rows.size(); ++i) {
        if (column >= rows[i].size() || is_missing(rows[i][column], options))
            continue;
        if (is_number(rows[i][column], options)) {
            ++found.numbers;
            continue;
        }
        if (found.values() == found.numbers)
            found.first_other = i;
        const auto near = find_near_number(rows[i][column].text);
        if (near && (near->unit.empty() || unit.empty() || near->unit == unit)) {
            ++(near->unit.empty() ? found.near : found.units);
            if (!near->unit.empty())
                unit = near->unit;
        } else {
            ++found.others;
        }
    }
    return found;
}

column_kind kind_of(const column_survey& found) {
    if (found.values() == 0)
        return column_kind::missing;
    const bool all_of_one_unit = found.units == found.values() && found.units > 1;
    const bool mostly_near = 2 * found.near > found.values();
    return found.numbers > 0 || mostly_near || all_of_one_unit ? column_kind::numeric : column_kind::text;
}

void find_kinds(text_layout& layout, const rows_of_fields& rows, const std::vector<sample_record>& sample,
                const file_options& options) {
    const std::size_t first_row = layout.header ? 1 : 0, fields = rows[first_row].size();
    const bool named_rows = layout.header && is_row_name_title(layout.names.front());
    const bool numbered_rows = is_quoted(rows, first_row) && counts_rows(rows, first_row);
    const bool unnamed_last = !layout.header || layout.names.back().empty();
    for (std::size_t j = 0; j < fields; ++j) {
        const column_survey found = survey(rows, first_row, j, options);
        column_kind kind = kind_of(found);
        std::string reason;
        if (j == 0 && fields > 1 && (named_rows || numbered_rows)) {
            kind = column_kind::row_name;
            reason = "the names of the rows";
        } else if (kind == column_kind::text) {
            reason = fmt::format("text, as {} in line {}", in_quotes(rows[found.first_other][j].text),
                                 sample[found.first_other].line);
        } else if (kind == column_kind::missing && j + 1 == fields && unnamed_last &&
                   ends_in_separator(rows, first_row)) {
            kind = column_kind::padding;
        } else if (kind == column_kind::missing) {
            reason = "without a value";
        }
        if (!reason.empty())
            layout.left_out.push_back(
                {static_cast<std::int64_t>(j), layout.header ? layout.names[j] : std::string(), reason});
        layout.kinds.push_back(kind);
    }
}

} // namespace

text_layout find_layout(const std::vector<sample_record>& sample, const file_options& options,
                        const std::string& path) {
    if (sample.empty())
        fail_at_line(path, 1, "expected at least one row of numbers, the file is empty");
    text_layout layout;
    layout.decimal_comma = options.decimal_comma;
    layout.missing = options.missing;
    layout.separator = separator_of(sample, options);
    const rows_of_fields rows = split_all(sample, layout.separator);
    const header_kind header = find_header(rows, options);
    layout.header = header != header_kind::none;
    const std::size_t first_row = layout.header ? 1 : 0;
    if (first_row == rows.size())
        fail_at_line(path, sample.front().line, "expected at least one row of numbers after this header");
    layout.first_data_line = sample[first_row].line;
    if (layout.header)
        read_header(layout, rows, sample, options, path);
    if (header == header_kind::numbers || header == header_kind::partly_numbers)
        layout.remarks.push_back(
            fmt::format("{}: line {}, {}, is taken as names of columns{} (--header no takes it as data)", path,
                        sample.front().line, in_quotes(sample.front().text),
                        header == header_kind::numbers ? ", as pandas writes them where they have none" : ""));
    find_kinds(layout, rows, sample, options);
    return layout;
}

std::string column_label(const text_layout& layout, std::int64_t index) {
    const auto column = static_cast<std::size_t>(index);
    if (layout.names.empty() || layout.names[column].empty())
        return fmt::format("column {}", index + 1);
    return fmt::format("column {} ({})", index + 1, in_quotes(layout.names[column]));
}

} // namespace elbo::io
