// Numbers written as text, what stands for a missing value, and what is a number for people alone.
#pragma once

#include <algorithm>
#include <charconv>
#include <cmath>
#include <limits>
#include <optional>
#include <string>
#include <string_view>
#include <type_traits>
#include <vector>

namespace elbo::io {

enum class number_status {
    ok,
    not_a_number, ///< other text
    too_large     ///< a number that the type cannot hold
};

/// A number with a decimal point: see parse_number.
template <class T>
number_status parse_plain_number(std::string_view text, T& value) {
    if (text.starts_with('+') && !text.starts_with("+-"))
        text.remove_prefix(1);
    const char* const end = text.data() + text.size();
    const auto [rest, status] = std::from_chars(text.data(), end, value);
    if (rest != end || status == std::errc::invalid_argument)
        return number_status::not_a_number;
    if (status == std::errc::result_out_of_range) {
        // Too large or too small: a type of more range tells which.
        long double wide = 0;
        const auto again = std::from_chars(text.data(), end, wide);
        if (again.ec == std::errc() && std::fabs(wide) < 1) {
            value = static_cast<T>(wide);
            return number_status::ok;
        }
        return number_status::too_large;
    }
    if (std::isinf(value) && text.find_first_of("iI") == text.npos)
        return number_status::too_large;
    return number_status::ok;
}

/// Parses one field: decimal, with an optional sign and exponent (1.5e3, or as Fortran writes it 1.5D+03), or "nan",
/// "inf", "infinity" in any case; with `decimal_comma` a comma in place of the point. Rounded correctly; too small a
/// number becomes 0. Independent of the locale.
template <class T>
number_status parse_number(std::string_view text, T& value, bool decimal_comma = false) {
    if (decimal_comma) {
        if (text.find('.') != text.npos)
            return number_status::not_a_number;
        if (const std::size_t comma = text.find(','); comma != text.npos) {
            std::string with_point(text);
            with_point[comma] = '.';
            return parse_number(with_point, value);
        }
    }
    const number_status status = parse_plain_number(text, value);
    const std::size_t exponent = status == number_status::not_a_number ? text.find_first_of("dD") : text.npos;
    if (exponent == text.npos)
        return status;
    std::string with_e(text);
    with_e[exponent] = 'e';
    return parse_plain_number(with_e, value);
}

/// Whether the digits of a whole number, without a point or exponent, are beyond 2^53, up to where float64 holds all of
/// them.
inline bool is_beyond_float64(std::string_view text) {
    if (text.starts_with('+') || text.starts_with('-'))
        text.remove_prefix(1);
    if (text.empty() || text.find_first_not_of("0123456789") != text.npos)
        return false;
    text.remove_prefix(std::min(text.find_first_not_of('0'), text.size()));
    constexpr std::string_view largest = "9007199254740992";
    return text.size() > largest.size() || (text.size() == largest.size() && text > largest);
}

inline constexpr std::string_view missing_advice =
    "missing values are not supported: leave such rows out, or fill them in";

/// Whether a field stands for a missing value by custom (empty, NA, N/A, null, None, ?, -, ., ... in any case), or is
/// one of the `others`.
bool is_missing_value(std::string_view text, const std::vector<std::string>& others = {});

/// Text that is a number for people: 1,5 or 12,345 or 45% or 12kg or $5.
struct near_number {
    std::string advice; ///< what to do about it
    std::string unit; ///< "kg"; empty for the others. Codes such as 3D look alike, so it counts where all rows have it
};
/// Nothing for a number, and for any other text.
std::optional<near_number> find_near_number(std::string_view text);

} // namespace elbo::io
