// Names of enumerations in tables, and the way back from a name.
#pragma once

#include "elbo/error.hpp"

#include <fmt/format.h>
#include <span>
#include <string>
#include <string_view>
#include <utility>

namespace elbo {

template <class E>
using name_table = std::span<const std::pair<E, std::string_view>>;

template <class E>
std::string_view name_of(name_table<E> table, E value) {
    for (const auto& [e, name] : table)
        if (e == value)
            return name;
    return "?";
}

template <class E>
E value_of(name_table<E> table, std::string_view name, std::string_view what) {
    std::string known;
    for (const auto& [e, candidate] : table) {
        if (candidate == name)
            return e;
        known += (known.empty() ? "" : ", ") + std::string(candidate);
    }
    throw invalid_argument(fmt::format("{} = \"{}\": expected one of {}", what, name, known));
}

} // namespace elbo
