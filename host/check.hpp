// The one place where broken rules become exceptions.
#pragma once

#include "elbo/error.hpp"

#include <concepts>
#include <cstdint>
#include <limits>
#include <string>
#include <string_view>

namespace elbo {

/// Throws invalid_argument with the message, or with message(), unless `ok`. It names the argument, its value and what
/// was expected; what message() says is only made when it is needed.
template <class Message>
void expects(bool ok, const Message& message) {
    if (ok)
        return;
    if constexpr (std::convertible_to<Message, std::string>)
        throw invalid_argument(message);
    else
        throw invalid_argument(message());
}

/// Which numbers are allowed: those from `least` to `most`, finite in any case where there is an end.
struct rule {
    double least = -std::numeric_limits<double>::infinity();
    double most = std::numeric_limits<double>::infinity();
    bool above = false;             ///< `least` itself is not allowed
    bool below = false;             ///< `most` itself is not allowed
    std::string_view expected = {}; ///< says so in place of the ends

    constexpr bool is_any() const { return least == -most && most == std::numeric_limits<double>::infinity(); }
    constexpr bool allows(double value) const {
        return is_any() || ((above ? value > least : value >= least) && (below ? value < most : value <= most) &&
                            value < std::numeric_limits<double>::infinity());
    }
};

inline constexpr rule any_value{};
inline constexpr rule positive{.least = 0, .above = true};
inline constexpr rule fraction{.least = 0, .most = 1, .below = true}; ///< [0, 1)

constexpr rule at_least(double least, std::string_view expected = {}) {
    return {.least = least, .expected = expected};
}
/// Ends included.
constexpr rule between(double least, double most, std::string_view expected = {}) {
    return {.least = least, .most = most, .expected = expected};
}

inline constexpr rule finite =
    between(std::numeric_limits<double>::lowest(), std::numeric_limits<double>::max(), "a finite number");
/// Bytes of a limit of memory.
inline constexpr rule bytes_or_what_fits = at_least(0, "0 (what fits) or a number of bytes");

/// Throws invalid_argument, "NAME = VALUE: expected at least 1", unless the rule allows the value.
void expects(std::string_view name, std::int64_t value, const rule& allowed);
void expects(std::string_view name, double value, const rule& allowed);

} // namespace elbo
