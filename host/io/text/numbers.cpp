#include "host/io/text/numbers.hpp"

#include <array>
#include <cctype>
#include <fmt/format.h>

namespace elbo::io {
namespace {

using namespace std::string_view_literals;

constexpr std::array currencies = {"$"sv, "€"sv, "£"sv, "¥"sv, "₹"sv, "CHF"sv};
constexpr std::array minus_signs = {"−"sv, "–"sv, "—"sv};
constexpr std::array wide_blanks = {"\u00a0"sv, "\u202f"sv, "\u2009"sv}; // between groups of digits

bool is_digit(char c) {
    return c >= '0' && c <= '9';
}

bool is_plain_number(std::string_view text) {
    double value = 0;
    return text.find_first_of("0123456789") != text.npos && parse_number(text, value) != number_status::not_a_number;
}

// The text without the first of `parts` that it begins or ends with.
template <std::size_t Size>
bool strip(std::string_view& text, const std::array<std::string_view, Size>& parts) {
    for (const std::string_view part : parts) {
        const bool front = text.starts_with(part);
        if (!front && !text.ends_with(part))
            continue;
        front ? text.remove_prefix(part.size()) : text.remove_suffix(part.size());
        while (text.starts_with(' '))
            text.remove_prefix(1);
        while (text.ends_with(' '))
            text.remove_suffix(1);
        return true;
    }
    return false;
}

// Every sign between groups of three digits as ' ', where the text has such signs of one kind alone.
bool is_grouped(std::string_view text) {
    std::string digits(text.substr(text.starts_with('-') || text.starts_with('+') ? 1 : 0));
    for (const std::string_view blank : wide_blanks)
        for (std::size_t at = digits.find(blank); at != digits.npos; at = digits.find(blank))
            digits.replace(at, blank.size(), " ");
    const std::size_t first = std::min(digits.find_first_not_of("0123456789"), digits.size());
    if (first == 0 || first > 3 || first == digits.size() || " ,.'_"sv.find(digits[first]) == std::string_view::npos)
        return false;
    const char sign = digits[first];
    std::size_t at = first;
    while (at < digits.size() && digits[at] == sign) {
        const std::size_t end = std::min(digits.find_first_not_of("0123456789", at + 1), digits.size());
        if (end - at != 4)
            return false;
        at = end;
    }
    if (at == digits.size())
        return sign != '.' || std::count(digits.begin(), digits.end(), '.') > 1;
    // A decimal sign of the other kind may follow.
    const bool decimal = (digits[at] == '.' || digits[at] == ',') && digits[at] != sign;
    return decimal && std::all_of(digits.begin() + static_cast<std::ptrdiff_t>(at) + 1, digits.end(), is_digit);
}

bool has_decimal_comma(std::string_view text) {
    double value = 0;
    return std::count(text.begin(), text.end(), ',') == 1 && parse_number(text, value, true) == number_status::ok;
}

std::string number_advice(std::string_view text) {
    if (has_decimal_comma(text))
        return is_grouped(text) ? "write thousands without a comma; where it is the decimal sign, say decimal_comma "
                                  "(--decimal-comma)"
                                : "where a comma is the decimal sign, say decimal_comma (--decimal-comma)";
    return is_grouped(text) ? "write numbers without signs between thousands" : "";
}

// What follows the number, where it begins like the name of a unit.
std::string unit_of(std::string_view text) {
    std::size_t end = 0;
    for (std::size_t length = 1; length <= text.size(); ++length)
        if (is_plain_number(text.substr(0, length)) || has_decimal_comma(text.substr(0, length)))
            end = length;
    if (end == 0)
        return {};
    std::string_view rest = text.substr(end);
    while (rest.starts_with(' '))
        rest.remove_prefix(1);
    const auto begins = [](char c) { return std::isalpha(static_cast<unsigned char>(c)) || (c & 0x80) != 0; };
    constexpr std::size_t longest = 8;
    if (rest.empty() || rest.size() > longest || !begins(rest.front()) ||
        std::any_of(rest.begin(), rest.end(), is_digit))
        return {};
    return std::string(rest);
}

} // namespace

bool is_missing_value(std::string_view text, const std::vector<std::string>& others) {
    if (std::ranges::find(others, text) != others.end())
        return true;
    constexpr std::array known = {""sv,     "na"sv,  "n/a"sv, "#n/a"sv,   "<na>"sv,   "null"sv,
                                  "none"sv, "nil"sv, "nan"sv, "#null!"sv, "?"sv,      "-"sv,
                                  "--"sv,   "."sv,   "*"sv,   "\\n"sv,    "missing"sv};
    std::string lower(text.substr(0, 16));
    std::transform(lower.begin(), lower.end(), lower.begin(), [](unsigned char c) { return std::tolower(c); });
    return std::find(known.begin(), known.end(), lower) != known.end() && lower.size() == text.size();
}

std::optional<near_number> find_near_number(std::string_view text) {
    constexpr std::size_t longest = 64;
    if (text.empty() || text.size() > longest || text.find_first_of("0123456789") == text.npos || is_plain_number(text))
        return std::nullopt;
    if (text.size() > 2 && text.front() == text.back() && (text.front() == '\'' || text.front() == '"'))
        return is_plain_number(text.substr(1, text.size() - 2))
                   ? std::optional(near_number{"write numbers without quotes in them", {}})
                   : std::nullopt;
    if (const std::string advice = number_advice(text); !advice.empty())
        return near_number{advice, {}};
    const auto is_number = [](std::string_view t) { return is_plain_number(t) || !number_advice(t).empty(); };
    std::string_view rest = text;
    if (strip(rest, std::array{"%"sv, "‰"sv}) && is_number(rest))
        return near_number{"write shares without a percent sign", {}};
    rest = text;
    if (strip(rest, minus_signs) && is_number(rest))
        return near_number{"write the minus sign as -", {}};
    rest = text;
    if (rest.front() == '(' && rest.back() == ')' && is_number(rest.substr(1, rest.size() - 2)))
        return near_number{"write a negative number with a minus sign", {}};
    const bool negative = rest.front() == '-';
    rest.remove_prefix(negative ? 1 : 0);
    if (strip(rest, currencies) && is_number(rest))
        return near_number{"write amounts without the sign of a currency", {}};
    if (std::string unit = unit_of(text); !unit.empty())
        return near_number{"write numbers without their unit", unit};
    return std::nullopt;
}

} // namespace elbo::io
