#include "host/io/text/table.hpp"

#include "host/io/errors.hpp"

#include <cstring>
#include <fmt/format.h>

namespace elbo::io {
namespace {

constexpr double exact_in_float64 = 9007199254740992; // 2^53

} // namespace

text_parser::text_parser(text_layout layout, const std::vector<std::int64_t>& selected, bool watched,
                         const std::string& path)
    : layout_(std::move(layout)), target_(layout_.kinds.size(), -1), watched_(watched), path_(path) {
    for (const std::string& marker : layout_.missing)
        if (double value = 0; parse_number(marker, value, layout_.decimal_comma) == number_status::ok)
            markers_.push_back(value);
    for (std::size_t i = 0; i < selected.size(); ++i)
        target_[static_cast<std::size_t>(selected[i])] = static_cast<std::int64_t>(i);
}

bool text_parser::is_watched(std::size_t column) const {
    const column_kind kind = layout_.kinds[column];
    return watched_ && (kind == column_kind::missing || kind == column_kind::padding);
}

bool text_parser::is_marker(double value) const {
    return std::find(markers_.begin(), markers_.end(), value) != markers_.end();
}

template <class T>
bool text_parser::parse_fast(std::string_view record, T* out) const {
    const char separator = layout_.separator;
    const char* at = record.data();
    const char* const end = at + record.size();
    const auto is_around = [separator](char c) { return c == ' ' || (c == '\t' && separator != '\t'); };
    const std::size_t last = target_.size() - 1;
    for (std::size_t column = 0; column <= last; ++column) {
        while (at < end && is_around(*at))
            ++at;
        if (target_[column] >= 0) {
            T& value = out[target_[column]];
            const auto [rest, status] = std::from_chars(at, end, value);
            if (status != std::errc() || !(std::abs(static_cast<double>(value)) < exact_in_float64))
                return false; // also whatever is not finite
            if (!markers_.empty() && is_marker(static_cast<double>(value)))
                return false;
            at = rest;
        } else if (is_watched(column)) {
            if (separator != blanks && at < end && *at != separator)
                return false;
        } else if (separator == blanks) {
            while (at < end && !is_around(*at))
                ++at;
        } else {
            const void* const found = std::memchr(at, separator, static_cast<std::size_t>(end - at));
            at = found ? static_cast<const char*>(found) : end;
        }
        const char* const field_end = at;
        while (at < end && is_around(*at))
            ++at;
        if (column == last)
            break;
        const bool separated = separator == blanks ? at > field_end && at < end : at < end && *at == separator;
        if (!separated)
            return false;
        if (separator != blanks)
            ++at;
    }
    return at == end;
}

template <class T>
void text_parser::parse_fields(const text_record& record, T* out) {
    split_fields(record.text, layout_.separator, fields_);
    if (fields_.size() != target_.size())
        fail_at_line(path_, record.line,
                     fmt::format("expected {} fields as in line {}, found {}", target_.size(), layout_.first_data_line,
                                 fields_.size()));
    for (std::size_t column = 0; column < target_.size(); ++column) {
        if (target_[column] < 0) {
            check_left_out(record, column);
            continue;
        }
        T& value = out[target_[column]];
        check_number(record, column, value, parse_number(fields_[column].text, value, layout_.decimal_comma));
    }
}

void text_parser::fail_at(const text_record& record, std::size_t column, std::string_view expected,
                          std::string_view advice) const {
    fail_at_line(path_, record.line,
                 fmt::format("{}: expected {}, found {}{}{}", column_label(layout_, static_cast<std::int64_t>(column)),
                             expected, in_quotes(fields_[column].text), advice.empty() ? "" : ": ", advice));
}

template <class T>
void text_parser::check_number(const text_record& record, std::size_t column, T value, number_status status) const {
    const std::string_view text = fields_[column].text;
    if (status == number_status::too_large)
        fail_at(record, column,
                sizeof(T) == 4 ? "a number within the range of float32" : "a number within the range of float64", "");
    const bool known = std::find(layout_.missing.begin(), layout_.missing.end(), text) != layout_.missing.end();
    if (known || (status == number_status::ok && is_marker(static_cast<double>(value))))
        fail_at(record, column, "a value", missing_advice);
    if (status == number_status::not_a_number) {
        std::string advice;
        if (is_missing_value(text))
            advice = missing_advice;
        else if (const auto near = find_near_number(text))
            advice = near->advice;
        else if (record.line == layout_.first_data_line && !layout_.header)
            advice = "if this line holds the names of the columns, say so (--header yes)";
        fail_at(record, column, "a number", advice);
    }
    if (is_beyond_float64(text))
        fail_at(record, column, "a whole number up to 2^53, up to where float64 holds every one",
                "leave this column out, or subtract an offset before");
}

void text_parser::check_left_out(const text_record& record, std::size_t column) const {
    if (!is_watched(column) || fields_[column].text.empty())
        return;
    if (layout_.kinds[column] == column_kind::padding)
        fail_at(record, column, "nothing after the last separator, as in the lines before", "");
    if (!is_missing_value(fields_[column].text, layout_.missing))
        fail_at(record, column, "no value, as in the lines before", "name the columns to read (--columns)");
}

template <class T>
void text_parser::parse(const text_record& record, T* out) {
    if (record.quotes || layout_.decimal_comma || !parse_fast(record.text, out))
        parse_fields(record, out);
}

template void text_parser::parse(const text_record&, float*);
template void text_parser::parse(const text_record&, double*);

} // namespace elbo::io
