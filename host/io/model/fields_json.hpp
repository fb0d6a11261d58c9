// JSON of structs by their fields (host/fields.hpp).
#pragma once

#include "host/fields.hpp"
#include "host/io/model/json.hpp"

namespace elbo::io {

template <class T>
consteval bool has_json() {
    if constexpr (is_list<T> || is_optional<T>)
        return has_json<typename T::value_type>();
    else
        return std::is_arithmetic_v<T> || named<T> || with_fields<T> || std::convertible_to<T, std::string_view>;
}

/// A number, name of an enumeration, text, list of these, or object; null for an optional that is empty.
template <class T>
    requires(has_json<T>())
json json_of(const T& value);

/// An object with a member for each field that has a JSON value (no models, weights and callbacks), or where it is to
/// be `deciding` for those that decide the bits of a run.
template <with_fields S>
json json_of_fields(const S& s, bool deciding = false) {
    json object = json::object();
    for_each_field<S>([&](const auto& f) {
        using member = std::remove_cvref_t<decltype(s.*f.member)>;
        if constexpr (with_fields<member> && has_json<member>()) {
            if (f.decides || !deciding)
                object[f.name] = json_of_fields(s.*f.member, deciding);
        } else if constexpr (has_json<member>()) {
            if (f.decides || !deciding)
                object[f.name] = json_of(s.*f.member);
        }
    });
    return object;
}

template <class T>
    requires(has_json<T>())
json json_of(const T& value) {
    if constexpr (named<T>) {
        return name_of(value);
    } else if constexpr (is_optional<T>) {
        return value ? json_of(*value) : json(nullptr);
    } else if constexpr (is_list<T>) {
        json list = json::array();
        for (const auto& entry : value)
            list.push_back(json_of(entry));
        return list;
    } else if constexpr (with_fields<T>) {
        return json_of_fields(value);
    } else {
        return value;
    }
}

} // namespace elbo::io
