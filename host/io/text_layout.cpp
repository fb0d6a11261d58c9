#include "host/io/text_layout.hpp"

#include "host/io/errors.hpp"
#include "host/io/text_numbers.hpp"
#include "host/io/text_records.hpp"

#include <algorithm>
#include <array>
#include <fmt/format.h>
#include <map>

namespace elbo::io {
namespace {

using rows_of_fields = std::vector<std::vector<text_field>>;

bool is_number(const text_field& field) {
    double value = 0;
    return parse_number(field.text, value) == number_status::ok;
}

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
char find_separator(const std::vector<sample_record>& sample) {
    char best = ',';
    std::size_t best_agreement = 0;
    for (const char separator : {'\t', ';', ',', blanks}) {
        const std::size_t agreeing = agreement(split_all(sample, separator));
        if (agreeing > best_agreement) {
            best = separator;
            best_agreement = agreeing;
        }
    }
    return best;
}

// Names are not numbers. Two tables have numbers for names and are told by an empty first field (pandas, R) that the
// other lines do not have.
bool is_header(const rows_of_fields& rows) {
    const std::vector<text_field>& first = rows.front();
    if (std::none_of(first.begin(), first.end(), is_number))
        return true;
    if (first.size() < 2 || rows.size() < 2 || !first.front().text.empty())
        return false;
    return std::none_of(first.begin() + 1, first.end(), [](const text_field& f) { return f.text.empty(); }) &&
           std::none_of(rows.begin() + 1, rows.end(), [](const auto& fields) { return fields.front().text.empty(); });
}

bool is_row_name_title(const std::string& name) {
    return name.empty() || name == "rownames" || name == "row.names" || name == "rowname";
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
bool has_unnamed_row_names(const rows_of_fields& rows) {
    const bool text = std::none_of(rows.begin() + 1, rows.end(), [](const auto& f) { return is_number(f.front()); });
    return rows[1].size() == rows[0].size() + 1 &&
           (text || is_quoted(rows, 1) || (rows.size() > 2 && counts_rows(rows, 1)));
}

void read_header(text_layout& layout, const rows_of_fields& rows, const std::vector<sample_record>& sample,
                 const std::string& path) {
    if (has_unnamed_row_names(rows))
        layout.names.emplace_back();
    for (const text_field& field : rows[0])
        layout.names.push_back(unescaped(field));
    if (layout.names.size() != rows[1].size())
        fail_at_line(path, sample[1].line,
                     fmt::format("expected {} fields, one for each name in line {}, found {}", rows[0].size(),
                                 sample[0].line, rows[1].size()));
}

column_kind kind_of(const rows_of_fields& rows, std::size_t first_row, std::size_t column) {
    for (std::size_t i = first_row; i < rows.size(); ++i)
        if (column < rows[i].size() && is_number(rows[i][column]))
            return column_kind::numeric;
    return column_kind::text;
}

} // namespace

text_layout find_layout(const std::vector<sample_record>& sample, const std::string& path) {
    if (sample.empty())
        fail_at_line(path, 1, "expected at least one row of numbers, the file is empty");
    text_layout layout;
    layout.separator = find_separator(sample);
    const rows_of_fields rows = split_all(sample, layout.separator);
    layout.header = is_header(rows);
    const std::size_t first_row = layout.header ? 1 : 0;
    if (first_row == rows.size())
        fail_at_line(path, sample.front().line, "expected at least one row of numbers after this header");
    const std::size_t fields = rows[first_row].size();
    layout.first_data_line = sample[first_row].line;
    if (layout.header)
        read_header(layout, rows, sample, path);
    for (std::size_t j = 0; j < fields; ++j)
        layout.kinds.push_back(kind_of(rows, first_row, j));
    const bool named_rows = layout.header && is_row_name_title(layout.names.front());
    if (fields > 1 && (named_rows || (is_quoted(rows, first_row) && counts_rows(rows, first_row))))
        layout.kinds[0] = column_kind::row_name;
    return layout;
}

std::string column_label(const text_layout& layout, std::int64_t index) {
    const auto column = static_cast<std::size_t>(index);
    if (layout.names.empty() || layout.names[column].empty())
        return fmt::format("column {}", index + 1);
    return fmt::format("column {} ({})", index + 1, in_quotes(layout.names[column]));
}

} // namespace elbo::io
