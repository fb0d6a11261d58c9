// What a command found: for programs (--json) and for people (standard output, --report) alike.
#pragma once

#include "host/fields.hpp"
#include "host/io/model/fields_json.hpp"

#include "elbo/context.hpp"
#include "elbo/data_source.hpp"

#include <cstdint>
#include <fmt/format.h>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace elbo::cli {

using io::json;
/// Names and values for people.
using fact_list = std::vector<std::pair<std::string, std::string>>;

/// Entries in their order, each for programs, for people, or for both.
struct findings {
    json summary = json::object();
    fact_list facts;

    /// Begins with "command" and "version".
    explicit findings(const std::string& command_line);
    /// The same with "device".
    findings(const std::string& command_line, const context& ctx);

    /// For programs.
    void add(std::string_view key, json value);
    /// For people.
    void tell(std::string name, std::string text);
    /// For both; `format` is that of the text.
    void add(std::string_view key, std::string name, double value, const char* format);
    void add(std::string_view key, std::string name, std::int64_t value);

    /// Members of a result, as their fields say (host/fields.hpp): for programs, and for people where there is a
    /// format.
    template <with_fields S, class... M>
    void add(const S& result, M S::*... members) {
        (add_field(result, field_of(members)), ...);
    }
    /// For people alone.
    template <with_fields S>
    void tell(const S& result, double S::*member) {
        const auto& f = field_of(member);
        tell(std::string(f.help), fmt::format(fmt::runtime(f.format), result.*member));
    }

private:
    template <class S, class M>
    void add_field(const S& result, const field<S, M>& f) {
        add(f.name, io::json_of(result.*f.member));
        if constexpr (std::same_as<M, double>)
            if (!f.format.empty())
                tell(result, f.member);
    }
};

/// Numbers nested as `shape` says; null in place of more than 10,000.
json array_or_null(std::span<const double> values, std::span<const std::int64_t> shape);

/// What the data is called in a title.
std::string file_name(const data_source& data);

/// "2 components", "1 component".
std::string plural(std::int64_t count, std::string_view noun);

/// Rows of cells, aligned to the right, two blanks between columns; the first row is the head.
std::string text_table(const std::vector<std::vector<std::string>>& rows);

/// "name   value" lines, aligned to the left.
std::string text_list(const fact_list& entries);

/// Seconds for people: "12.3 µs", "250 ms", "4.71 s", "12 min 5 s", "3 h 10 min".
std::string duration_text(double seconds);

} // namespace elbo::cli
