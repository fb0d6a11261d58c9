// Numbers written as text.
#pragma once

#include <charconv>
#include <cmath>
#include <limits>
#include <optional>
#include <string_view>
#include <type_traits>

namespace elbo::io {

enum class number_status {
    ok,
    not_a_number, ///< other text
    too_large     ///< a number that the type cannot hold
};

/// Parses one field: decimal, with an optional sign and exponent, or "nan", "inf", "infinity" in any case. Rounded
/// correctly; too small a number becomes 0. Independent of the locale.
template <class T>
number_status parse_number(std::string_view text, T& value) {
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

} // namespace elbo::io
