#include "host/io/model/model_archive.hpp"

#include "host/check.hpp"
#include "host/io/format.hpp"
#include "host/io/input_file.hpp"
#include "host/io/write/atomic_file.hpp"
#include "host/joined.hpp"

#include <algorithm>
#include <charconv>
#include <fmt/format.h>

namespace elbo::io {

namespace {

std::optional<model_file_kind> kind_of(const std::string& path) {
    if (has_ending(path, ".safetensors"))
        return model_file_kind::safetensors;
    if (has_ending(path, ".json"))
        return model_file_kind::json;
    return std::nullopt;
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

std::string metadata_text(const tensor_file& file, std::string_view key, const std::string& path) {
    const auto found = file.metadata.find(std::string(key));
    if (found == file.metadata.end())
        fail(path, fmt::format("__metadata__: expected the key '{}'", key));
    return found->second;
}

std::int64_t metadata_number(const tensor_file& file, std::string_view key, const std::string& path) {
    const std::string value = metadata_text(file, key, path);
    std::int64_t result = 0;
    const auto [rest, status] = std::from_chars(value.data(), value.data() + value.size(), result);
    if (status != std::errc() || rest != value.data() + value.size())
        fail(path, fmt::format("__metadata__: {} = {}, expected a whole number", key, in_quotes(value)));
    return result;
}

const json& member_of(const json& object, const std::string& key, const std::string& path) {
    if (!object.contains(key))
        fail(path, fmt::format("expected the key '{}'", key));
    return object.at(key);
}

/// Whether a value is a T, which get() does not ask.
template <class T>
bool fits(const json& value) {
    if constexpr (std::same_as<T, std::string>)
        return value.is_string();
    else if constexpr (std::same_as<T, bool>)
        return value.is_boolean();
    else if constexpr (std::same_as<T, double>)
        return value.is_number();
    else
        return value.is_number_integer() && (!value.is_number_unsigned() || value.get<std::uint64_t>() <= INT64_MAX);
}

template <class T>
constexpr const char* expected_one = std::same_as<T, std::string> ? "a string"
                                     : std::same_as<T, double>    ? "a number"
                                                                  : "a whole number";
template <class T>
constexpr const char* expected_list = std::same_as<T, std::string> ? "strings"
                                      : std::same_as<T, double>    ? "numbers"
                                                                   : "whole numbers";

template <class T>
T scalar_of(const json& value, std::string_view key, const std::string& path) {
    if (!fits<T>(value))
        fail(path, std::same_as<T, bool>
                       ? fmt::format("{}: expected true or false, found {}", key, in_message(value))
                       : fmt::format("{} = {}, expected {}", key, in_message(value), expected_one<T>));
    return value.get<T>();
}

template <class T>
std::vector<T> list_of(const json& list, std::string_view key, const std::string& path) {
    if (!list.is_array())
        fail(path, fmt::format("{}: expected a list of {}, found {}", key, expected_list<T>, in_message(list)));
    const auto wrong = std::find_if_not(list.begin(), list.end(), fits<T>);
    if (wrong != list.end())
        fail(path, fmt::format("{}: expected a list of {}, found {} in it", key, expected_list<T>, in_message(*wrong)));
    return list.get<std::vector<T>>();
}

/// Takes nested lists of these extents apart.
template <class T>
void flatten(const json& value, const extents& shape, std::size_t level, const std::string& key,
             const std::string& path, std::vector<T>& out) {
    if (level == shape.size()) {
        if (!fits<T>(value))
            fail(path, fmt::format("{}: expected a number, found {}", key, in_message(value)));
        out.push_back(value.get<T>());
        return;
    }
    if (!value.is_array() || (shape[level] != -1 && static_cast<std::int64_t>(value.size()) != shape[level]))
        fail(path, fmt::format("{}: expected a list of {} entries, found {}", key, shape[level],
                               value.is_array() ? std::to_string(value.size()) : in_message(value)));
    for (std::size_t i = 0; i < value.size(); ++i)
        flatten(value[i], shape, level + 1, fmt::format("{}[{}]", key, i), path, out);
}

/// Nested lists as text, one line for each row, so that a matrix looks like one.
template <class T>
std::string nested_lists(const T*& values, const extents& shape, std::size_t level = 0) {
    if (level + 1 == shape.size()) {
        const json row(std::vector<T>(values, values + shape[level]));
        values += shape[level];
        return json_text(row);
    }
    std::string text = "[";
    for (std::int64_t i = 0; i < shape[level]; ++i)
        text += (i > 0 ? ",\n    " : "\n    ") + nested_lists(values, shape, level + 1);
    return text + "]";
}

/// The extents with what -1 stands for among `count` numbers.
extents filled(const std::string& name, extents shape, std::size_t count) {
    const auto size = static_cast<std::int64_t>(count);
    std::int64_t known = 1;
    for (const std::int64_t extent : shape)
        known *= extent == -1 ? 1 : extent;
    std::replace(shape.begin(), shape.end(), std::int64_t(-1), known > 0 ? size / known : 0);
    std::int64_t all = 1;
    for (const std::int64_t extent : shape)
        all *= extent;
    expects(all == size, [&] {
        return fmt::format("tensor '{}': {} elements do not fill the shape ({})", name, count, joined(shape, ", "));
    });
    return shape;
}

} // namespace

model_file_kind kind_to_save(const std::string& path) {
    if (const auto kind = kind_of(path))
        return *kind;
    throw invalid_argument(
        fmt::format("'{}': expected a name that ends in .safetensors or .json to save a model", path));
}

void require_safetensors(std::string_view name, const std::string& path) {
    expects(kind_to_save(path) == model_file_kind::safetensors,
            [&] { return fmt::format("{} = '{}': expected a name that ends in .safetensors", name, path); });
}

model_file_kind kind_to_load(const std::string& path) {
    if (const auto kind = kind_of(path))
        return *kind;
    fail(path, fmt::format("expected a model that ends in .safetensors or .json; this looks like {}",
                           looks_like(first_bytes(path, 64))));
}

std::string declared_format(const std::string& path) {
    if (kind_to_load(path) == model_file_kind::safetensors)
        return metadata_text(read_safetensors(path), "format", path);
    return scalar_of<std::string>(member_of(read_json_object(path), "format", path), "format", path);
}

// Reading -----------------------------------------------------------------------------------------------------------

member_reader::member_reader(json object, std::string_view key, std::string path) : member_reader(std::move(path)) {
    object_ = std::move(object);
    if (!object_.is_object())
        fail(fmt::format("{}: expected an object, found {}", key, in_message(object_)));
}

json member_reader::find(std::string_view key, form wanted) const {
    if (!tensors_)
        return member_of(object_, std::string(key), path_);
    if (wanted == form::whole)
        return metadata_number(*tensors_, key, path_);
    const std::string text = metadata_text(*tensors_, key, path_);
    return wanted == form::text ? json(text) : parse_json(text, path_);
}

bool member_reader::has(std::string_view key, bool) const {
    const std::string name(key);
    return tensors_ ? tensors_->metadata.contains(name) || tensors_->tensors.contains(name) : object_.contains(key);
}

template <class T>
void member_reader::read(const json& value, std::string_view key, T& out) const {
    if constexpr (is_list<T>)
        out = list_of<typename T::value_type>(value, key, path_);
    else
        out = scalar_of<T>(value, key, path_);
}
template void member_reader::read(const json&, std::string_view, std::int64_t&) const;
template void member_reader::read(const json&, std::string_view, double&) const;
template void member_reader::read(const json&, std::string_view, bool&) const;
template void member_reader::read(const json&, std::string_view, std::string&) const;
template void member_reader::read(const json&, std::string_view, std::vector<std::int64_t>&) const;
template void member_reader::read(const json&, std::string_view, std::vector<double>&) const;
template void member_reader::read(const json&, std::string_view, std::vector<std::string>&) const;

archive_reader::archive_reader(const std::string& path, const model_format& format) : member_reader(path) {
    if (kind_to_load(path) == model_file_kind::safetensors)
        tensors_ = read_safetensors(path);
    else
        object_ = read_json_object(path);
    std::string name;
    std::int64_t version = 0;
    member("format", name);
    if (name != format.name)
        fail(fmt::format("format = {}, expected '{}': is this {} saved by elbo?", in_quotes(name), format.name,
                         format.what));
    member("version", version);
    if (version != format.version)
        fail(fmt::format("version = {}, expected {}: a newer elbo may have written it", version, format.version));
}

void archive_reader::column_names(std::vector<std::string>& names, std::int64_t dimensions) const {
    if (tensors_ || has("column_names")) // those who write .json by hand may leave them out
        member("column_names", names);
    if (!names.empty() && static_cast<std::int64_t>(names.size()) != dimensions)
        fail(fmt::format("{} column_names, expected one for each of the {} dimensions", names.size(), dimensions));
}

template <class T>
void archive_reader::tensor(const std::string& name, const extents& shape, std::vector<T>& values, packing how) const {
    values.clear(); // grows with what is really there: what a file claims does not decide how much memory is taken
    if (!tensors_)
        flatten(member_of(object_, name, path_), shape, 0, name, path_, values);
    else if constexpr (std::same_as<T, double>)
        values = tensors_->doubles(name, shape, path_, how == packing::compact);
    else
        values = tensors_->integers(name, shape, path_);
}
template void archive_reader::tensor(const std::string&, const extents&, std::vector<double>&, packing) const;
template void archive_reader::tensor(const std::string&, const extents&, std::vector<std::int64_t>&, packing) const;

void archive_reader::scalar(const char* name, double& value) const {
    std::vector<double> values;
    tensor(name, {1}, values);
    value = values.front();
}

void archive_reader::bare_scalar(const char* name, double& value) const {
    if (tensors_)
        scalar(name, value);
    else
        member(name, value);
}

void archive_reader::tensors_within(const char* key) {
    if (tensors_)
        return;
    member_of(object_, key, path_); // is there
    member_reader(std::move(object_[key]), key, path_).members(object_);
}

// Writing -----------------------------------------------------------------------------------------------------------

archive_writer::archive_writer(std::string path, const model_format& format)
    : path_(std::move(path)), kind_(kind_to_save(path_)) {
    member("format", format.name);
    member("version", format.version);
}

void archive_writer::column_names(const std::vector<std::string>& names, std::int64_t dimensions) {
    expects(names.empty() || static_cast<std::int64_t>(names.size()) == dimensions, [&] {
        return fmt::format("column_names: {} names, expected none or one for each of the {} dimensions", names.size(),
                           dimensions);
    });
    member("column_names", names);
}

template <class T>
void archive_writer::tensor(const std::string& name, extents shape, const std::vector<T>& values, packing how) {
    shape = filled(name, std::move(shape), values.size());
    if (kind_ == model_file_kind::json) {
        const T* first = values.data();
        lists_.push_back(fmt::format("  \"{}\": {}", name, nested_lists(first, shape)));
        return;
    }
    if constexpr (std::same_as<T, double>)
        if (how == packing::compact) {
            file_.tensors.emplace(name, tensor::compact(std::move(shape), values));
            return;
        }
    file_.tensors.emplace(name, io::tensor::of(std::move(shape), values));
}
template void archive_writer::tensor(const std::string&, extents, const std::vector<double>&, packing);
template void archive_writer::tensor(const std::string&, extents, const std::vector<std::int64_t>&, packing);

void archive_writer::bare_scalar(const char* name, double value) {
    if (kind_ == model_file_kind::json)
        lists_.push_back(fmt::format("  \"{}\": {}", name, value));
    else
        scalar(name, value);
}

void archive_writer::commit() {
    if (kind_ == model_file_kind::safetensors) {
        for (const auto& [key, value] : object_.items())
            file_.metadata.emplace(key, value.is_string() ? value.get<std::string>() : json_text(value));
        return write_safetensors(path_, file_);
    }
    std::vector<std::string> lines;
    for (const auto& [key, value] : object_.items())
        lines.push_back(fmt::format("  \"{}\": {}", key, json_text(value)));
    if (within_.empty())
        lines.insert(lines.end(), lists_.begin(), lists_.end());
    else
        lines.push_back(fmt::format("  \"{}\": {{\n{}\n}}", within_, joined(lists_, ",\n")));
    atomic_file file(path_);
    file.write(fmt::format("{{\n{}{}}}\n", joined(lines, ",\n"), within_.empty() ? "\n" : ""));
    file.commit();
}

} // namespace elbo::io
