#include "host/io/text_parser.hpp"

#include "host/io/errors.hpp"
#include "host/io/text_numbers.hpp"

#include <cmath>
#include <cstring>
#include <fmt/format.h>

namespace elbo::io {

text_parser::text_parser(text_layout layout, const std::vector<std::int64_t>& selected, const std::string& path)
    : layout_(std::move(layout)), target_(layout_.kinds.size(), -1), path_(path) {
    for (std::size_t i = 0; i < selected.size(); ++i)
        target_[static_cast<std::size_t>(selected[i])] = static_cast<std::int64_t>(i);
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
            if (status != std::errc() || !std::isfinite(value))
                return false;
            at = rest;
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
        if (target_[column] < 0)
            continue;
        const number_status status = parse_number(fields_[column].text, out[target_[column]]);
        if (status == number_status::ok)
            continue;
        const char* const expected =
            status == number_status::too_large ? "expected a number within the range of " : "expected a number";
        const char* const type = status == number_status::too_large ? (sizeof(T) == 4 ? "float32" : "float64") : "";
        fail_at_line(path_, record.line,
                     fmt::format("{}: {}{}, found {}", column_label(layout_, static_cast<std::int64_t>(column)),
                                 expected, type, in_quotes(fields_[column].text)));
    }
}

template <class T>
void text_parser::parse(const text_record& record, T* out) {
    if (record.quotes || !parse_fast(record.text, out))
        parse_fields(record, out);
}

template void text_parser::parse(const text_record&, float*);
template void text_parser::parse(const text_record&, double*);

} // namespace elbo::io
