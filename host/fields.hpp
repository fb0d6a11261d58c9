// The members of a struct of options or results as a table: name, place, rule, help. Command line, checks, JSON, report
// page and checkpoints read it, and a binding can be generated from it. A struct has its table in fields.hpp of its
// room:
//
//     template <>
//     inline constexpr auto fields<gradient_steps> = [] {
//         using s = gradient_steps;
//         return table<s>(field{"steps", &s::steps, at_least(1), "Ascent steps of one M-step"}, ...);
//     }();
//
// It has all members in their order; it does not compile where one is missing.
#pragma once

#include "host/check.hpp"
#include "host/names.hpp"

#include <fmt/format.h>
#include <optional>
#include <string>
#include <string_view>
#include <tuple>
#include <type_traits>
#include <utility>
#include <vector>

namespace elbo {

/// How a number is shown to people, such as "{:.6f} nats per sample".
struct shown {
    std::string_view format;
};

template <class S, class M>
struct field {
    std::string_view name;
    M S::*member;
    rule allowed = {};          ///< for numbers, also those in an optional or a list
    std::string_view help = {}; ///< options: a sentence for the help; results: what it is called ("log-likelihood")
    std::string_view format = {};
    bool decides = true;   ///< whether the numbers of a run depend on it: a run goes on under the same ones only
    bool is_later = false; ///< files of older versions do not have it

    constexpr field(std::string_view n, M S::*m, const rule& r = {}, std::string_view h = {})
        : name(n), member(m), allowed(r), help(h) {}
    constexpr field(std::string_view n, M S::*m, std::string_view h) : name(n), member(m), help(h) {}
    constexpr field(std::string_view n, M S::*m, const shown& s, std::string_view h)
        : name(n), member(m), help(h), format(s.format) {}

    /// The same for a member that may differ when a run goes on from a checkpoint.
    constexpr field free() const {
        field result = *this;
        result.decides = false;
        return result;
    }
    /// The same for a member that older versions did not have: files have it where it is not what it is by default.
    constexpr field later() const {
        field result = *this;
        result.is_later = true;
        return result;
    }
};

/// The table of a struct. Specialised where it has one.
template <class S>
inline constexpr std::nullptr_t fields = nullptr;

template <class S>
concept with_fields = !std::same_as<decltype(fields<S>), const std::nullptr_t>;

template <class S, class... M>
consteval std::tuple<field<S, M>...> table(const field<S, M>&... members) {
    static_assert(
        requires(M... m) { S{m...}; }, "the fields are not the members in their order");
    static_assert(
        !requires(M... m) {
            S{m..., {}};
        },
        "a member has no field");
    return {members...};
}

/// Calls visit(field) for every field of S.
template <with_fields S, class Visit>
constexpr void for_each_field(Visit&& visit) {
    std::apply([&](const auto&... f) { (visit(f), ...); }, fields<S>);
}

/// The field of a member: field_of<&fit_options::restarts>().help.
template <class S, class M>
constexpr const field<S, M>& field_of(M S::*member) {
    const field<S, M>* found = nullptr;
    for_each_field<S>([&](const auto& f) {
        if constexpr (std::same_as<decltype(f.member), M S::*>)
            if (f.member == member)
                found = &f;
    });
    return *found;
}

template <class T>
inline constexpr bool is_optional = false;
template <class T>
inline constexpr bool is_optional<std::optional<T>> = true;
template <class T>
inline constexpr bool is_list = false;
template <class T>
inline constexpr bool is_list<std::vector<T>> = true;

template <with_fields S>
void check_fields(const S& s, std::string_view prefix = {});

/// Throws invalid_argument where the rule of the field does not allow a value, or that of a field inside of it.
template <class T>
void check_value(const std::string& name, const T& value, const rule& allowed) {
    if constexpr (is_optional<T>) {
        if (value)
            check_value(name, *value, allowed);
    } else if constexpr (is_list<T>) {
        if constexpr (std::is_arithmetic_v<typename T::value_type>)
            for (std::size_t i = 0; i < value.size(); ++i)
                if (!allowed.allows(static_cast<double>(value[i])))
                    check_value(fmt::format("{}[{}]", name, i), value[i], allowed);
    } else if constexpr (with_fields<T>) {
        check_fields(value, name + ".");
    } else if constexpr (std::floating_point<T>) {
        expects(name, static_cast<double>(value), allowed);
    } else if constexpr (std::signed_integral<T>) {
        expects(name, static_cast<std::int64_t>(value), allowed);
    }
}

/// The same for every field of a struct, whose names begin with `prefix`.
template <with_fields S>
void check_fields(const S& s, std::string_view prefix) {
    for_each_field<S>(
        [&](const auto& f) { check_value(std::string(prefix) + std::string(f.name), s.*f.member, f.allowed); });
}

/// The same for one member of a struct of options.
template <class S, class M>
void check_field(const S& s, M S::*member) {
    const auto& f = field_of(member);
    check_value(std::string(f.name), s.*member, f.allowed);
}

/// Copies the members of `from` to those of `to` that have the same name and type.
template <with_fields From, with_fields To>
void copy_fields(const From& from, To& to) {
    for_each_field<From>([&](const auto& a) {
        for_each_field<To>([&](const auto& b) {
            if constexpr (std::same_as<decltype(from.*a.member), decltype(std::as_const(to).*b.member)>)
                if (a.name == b.name)
                    to.*b.member = from.*a.member;
        });
    });
}

} // namespace elbo
