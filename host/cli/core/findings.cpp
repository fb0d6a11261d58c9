#include "host/cli/core/findings.hpp"

#include "elbo/version.hpp"

#include <algorithm>
#include <cmath>
#include <filesystem>

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

// Characters of UTF-8 text: all bytes but continuation bytes.
std::size_t width(const std::string& text) {
    return std::count_if(text.begin(), text.end(), [](char c) { return (c & 0xc0) != 0x80; });
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

std::string text_table(const std::vector<std::vector<std::string>>& rows) {
    std::vector<std::size_t> widths;
    for (const auto& row : rows) {
        widths.resize(std::max(widths.size(), row.size()));
        for (std::size_t j = 0; j < row.size(); ++j)
            widths[j] = std::max(widths[j], width(row[j]));
    }
    std::string out;
    for (const auto& row : rows) {
        for (std::size_t j = 0; j < row.size(); ++j)
            out += std::string(2 + widths[j] - width(row[j]), ' ') + row[j];
        out += '\n';
    }
    return out;
}

std::string text_list(const fact_list& entries) {
    std::size_t widest = 0;
    for (const auto& [name, value] : entries)
        widest = std::max(widest, width(name));
    std::string out;
    for (const auto& [name, value] : entries)
        out += "  " + name + std::string(widest - width(name) + 3, ' ') + value + '\n';
    return out;
}

std::string duration_text(double seconds) {
    if (seconds > 0 && seconds < 1e-3)
        return fmt::format("{:.3g} µs", seconds * 1e6);
    if (seconds > 0 && seconds < 1)
        return fmt::format("{:.3g} ms", seconds * 1e3);
    if (seconds < 60)
        return fmt::format("{:.3g} s", seconds);
    const auto whole = static_cast<long long>(std::llround(seconds));
    return whole < 3600 ? fmt::format("{} min {} s", whole / 60, whole % 60)
                        : fmt::format("{} h {} min", whole / 3600, whole % 3600 / 60);
}

} // namespace elbo::cli
