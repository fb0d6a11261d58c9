#include "host/io/model/json.hpp"

#include "host/io/errors.hpp"
#include "host/io/input_file.hpp"

#include <fmt/format.h>
#include <set>
#include <vector>

namespace elbo::io {

namespace {

/// What the library calls as it reads: puts the value together. The library's own way would look for each new key among
/// all before it.
class builder final : public nlohmann::json_sax<json> {
public:
    builder(std::string_view text, const std::string& path, std::uint64_t offset)
        : text_(text), path_(path), offset_(offset) {}

    json take() { return std::move(root_); }

    bool null() override { return add(nullptr); }
    bool boolean(bool value) override { return add(value); }
    bool number_integer(std::int64_t value) override { return add(value); }
    bool number_unsigned(std::uint64_t value) override { return add(value); }
    bool number_float(double value, const std::string&) override { return add(value); }
    bool string(std::string& value) override { return add(std::move(value)); }
    bool binary(json::binary_t&) override { return false; } // not in text
    bool start_array(std::size_t) override { return add(json::array(), true); }
    bool end_array() override { return open_.pop_back(), true; }
    bool start_object(std::size_t) override {
        keys_.emplace_back();
        return add(json::object(), true);
    }
    bool end_object() override { return open_.pop_back(), keys_.pop_back(), true; }
    bool key(std::string& name) override {
        if (!keys_.back().insert(name).second)
            fail_at_byte(path_, offset_, fmt::format("the key {} occurs twice", in_quotes(name)));
        open_.back()->get_ref<json::object_t&>().emplace_back(std::move(name), nullptr);
        return true;
    }
    bool parse_error(std::size_t position, const std::string&, const json::exception& e) override {
        if (!dynamic_cast<const json::parse_error*>(&e)) // a number beyond the range of float64
            fail_at_byte(path_, offset_, fmt::format("malformed JSON: {}", e.what()));
        const std::uint64_t at = position > 0 ? position - 1 : 0; // the library counts from 1
        fail_at_byte(path_, offset_ + at,
                     at >= text_.size() ? "the JSON text ends here, expected more"
                                        : fmt::format("malformed JSON: {}", in_quotes(text_.substr(at, 20))));
    }

private:
    bool add(json value, bool opens = false) {
        json* place = &root_;
        if (!open_.empty() && open_.back()->is_object())
            place = &open_.back()->get_ref<json::object_t&>().back().second;
        else if (!open_.empty())
            place = &open_.back()->emplace_back();
        *place = std::move(value);
        if (opens)
            open_.push_back(place);
        return true;
    }

    std::string_view text_;
    const std::string& path_;
    std::uint64_t offset_;
    json root_;
    std::vector<json*> open_;                 ///< lists and objects, each the last part of the one before
    std::vector<std::set<std::string>> keys_; ///< of the objects that are open
};

} // namespace

json parse_json(std::string_view text, const std::string& path, std::uint64_t offset) {
    builder made(text, path, offset);
    json::sax_parse(text.begin(), text.end(), &made);
    return made.take();
}

std::string json_text(const json& value, key_order order) {
    const auto print = [](const auto& v) { return v.dump(-1, ' ', false, json::error_handler_t::replace); };
    return order == key_order::as_added ? print(value) : print(nlohmann::json(value));
}

// Lists are not printed: one that is nested deeply enough would exhaust the stack.
std::string in_message(const json& value) {
    if (value.is_structured())
        return value.is_array() ? "a list" : "an object";
    return in_quotes(json_text(value));
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
