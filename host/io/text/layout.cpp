#include "host/io/text/table.hpp"

#include "host/io/errors.hpp"

#include <cctype>
#include <fmt/format.h>
#include <map>

namespace elbo::io {
namespace {

using fields = std::vector<text_field>;
using rows_of_fields = std::vector<fields>;

enum class header_kind {
    none,
    names,
    numbers,       ///< 0, 1, 2, ..., which pandas gives columns without names
    partly_numbers ///< names and rising numbers: country, 2019, 2020
};

// Whether the field is a number, in the decimal sign of the options.
bool is_number(const text_field& field, const file_options& options) {
    double value = 0;
    return parse_number(field.text, value, options.decimal_comma) == number_status::ok;
}

template <class Condition>
bool holds_from(std::size_t first_row, const rows_of_fields& rows, const Condition& condition) {
    return std::ranges::all_of(std::span(rows).subspan(first_row), condition);
}

// Whether the first fields count the columns from 0 or from 1 on.
bool counts_columns(const fields& first) {
    const std::size_t base = first.front().text == "1" ? 1 : 0;
    for (std::size_t j = 0; j < first.size(); ++j)
        if (first[j].text != std::to_string(j + base))
            return false;
    return true;
}

// Whether a number is written with a point or an exponent. A program that writes a column of floating-point numbers
// writes all of them so, or none.
bool is_written_as_real(const text_field& field, const file_options& options) {
    return field.text.find_first_of(options.decimal_comma ? ",eEdD" : ".eEdD") != std::string_view::npos;
}

// How the numbers of a column below the first row are written.
struct written_numbers {
    std::size_t real = 0, whole = 0;
};
written_numbers numbers_below(const rows_of_fields& rows, std::size_t column, const file_options& options) {
    written_numbers found;
    for (std::size_t i = 1; i < rows.size(); ++i)
        if (column < rows[i].size() && is_number(rows[i][column], options))
            ++(is_written_as_real(rows[i][column], options) ? found.real : found.whole);
    return found;
}

// pandas heads columns without names by 0, 1, 2. A first row of data may be the same: whole numbers among others that
// are written with a point tell the header, or ten columns and more.
bool is_numbered_header(const rows_of_fields& rows, const file_options& options) {
    constexpr std::size_t many_columns = 10, fewest_rows = 2, fewest_of_one_column = 20;
    const fields& first = rows.front();
    const std::size_t below = rows.size() - 1;
    if (!counts_columns(first) || below < fewest_rows)
        return false;
    if (first.size() == 1 && (below < fewest_of_one_column || first.front().text != "0"))
        return false;
    bool some_real = first.size() >= many_columns;
    for (std::size_t j = 0; j < first.size(); ++j) {
        const auto [real, whole] = numbers_below(rows, j, options);
        if (real > 0 && whole > 0)
            return false; // a program that leaves points out, so that the first row may be data
        some_real = some_real || real > 0;
    }
    return some_real;
}

bool is_whole(const text_field& field) {
    return !field.text.empty() && field.text.find_first_not_of("0123456789") == std::string_view::npos;
}

// country,2019,2020 above AT,1.5,2.5: names of columns of text, and whole numbers that rise above columns of numbers
// that are all written with a point. The names would go with the columns of text, and the years would be data.
bool is_partly_numbered_header(const rows_of_fields& rows, const file_options& options) {
    constexpr std::size_t fewest_rows = 2, fewest_numbers = 2;
    std::size_t numbers = 0;
    double last = 0;
    for (std::size_t j = 0; j < rows.front().size(); ++j) {
        const text_field& field = rows.front()[j];
        double value = 0;
        if (parse_number(field.text, value, options.decimal_comma) != number_status::ok) {
            if (is_missing_value(field.text, options.missing) || find_near_number(field.text))
                return false; // a row of data
            continue;
        }
        const auto [real, whole] = numbers_below(rows, j, options);
        if (!is_whole(field) || (numbers > 0 && !(value > last)) || real == 0 || whole > 0)
            return false;
        last = value;
        ++numbers;
    }
    return numbers >= fewest_numbers && numbers < rows.front().size() && rows.size() > fewest_rows;
}

// R puts names into quotes and numbers not: "2019","2020".
bool is_quoted_header(const rows_of_fields& rows) {
    const auto quoted = [](const text_field& field) { return field.quoted; };
    return rows.size() > 1 && std::all_of(rows.front().begin(), rows.front().end(), quoted) &&
           holds_from(1, rows, [&](const fields& row) { return std::none_of(row.begin(), row.end(), quoted); });
}

// pandas and R leave the name of the row names empty, in the first field, and the other lines have something there.
bool names_no_row_names(const rows_of_fields& rows) {
    const fields& first = rows.front();
    if (first.size() < 2 || rows.size() < 2 || !first.front().text.empty())
        return false;
    return std::none_of(first.begin() + 1, first.end(), [](const text_field& f) { return f.text.empty(); }) &&
           holds_from(1, rows, [](const fields& row) { return !row.front().text.empty(); });
}

// Whether the first record holds the names of the columns.
header_kind find_header(const rows_of_fields& rows, const file_options& options) {
    if (options.header != header_row::automatic)
        return options.header == header_row::yes ? header_kind::names : header_kind::none;
    const fields& first = rows.front();
    if (std::none_of(first.begin(), first.end(), [&](const text_field& f) { return is_number(f, options); })) {
        // A damaged row of data is no header, or it would be gone.
        const bool damaged = std::all_of(first.begin(), first.end(), [&](const text_field& f) {
            const auto near = find_near_number(f.text);
            return is_missing_value(f.text, options.missing) || (near && near->unit.empty());
        });
        return damaged ? header_kind::none : header_kind::names;
    }
    if (names_no_row_names(rows) || is_quoted_header(rows))
        return header_kind::names;
    if (is_partly_numbered_header(rows, options))
        return header_kind::partly_numbers;
    return is_numbered_header(rows, options) ? header_kind::numbers : header_kind::none;
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
    return holds_from(first_row, rows, [](const fields& row) { return row.front().quoted; });
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
    return holds_from(first_row, rows, [](const fields& row) {
        return row.size() > 1 && row.back().text.empty() && !row.back().quoted;
    });
}

// The text of a field as its author meant it: doubled quotes made single.
std::string unescaped(const text_field& field) {
    std::string out;
    for (std::size_t i = 0; i < field.text.size(); ++i) {
        out += field.text[i];
        if (field.quoted && field.text[i] == '"' && i + 1 < field.text.size() && field.text[i + 1] == '"')
            ++i;
    }
    return out;
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
        if (column >= rows[i].size() || is_missing_value(rows[i][column].text, options.missing))
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
