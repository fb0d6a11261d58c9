// The state of a fit as arrays of numbers by name: what a checkpoint keeps and a fit goes on from. One description of a
// state, a template describe(State& s), serves both directions:
//
//     s.list("means", means_);                          on the way back of the size that it has, or of one given
//     s.list_or_none("proposal", proposal_, size);      or empty
//     s.numbers("position", restart_, iteration_);
//     s.records("trace", trace_);                       structs with a table of fields; NaN: an empty optional
//     s.table("events", events_, &event::iteration, &event::what);
//
// Whole numbers below 2^53 and names of enumerations are numbers too.
#pragma once

#include "host/fields.hpp"
#include "host/io/errors.hpp"

#include <cmath>
#include <cstdint>
#include <fmt/format.h>
#include <limits>
#include <map>
#include <string>
#include <type_traits>
#include <vector>

namespace elbo::io {

using fit_arrays = std::map<std::string, std::vector<double>>;

class state_writer {
public:
    static constexpr bool reads = false;

    state_writer(fit_arrays& to, std::string prefix) : to_(to), prefix_(std::move(prefix)) {}

    template <class T>
    void list(const std::string& name, const std::vector<T>& values, std::size_t = 0) {
        put(name).assign(values.begin(), values.end());
    }
    template <class T>
    void list_or_none(const std::string& name, const std::vector<T>& values, std::size_t) {
        list(name, values);
    }
    template <class... T>
    void numbers(const std::string& name, const T&... values) {
        put(name) = {number(values)...};
    }
    template <with_fields S>
    void records(const std::string& name, const std::vector<S>& all) {
        std::vector<double>& row = put(name);
        for (const S& s : all)
            for_each_field<S>([&](const auto& f) { row.push_back(number(s.*f.member)); });
    }
    template <class S, class... M>
    void table(const std::string& name, const std::vector<S>& all, M S::*... members) {
        std::vector<double>& row = put(name);
        for (const S& s : all)
            (row.push_back(number(s.*members)), ...);
    }

private:
    template <class T>
    static double number(const T& value) {
        if constexpr (is_optional<T>)
            return value ? number(*value) : std::numeric_limits<double>::quiet_NaN();
        else
            return static_cast<double>(value);
    }
    std::vector<double>& put(const std::string& name) { return to_[prefix_ + name]; }

    fit_arrays& to_;
    std::string prefix_;
};

/// Throws file_error that names the array and what was expected.
class state_reader {
public:
    static constexpr bool reads = true;

    state_reader(const fit_arrays& from, std::string prefix, std::string path)
        : from_(from), prefix_(std::move(prefix)), path_(std::move(path)) {}

    template <class T>
    void list(const std::string& name, std::vector<T>& values) const {
        const std::vector<double>& stored = get(name);
        require(name, stored.size() == values.size(), values.size());
        for (std::size_t i = 0; i < values.size(); ++i)
            values[i] = number<T>(name, stored[i]);
    }
    template <class T>
    void list(const std::string& name, std::vector<T>& values, std::size_t size) const {
        values.resize(size);
        list(name, values);
    }
    template <class T>
    void list_or_none(const std::string& name, std::vector<T>& values, std::size_t size) const {
        list(name, values, get(name).empty() ? 0 : size);
    }
    template <class... T>
    void numbers(const std::string& name, T&... values) const {
        const std::vector<double>& stored = get(name);
        require(name, stored.size() == sizeof...(T), sizeof...(T));
        auto at = stored.begin();
        ((values = number<T>(name, *at++)), ...);
    }
    template <with_fields S>
    void records(const std::string& name, std::vector<S>& all) const {
        std::size_t columns = 0;
        for_each_field<S>([&](const auto&) { ++columns; });
        rows(name, columns, all, [&](S& s, const double*& at) {
            for_each_field<S>([&](const auto& f) { assign(name, s.*f.member, *at++); });
        });
    }
    template <class S, class... M>
    void table(const std::string& name, std::vector<S>& all, M S::*... members) const {
        rows(name, sizeof...(M), all, [&](S& s, const double*& at) { (assign(name, s.*members, *at++), ...); });
    }
    /// For what only the model knows to be wrong.
    void require(const std::string& name, bool ok, std::size_t expected) const {
        if (!ok)
            fail(path_, fmt::format("{}{}: {} numbers that do not fit, expected {}", prefix_, name, get(name).size(),
                                    expected));
    }

private:
    const std::vector<double>& get(const std::string& name) const {
        const auto found = from_.find(prefix_ + name);
        if (found == from_.end())
            fail(path_, fmt::format("expected the tensor '{}{}'", prefix_, name));
        return found->second;
    }
    template <class S, class Take>
    void rows(const std::string& name, std::size_t columns, std::vector<S>& all, const Take& take) const {
        const std::vector<double>& stored = get(name);
        require(name, stored.size() % columns == 0, columns);
        all.assign(stored.size() / columns, S{});
        const double* at = stored.data();
        for (S& s : all)
            take(s, at);
    }
    template <class T>
    void assign(const std::string& name, T& to, double value) const {
        to = number<T>(name, value);
    }
    template <class T>
    T number(const std::string& name, double value) const {
        if constexpr (std::is_floating_point_v<T>) {
            return static_cast<T>(value);
        } else if constexpr (is_optional<T>) {
            return value == value ? T(number<typename T::value_type>(name, value)) : T();
        } else {
            double most = 0x1p53;
            if constexpr (std::is_same_v<T, bool>)
                most = 1;
            else if constexpr (named<T>)
                most = static_cast<double>(names<T>.of_values.size()) - 1;
            else if constexpr (sizeof(T) < 8)
                most = static_cast<double>(std::numeric_limits<T>::max());
            if (!(value == std::trunc(value) && std::abs(value) <= most && (value >= 0 || std::is_signed_v<T>)))
                fail(path_,
                     fmt::format("{}{}: {} in it, expected a whole number of at most {}", prefix_, name, value, most));
            return static_cast<T>(value);
        }
    }

    const fit_arrays& from_;
    std::string prefix_, path_;
};

} // namespace elbo::io
