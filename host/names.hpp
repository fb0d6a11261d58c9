// Names of enumerations: one table for each, which both directions and the text of errors read.
#pragma once

#include "elbo/error.hpp"

#include <array>
#include <concepts>
#include <cstddef>
#include <span>
#include <string>
#include <string_view>
#include <type_traits>

namespace elbo {

/// What an enumeration stands for, and the names of its values, which are 0, 1, ... in this order.
template <std::size_t N>
struct name_table {
    std::string_view what;
    std::array<std::string_view, N> of_values;
};
template <std::size_t N>
name_table(std::string_view, const std::string_view (&)[N]) -> name_table<N>;

/// The table of an enumeration. Specialised where it has one.
template <class E>
inline constexpr std::nullptr_t names = nullptr;

template <class E>
concept named = std::is_enum_v<E> && !std::same_as<decltype(names<E>), const std::nullptr_t>;

/// "full, diagonal, ...".
std::string listed(std::span<const std::string_view> names);
/// The place of a name in the list. Throws invalid_argument that lists the names.
std::size_t place_of(std::string_view name, std::string_view what, std::span<const std::string_view> names);

template <named E>
constexpr std::string_view name_of(E value) {
    const auto at = static_cast<std::size_t>(value);
    return at < names<E>.of_values.size() ? names<E>.of_values[at] : "?";
}

template <named E>
E value_of(std::string_view name) {
    return static_cast<E>(place_of(name, names<E>.what, names<E>.of_values));
}

} // namespace elbo

/// Defines the public to_string of an enumeration with a table.
#define ELBO_TO_STRING(E)                                                                                              \
    std::string_view to_string(E value) {                                                                              \
        return elbo::name_of(value);                                                                                   \
    }
/// The same, and the inverse.
#define ELBO_NAMES(E, from_string)                                                                                     \
    ELBO_TO_STRING(E)                                                                                                  \
    E from_string(std::string_view name) {                                                                             \
        return elbo::value_of<E>(name);                                                                                \
    }
