// JSON in memory and in files: every fault of a file is a file_error with its byte offset.
#pragma once

#include <cstdint>
#include <nlohmann/json.hpp>
#include <string>
#include <string_view>

namespace elbo::io {

/// The members of an object are in the order in which they were added.
using json = nlohmann::ordered_json;

/// Parses `text`, which lies at byte `offset` of the file `path`. Objects with the same key twice are refused. Throws
/// file_error.
json parse_json(std::string_view text, const std::string& path, std::uint64_t offset = 0);

enum class key_order { alphabetical, as_added };
/// The text of a value on one line; bytes that are not UTF-8 become the replacement character.
std::string json_text(const json& value, key_order order = key_order::alphabetical);

/// A value for a message: numbers and strings as they stand, lists and objects by name.
std::string in_message(const json& value);

/// A whole file as text. Throws file_error (missing, unreadable).
std::string read_text(const std::string& path);

} // namespace elbo::io
