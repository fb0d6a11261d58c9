// Messages of the readers and writers: every one names the file, and the line or byte where it stopped.
#pragma once

#include "elbo/error.hpp"

#include <cstdint>
#include <string>
#include <string_view>

namespace elbo::io {

/// Throws file_error "path: message".
[[noreturn]] void fail(const std::string& path, std::string_view message);
/// Throws file_error "path: byte 128: message".
[[noreturn]] void fail_at_byte(const std::string& path, std::uint64_t offset, std::string_view message);
/// Throws file_error "path: line 12: message".
[[noreturn]] void fail_at_line(const std::string& path, std::int64_t line, std::string_view message);
/// Throws file_error "path: cannot ACTION: the system's text for this errno".
[[noreturn]] void fail_system(const std::string& path, std::string_view action, int error_number);

/// Text that came from a file, made fit for a message: control characters escaped, at most 40 characters.
std::string in_quotes(std::string_view text);

} // namespace elbo::io
