// The one source that includes the JSON library.
#include "host/io/model/json_text.hpp"

#include "host/io/byte_stream.hpp"
#include "host/io/errors.hpp"
#include "host/io/input_file.hpp"

#include <algorithm>
#include <fmt/format.h>
#include <nlohmann/json.hpp>
#include <set>
#include <vector>

namespace elbo::io {

namespace {

using library = nlohmann::json;

/// What the library calls as it reads: puts the value together.
class builder final : public nlohmann::json_sax<library> {
public:
    builder(std::string_view text, const std::string& path, std::uint64_t offset)
        : text_(text), path_(path), offset_(offset) {}

    json take() { return std::move(root_); }

    bool null() override { return scalar(nullptr); }
    bool boolean(bool value) override { return scalar(value); }
    bool number_integer(std::int64_t value) override { return scalar(value); }
    bool number_unsigned(std::uint64_t value) override { return scalar(value); }
    bool number_float(double value, const std::string&) override { return scalar(value); }
    bool string(std::string& value) override { return scalar(value); }
    bool binary(library::binary_t&) override { return false; } // not in text
    bool start_array(std::size_t) override {
        open_.push_back(&add(json::array()));
        return true;
    }
    bool end_array() override {
        open_.pop_back();
        return true;
    }
    bool start_object(std::size_t) override {
        open_.push_back(&add(json::object()));
        keys_.emplace_back();
        return true;
    }
    bool key(std::string& name) override {
        if (!keys_.back().insert(name).second)
            fail_at_byte(path_, offset_, fmt::format("the key {} occurs twice", in_quotes(name)));
        open_.back()->items().push_back({name, nullptr});
        return true;
    }
    bool end_object() override {
        auto& members = open_.back()->items();
        std::sort(members.begin(), members.end(),
                  [](const json::member& a, const json::member& b) { return a.key < b.key; });
        open_.pop_back();
        keys_.pop_back();
        return true;
    }
    bool parse_error(std::size_t position, const std::string&, const library::exception& e) override {
        if (!dynamic_cast<const library::parse_error*>(&e)) // a number beyond the range of float64
            fail_at_byte(path_, offset_, fmt::format("malformed JSON: {}", e.what()));
        const std::uint64_t at = position > 0 ? position - 1 : 0; // the library counts from 1
        fail_at_byte(path_, offset_ + at,
                     at >= text_.size() ? "the JSON text ends here, expected more"
                                        : fmt::format("malformed JSON: {}", in_quotes(text_.substr(at, 20))));
    }

private:
    bool scalar(json value) {
        add(std::move(value));
        return true;
    }
    json& add(json value) {
        if (open_.empty())
            return root_ = std::move(value);
        json& parent = *open_.back();
        if (parent.is_object())
            return parent.items().back().value = std::move(value);
        parent.push_back(std::move(value));
        return parent.back();
    }

    std::string_view text_;
    const std::string& path_;
    std::uint64_t offset_;
    json root_;
    std::vector<json*> open_;                 ///< lists and objects, each the last part of the one before
    std::vector<std::set<std::string>> keys_; ///< of the objects that are open
};

std::string scalar_text(const library& value) {
    return value.dump(-1, ' ', false, library::error_handler_t::replace);
}

void print(const json& value, key_order order, std::string& out);

void print_object(const json& value, key_order order, std::string& out) {
    std::vector<const json::member*> members;
    for (const json::member& m : value.items())
        members.push_back(&m);
    if (order == key_order::alphabetical)
        std::sort(members.begin(), members.end(), [](const auto* a, const auto* b) { return a->key < b->key; });
    out += '{';
    for (const json::member* m : members) {
        if (m != members.front())
            out += ',';
        out += scalar_text(m->key);
        out += ':';
        print(m->value, order, out);
    }
    out += '}';
}

void print_list(const json& value, key_order order, std::string& out) {
    out += '[';
    for (const json& entry : value) {
        if (&entry != value.begin())
            out += ',';
        print(entry, order, out);
    }
    out += ']';
}

void print(const json& value, key_order order, std::string& out) {
    switch (value.type()) {
    case json::kind::null:
        out += "null";
        break;
    case json::kind::boolean:
        out += value.as_bool() ? "true" : "false";
        break;
    case json::kind::integer:
        out += std::to_string(value.as_int64());
        break;
    case json::kind::natural:
        out += std::to_string(value.as_uint64());
        break;
    case json::kind::real:
        out += scalar_text(value.as_double());
        break;
    case json::kind::string:
        out += scalar_text(value.as_string());
        break;
    case json::kind::array:
        print_list(value, order, out);
        break;
    case json::kind::object:
        print_object(value, order, out);
        break;
    }
}

} // namespace

json parse_json(std::string_view text, const std::string& path, std::uint64_t offset) {
    builder made(text, path, offset);
    library::sax_parse(text.begin(), text.end(), &made);
    return made.take();
}

std::string json_text(const json& value, key_order order) {
    std::string out;
    print(value, order, out);
    return out;
}

// Lists are not printed: one that is nested deeply enough would exhaust the stack.
std::string describe(const json& value) {
    if (value.is_array() || value.is_object())
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
