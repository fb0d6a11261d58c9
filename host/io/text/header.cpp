#include "host/io/text/header.hpp"

#include "host/io/text/near_numbers.hpp"
#include "host/io/text/numbers.hpp"

#include <algorithm>
#include <cmath>

namespace elbo::io {
namespace {

using fields = std::vector<text_field>;

template <class Condition>
bool holds_below(const rows_of_fields& rows, const Condition& condition) {
    return std::all_of(rows.begin() + 1, rows.end(), condition);
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
        std::size_t real = 0, whole = 0;
        for (std::size_t i = 1; i < rows.size(); ++i) {
            if (j >= rows[i].size() || !is_number(rows[i][j], options))
                continue;
            ++(is_written_as_real(rows[i][j], options) ? real : whole);
        }
        if (real > 0 && whole > 0)
            return false; // a program that leaves points out, so that the first row may be data
        some_real = some_real || real > 0;
    }
    return some_real;
}

bool is_whole(const text_field& field) {
    return !field.text.empty() && field.text.find_first_not_of("0123456789") == std::string_view::npos;
}

// Whether the numbers in a column below the first row are all written with a point or an exponent.
bool has_reals_below(const rows_of_fields& rows, std::size_t column, const file_options& options) {
    std::size_t reals = 0;
    for (std::size_t i = 1; i < rows.size(); ++i)
        if (column < rows[i].size() && is_number(rows[i][column], options)) {
            if (!is_written_as_real(rows[i][column], options))
                return false;
            ++reals;
        }
    return reals > 0;
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
            if (is_missing(field, options) || find_near_number(field.text))
                return false; // a row of data
            continue;
        }
        if (!is_whole(field) || (numbers > 0 && !(value > last)) || !has_reals_below(rows, j, options))
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
           holds_below(rows, [&](const fields& row) { return std::none_of(row.begin(), row.end(), quoted); });
}

// pandas and R leave the name of the row names empty, in the first field, and the other lines have something there.
bool names_no_row_names(const rows_of_fields& rows) {
    const fields& first = rows.front();
    if (first.size() < 2 || rows.size() < 2 || !first.front().text.empty())
        return false;
    return std::none_of(first.begin() + 1, first.end(), [](const text_field& f) { return f.text.empty(); }) &&
           holds_below(rows, [](const fields& row) { return !row.front().text.empty(); });
}

} // namespace

bool is_missing(const text_field& field, const file_options& options) {
    return is_missing_value(field.text) ||
           std::find(options.missing.begin(), options.missing.end(), field.text) != options.missing.end();
}

bool is_number(const text_field& field, const file_options& options) {
    double value = 0;
    return parse_number(field.text, value, options.decimal_comma) == number_status::ok;
}

header_kind find_header(const rows_of_fields& rows, const file_options& options) {
    if (options.header != header_row::automatic)
        return options.header == header_row::yes ? header_kind::names : header_kind::none;
    const fields& first = rows.front();
    if (std::none_of(first.begin(), first.end(), [&](const text_field& f) { return is_number(f, options); })) {
        // A damaged row of data is no header, or it would be gone.
        const bool damaged = std::all_of(first.begin(), first.end(), [&](const text_field& f) {
            const auto near = find_near_number(f.text);
            return is_missing(f, options) || (near && near->unit.empty());
        });
        return damaged ? header_kind::none : header_kind::names;
    }
    if (names_no_row_names(rows) || is_quoted_header(rows))
        return header_kind::names;
    if (is_partly_numbered_header(rows, options))
        return header_kind::partly_numbers;
    return is_numbered_header(rows, options) ? header_kind::numbers : header_kind::none;
}

} // namespace elbo::io
