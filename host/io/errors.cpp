#include "host/io/errors.hpp"

#include <fmt/format.h>

#include <system_error>

namespace elbo::io {

void fail(const std::string& path, std::string_view message) {
    throw file_error(fmt::format("{}: {}", path, message));
}

void fail_at_byte(const std::string& path, std::uint64_t offset, std::string_view message) {
    throw file_error(fmt::format("{}: byte {}: {}", path, offset, message));
}

void fail_at_line(const std::string& path, std::int64_t line, std::string_view message) {
    throw file_error(fmt::format("{}: line {}: {}", path, line, message));
}

void fail_system(const std::string& path, std::string_view action, int error_number) {
    throw file_error(fmt::format("{}: cannot {}: {}", path, action, std::generic_category().message(error_number)));
}

std::string in_quotes(std::string_view text) {
    constexpr std::size_t longest = 40;
    std::string out = "'";
    for (const char c : text.substr(0, longest)) {
        const auto byte = static_cast<unsigned char>(c);
        if (byte < 0x20 || byte == 0x7f)
            out += fmt::format("\\x{:02x}", byte);
        else
            out += c;
    }
    return out + (text.size() > longest ? "...'" : "'");
}

} // namespace elbo::io
