#include "host/io/model/model_file.hpp"

#include "host/io/byte_stream.hpp"
#include "host/io/format.hpp"
#include "host/io/input_file.hpp"

#include <charconv>
#include <fmt/format.h>
#include <optional>

namespace elbo::io {

namespace {

std::optional<model_file_kind> kind_of(const std::string& path) {
    if (has_ending(path, ".safetensors"))
        return model_file_kind::safetensors;
    if (has_ending(path, ".json"))
        return model_file_kind::json;
    return std::nullopt;
}

// Takes nested lists of these extents apart.
void flatten(const json& value, const std::vector<std::int64_t>& shape, std::size_t level, const std::string& key,
             const std::string& path, std::vector<double>& out) {
    if (level == shape.size()) {
        if (!value.is_number())
            fail(path, fmt::format("{}: expected a number, found {}", key, describe(value)));
        out.push_back(value.as_double());
        return;
    }
    if (!value.is_array() || static_cast<std::int64_t>(value.size()) != shape[level])
        fail(path, fmt::format("{}: expected a list of {} entries, found {}", key, shape[level],
                               value.is_array() ? std::to_string(value.size()) : describe(value)));
    for (std::size_t i = 0; i < value.size(); ++i)
        flatten(value[i], shape, level + 1, fmt::format("{}[{}]", key, i), path, out);
}

std::string write_lists(const double*& values, const std::vector<std::int64_t>& shape, std::size_t level) {
    if (level + 1 == shape.size()) {
        const json row(std::vector<double>(values, values + shape[level]));
        values += shape[level];
        return json_text(row);
    }
    std::string text = "[";
    for (std::int64_t i = 0; i < shape[level]; ++i)
        text += (i > 0 ? ",\n    " : "\n    ") + write_lists(values, shape, level + 1);
    return text + "]";
}

} // namespace

model_file_kind kind_to_save(const std::string& path) {
    if (const auto kind = kind_of(path))
        return *kind;
    throw invalid_argument(
        fmt::format("'{}': expected a name that ends in .safetensors or .json to save a model", path));
}

model_file_kind kind_to_load(const std::string& path) {
    if (const auto kind = kind_of(path))
        return *kind;
    fail(path, fmt::format("expected a model that ends in .safetensors or .json; this looks like {}",
                           looks_like(first_bytes(path, 64))));
}

void check_format(const model_format& expected, const std::string& format, std::int64_t version,
                  const std::string& path) {
    if (format != expected.name)
        fail(path, fmt::format("format = {}, expected '{}': is this {} saved by elbo?", in_quotes(format),
                               expected.name, expected.what));
    if (version != expected.version)
        fail(path,
             fmt::format("version = {}, expected {}: a newer elbo may have written it", version, expected.version));
}

void check_format(const model_format& expected, const tensor_file& file, const std::string& path) {
    check_format(expected, metadata_text(file, "format", path), metadata_number(file, "version", path), path);
}

void check_format(const model_format& expected, const json& object, const std::string& path) {
    check_format(expected, text(object, "format", path), whole_number(object, "version", path), path);
}

std::string metadata_text(const tensor_file& file, const char* key, const std::string& path) {
    const auto found = file.metadata.find(key);
    if (found == file.metadata.end())
        fail(path, fmt::format("__metadata__: expected the key '{}'", key));
    return found->second;
}

std::int64_t metadata_number(const tensor_file& file, const char* key, const std::string& path) {
    const std::string value = metadata_text(file, key, path);
    std::int64_t result = 0;
    const auto [rest, status] = std::from_chars(value.data(), value.data() + value.size(), result);
    if (status != std::errc() || rest != value.data() + value.size())
        fail(path, fmt::format("__metadata__: {} = {}, expected a whole number", key, in_quotes(value)));
    return result;
}

json read_json_object(const std::string& path) {
    const std::string contents = read_text(path);
    if (const std::string kind = looks_like(std::string_view(contents).substr(0, 64));
        !contents.starts_with('{') && kind != "text")
        fail_at_byte(path, 0, fmt::format("expected a JSON object, but this looks like {}", kind));
    json object = parse_json(contents, path);
    if (!object.is_object())
        fail_at_byte(path, 0, "expected a JSON object");
    return object;
}

const json& member(const json& object, const char* key, const std::string& path) {
    const json* found = object.find(key);
    if (!found)
        fail(path, fmt::format("expected the key '{}'", key));
    return *found;
}

std::int64_t whole_number(const json& object, const char* key, const std::string& path) {
    const json& value = member(object, key, path);
    if (!value.is_int64())
        fail(path, fmt::format("{} = {}, expected a whole number", key, describe(value)));
    return value.as_int64();
}

double number(const json& object, const char* key, const std::string& path) {
    const json& value = member(object, key, path);
    if (!value.is_number())
        fail(path, fmt::format("{} = {}, expected a number", key, describe(value)));
    return value.as_double();
}

std::string text(const json& object, const char* key, const std::string& path) {
    const json& value = member(object, key, path);
    if (!value.is_string())
        fail(path, fmt::format("{} = {}, expected a string", key, describe(value)));
    return value.as_string();
}

std::vector<double> numbers(const json& object, const char* key, const std::vector<std::int64_t>& shape,
                            const std::string& path) {
    std::vector<double> out;
    flatten(member(object, key, path), shape, 0, key, path, out);
    return out;
}

std::string nested_lists(const double* values, const std::vector<std::int64_t>& shape) {
    return write_lists(values, shape, 0);
}

} // namespace elbo::io
