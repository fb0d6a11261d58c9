#include "host/cli/core/text_table.hpp"

#include <algorithm>
#include <cmath>
#include <fmt/format.h>

namespace elbo::cli {

namespace {

// Characters of UTF-8 text: all bytes but continuation bytes.
std::size_t width(const std::string& text) {
    return std::count_if(text.begin(), text.end(), [](char c) { return (c & 0xc0) != 0x80; });
}

} // namespace

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

std::string text_list(const std::vector<std::pair<std::string, std::string>>& entries) {
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
