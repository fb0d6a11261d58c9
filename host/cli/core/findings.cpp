#include "host/cli/core/findings.hpp"

#include "elbo/version.hpp"

#include <filesystem>
#include <fmt/format.h>

namespace elbo::cli {

namespace {

constexpr std::size_t largest_json_array = 10000;

json nested(std::span<const double> values, std::span<const std::int64_t> shape) {
    if (shape.size() <= 1)
        return std::vector<double>(values.begin(), values.end());
    json array = json::array();
    const std::size_t part = values.size() / static_cast<std::size_t>(shape[0]);
    for (std::int64_t i = 0; i < shape[0]; ++i)
        array.push_back(nested(values.subspan(i * part, part), shape.subspan(1)));
    return array;
}

} // namespace

findings::findings(const std::string& command_line) : summary{{"command", command_line}, {"version", version}} {}

findings::findings(const std::string& command_line, const context& ctx) : findings(command_line) {
    add("device", ctx.name());
}

void findings::add(std::string_view key, json value) {
    summary[key] = std::move(value);
}

void findings::tell(std::string name, std::string text) {
    facts.emplace_back(std::move(name), std::move(text));
}

void findings::add(std::string_view key, std::string name, double value, const char* format) {
    add(key, value);
    tell(std::move(name), fmt::format(fmt::runtime(format), value));
}

void findings::add(std::string_view key, std::string name, std::int64_t value) {
    add(key, value);
    tell(std::move(name), std::to_string(value));
}

json array_or_null(std::span<const double> values, std::span<const std::int64_t> shape) {
    return values.size() <= largest_json_array ? nested(values, shape) : json(nullptr);
}

std::string file_name(const data_source& data) {
    return std::filesystem::path(data.description()).filename().string();
}

std::string plural(std::int64_t count, std::string_view noun) {
    return fmt::format("{} {}{}", count, noun, count == 1 ? "" : "s");
}

} // namespace elbo::cli
