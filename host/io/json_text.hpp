// JSON from files: every fault is a file_error with its byte offset.
#pragma once

#include <nlohmann/json.hpp>

#include <cstdint>
#include <string>
#include <string_view>

namespace elbo::io {

/// Parses `text`, which lies at byte `offset` of the file `path`. Objects with the same key twice are refused.
/// Throws file_error.
nlohmann::json parse_json(std::string_view text, const std::string& path, std::uint64_t offset = 0);

/// The text of a value on one line; bytes that are not UTF-8 become the replacement character.
std::string json_text(const nlohmann::json& value);

/// A value for a message: numbers and strings as they stand, lists and objects by name.
std::string describe(const nlohmann::json& value);

/// A whole file as text. Throws file_error (missing, unreadable).
std::string read_text(const std::string& path);

} // namespace elbo::io
