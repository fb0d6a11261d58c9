#include "host/io/json_text.hpp"

#include "host/io/byte_stream.hpp"
#include "host/io/errors.hpp"

#include <fmt/format.h>

#include <set>
#include <vector>

namespace elbo::io {

using nlohmann::json;

json parse_json(std::string_view text, const std::string& path, std::uint64_t offset) {
    std::vector<std::set<std::string>> keys; // of the objects that are open
    const auto check_keys = [&](int, json::parse_event_t event, json& value) {
        if (event == json::parse_event_t::object_start)
            keys.emplace_back();
        if (event == json::parse_event_t::object_end)
            keys.pop_back();
        if (event == json::parse_event_t::key && !keys.back().insert(value.get<std::string>()).second)
            fail_at_byte(path, offset, fmt::format("the key {} occurs twice", in_quotes(value.get<std::string>())));
        return true;
    };
    try {
        return json::parse(text.begin(), text.end(), check_keys);
    } catch (const json::parse_error& e) {
        const std::uint64_t at = e.byte > 0 ? e.byte - 1 : 0; // the library counts from 1
        fail_at_byte(path, offset + at,
                     at >= text.size() ? "the JSON text ends here, expected more"
                                       : fmt::format("malformed JSON: {}", in_quotes(text.substr(at, 20))));
    } catch (const json::exception& e) { // a number beyond the range of float64
        fail_at_byte(path, offset, fmt::format("malformed JSON: {}", e.what()));
    }
}

std::string json_text(const json& value) {
    return value.dump(-1, ' ', false, json::error_handler_t::replace);
}

// Lists are not printed: one that is nested deeply enough would exhaust the stack.
std::string describe(const json& value) {
    return value.is_structured() ? (value.is_array() ? "a list" : "an object") : in_quotes(json_text(value));
}

std::string read_text(const std::string& path) {
    const std::unique_ptr<byte_stream> stream = open_file_stream(path);
    std::string text;
    std::vector<char> block(std::size_t{1} << 16);
    while (const std::size_t got = stream->read(block.data(), block.size()))
        text.append(block.data(), got);
    return text;
}

} // namespace elbo::io
