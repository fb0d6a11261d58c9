// Mixtures as .safetensors (tensors, description in the metadata) and as .json (for reading by eye).
//
// JSON: {"format": "elbo.gmm", "version": 1, "family", "components": k, "dimensions": d, "column_names": [...],
//        "weights": [k], "means": [k][d], "precision_cholesky": by family, see model.hpp}
// A file written by hand may have "covariances" in place of "precision_cholesky".
#include "host/gmm/model_file.hpp"

#include "elbo/error.hpp"
#include "host/io/atomic_file.hpp"
#include "host/io/byte_stream.hpp"
#include "host/io/errors.hpp"
#include "host/io/format.hpp"
#include "host/io/json_text.hpp"
#include "host/io/memory.hpp"
#include "host/io/safetensors.hpp"

#include <charconv>
#include <fmt/format.h>
#include <optional>

namespace elbo::gmm {
namespace {

using nlohmann::json;

constexpr const char* format_name = "elbo.gmm";
constexpr int format_version = 1;

enum class file_kind { safetensors, json };

std::optional<file_kind> kind_of(const std::string& path) {
    if (io::has_ending(path, ".safetensors"))
        return file_kind::safetensors;
    if (io::has_ending(path, ".json"))
        return file_kind::json;
    return std::nullopt;
}

// Extents of the array of factors or covariances.
std::vector<std::int64_t> covariance_shape(family f, std::int64_t k, std::int64_t d) {
    switch (f) {
    case family::full:
        return {k, d, d};
    case family::tied:
        return {d, d};
    case family::diagonal:
        return {k, d};
    case family::spherical:
        return {k};
    case family::tied_diagonal:
        return {d};
    case family::tied_spherical:
        return {1};
    }
    return {};
}

// What a file says about itself before its numbers.
struct description {
    family shape = family::full;
    std::int64_t components = 0;
    std::int64_t dimensions = 0;
    std::vector<std::string> column_names;
};

void check_description(const description& d, const std::string& path) {
    if (d.components < 1 || d.dimensions < 1)
        io::fail(path,
                 fmt::format("components = {}, dimensions = {}: expected at least 1", d.components, d.dimensions));
    const auto factor = io::checked_product(d.dimensions, d.dimensions);
    if (!factor || !io::checked_product(*factor, d.components) || !io::checked_product(*factor * d.components, 8))
        io::fail(path, fmt::format("components = {}, dimensions = {}: more numbers than an address can reach",
                                   d.components, d.dimensions));
    if (!d.column_names.empty() && static_cast<std::int64_t>(d.column_names.size()) != d.dimensions)
        io::fail(path, fmt::format("{} column_names, expected one for each of the {} dimensions", d.column_names.size(),
                                   d.dimensions));
}

void check_format(const std::string& format, std::int64_t version, const std::string& path) {
    if (format != format_name)
        io::fail(path, fmt::format("format = {}, expected '{}': is this a mixture saved by elbo?",
                                   io::in_quotes(format), format_name));
    if (version != format_version)
        io::fail(path,
                 fmt::format("version = {}, expected {}: a newer elbo may have written it", version, format_version));
}

family read_family(const std::string& name, const std::string& path) {
    try {
        return family_from_string(name);
    } catch (const invalid_argument& e) {
        io::fail(path, e.what());
    }
}

std::vector<std::string> read_names(const json& list, const std::string& path) {
    std::vector<std::string> names;
    if (!list.is_array())
        io::fail(path, "column_names: expected a list of strings");
    for (const json& name : list) {
        if (!name.is_string())
            io::fail(path, "column_names: expected a list of strings");
        names.push_back(name);
    }
    return names;
}

// The rules of model hold for files too, but here the file is at fault.
template <class Make>
model make_model(const std::string& path, Make make) {
    try {
        return make();
    } catch (const invalid_argument& e) {
        io::fail(path, e.what());
    }
}

// .safetensors -----------------------------------------------------------------------------------------------------

void save_safetensors(const model& m, const std::string& path, const std::vector<std::string>& column_names) {
    const std::int64_t k = m.components(), d = m.dimensions();
    io::tensor_file file;
    file.metadata = {{"format", format_name},
                     {"version", std::to_string(format_version)},
                     {"family", std::string(to_string(m.shape()))},
                     {"components", std::to_string(k)},
                     {"dimensions", std::to_string(d)},
                     {"column_names", io::json_text(json(column_names))}};
    file.tensors.emplace("weights", io::tensor::of({k}, m.weights()));
    file.tensors.emplace("means", io::tensor::of({k, d}, m.means()));
    file.tensors.emplace("precision_cholesky",
                         io::tensor::of(covariance_shape(m.shape(), k, d), m.precision_cholesky()));
    io::write_safetensors(path, file);
}

std::string metadata(const io::tensor_file& file, const char* key, const std::string& path) {
    const auto found = file.metadata.find(key);
    if (found == file.metadata.end())
        io::fail(path, fmt::format("__metadata__: expected the key '{}'", key));
    return found->second;
}

std::int64_t whole_number(const io::tensor_file& file, const char* key, const std::string& path) {
    const std::string text = metadata(file, key, path);
    std::int64_t value = 0;
    const auto [rest, status] = std::from_chars(text.data(), text.data() + text.size(), value);
    if (status != std::errc() || rest != text.data() + text.size())
        io::fail(path, fmt::format("__metadata__: {} = {}, expected a whole number", key, io::in_quotes(text)));
    return value;
}

saved_model load_safetensors(const std::string& path) {
    const io::tensor_file file = io::read_safetensors(path);
    check_format(metadata(file, "format", path), whole_number(file, "version", path), path);
    description about;
    about.shape = read_family(metadata(file, "family", path), path);
    about.components = whole_number(file, "components", path);
    about.dimensions = whole_number(file, "dimensions", path);
    about.column_names = read_names(io::parse_json(metadata(file, "column_names", path), path), path);
    check_description(about, path);
    const std::int64_t k = about.components, d = about.dimensions;
    const std::vector<std::int64_t> shape = covariance_shape(about.shape, k, d);
    std::vector<double> weights = file.doubles("weights", {k}, path), means = file.doubles("means", {k, d}, path),
                        factors = file.doubles("precision_cholesky", shape, path);
    model m = make_model(path, [&]() {
        return model::from_precision_cholesky(about.shape, d, std::move(weights), std::move(means), std::move(factors));
    });
    return {std::move(m), about.column_names};
}

// .json ------------------------------------------------------------------------------------------------------------

// Nested lists of these extents, one line for each row, so that a matrix looks like one.
std::string nested_lists(const double*& values, const std::vector<std::int64_t>& shape, std::size_t level = 0) {
    if (level + 1 == shape.size()) {
        const json row(std::vector<double>(values, values + shape[level]));
        values += shape[level];
        return io::json_text(row);
    }
    std::string text = "[";
    for (std::int64_t i = 0; i < shape[level]; ++i)
        text += (i > 0 ? ",\n    " : "\n    ") + nested_lists(values, shape, level + 1);
    return text + "]";
}

void save_json(const model& m, const std::string& path, const std::vector<std::string>& column_names) {
    const std::int64_t k = m.components(), d = m.dimensions();
    const double* weights = m.weights().data();
    const double* means = m.means().data();
    const double* factors = m.precision_cholesky().data();
    io::atomic_file file(path);
    file.write(
        fmt::format("{{\n  \"format\": \"{}\",\n  \"version\": {},\n  \"family\": \"{}\",\n  \"components\": {},\n"
                    "  \"dimensions\": {},\n  \"column_names\": {},\n  \"weights\": {},\n  \"means\": {},\n"
                    "  \"precision_cholesky\": {}\n}}\n",
                    format_name, format_version, to_string(m.shape()), k, d, io::json_text(json(column_names)),
                    nested_lists(weights, {k}), nested_lists(means, {k, d}),
                    nested_lists(factors, covariance_shape(m.shape(), k, d))));
    file.commit();
}

const json& member(const json& object, const char* key, const std::string& path) {
    const auto found = object.find(key);
    if (found == object.end())
        io::fail(path, fmt::format("expected the key '{}'", key));
    return *found;
}

std::int64_t whole_number(const json& object, const char* key, const std::string& path) {
    const json& value = member(object, key, path);
    const bool fits =
        value.is_number_integer() && !(value.is_number_unsigned() && value.get<std::uint64_t>() > INT64_MAX);
    if (!fits)
        io::fail(path, fmt::format("{} = {}, expected a whole number", key, io::describe(value)));
    return value;
}

std::string text(const json& object, const char* key, const std::string& path) {
    const json& value = member(object, key, path);
    if (!value.is_string())
        io::fail(path, fmt::format("{} = {}, expected a string", key, io::describe(value)));
    return value;
}

// Takes nested lists of these extents apart.
void flatten(const json& value, const std::vector<std::int64_t>& shape, std::size_t level, const std::string& key,
             const std::string& path, std::vector<double>& out) {
    if (level == shape.size()) {
        if (!value.is_number())
            io::fail(path, fmt::format("{}: expected a number, found {}", key, io::describe(value)));
        out.push_back(value);
        return;
    }
    if (!value.is_array() || static_cast<std::int64_t>(value.size()) != shape[level])
        io::fail(path, fmt::format("{}: expected a list of {} entries, found {}", key, shape[level],
                                   value.is_array() ? std::to_string(value.size()) : io::describe(value)));
    for (std::size_t i = 0; i < value.size(); ++i)
        flatten(value[i], shape, level + 1, fmt::format("{}[{}]", key, i), path, out);
}

std::vector<double> numbers(const json& object, const char* key, const std::vector<std::int64_t>& shape,
                            const std::string& path) {
    std::vector<double> out;
    flatten(member(object, key, path), shape, 0, key, path, out);
    return out;
}

saved_model load_json(const std::string& path) {
    const std::string contents = io::read_text(path);
    if (const std::string kind = io::looks_like(std::string_view(contents).substr(0, 64));
        !contents.starts_with('{') && kind != "text")
        io::fail_at_byte(path, 0, fmt::format("expected a JSON object, but this looks like {}", kind));
    const json file = io::parse_json(contents, path);
    if (!file.is_object())
        io::fail_at_byte(path, 0, "expected a JSON object");
    check_format(text(file, "format", path), whole_number(file, "version", path), path);
    description about;
    about.shape = read_family(text(file, "family", path), path);
    about.components = whole_number(file, "components", path);
    about.dimensions = whole_number(file, "dimensions", path);
    if (file.contains("column_names"))
        about.column_names = read_names(file["column_names"], path);
    check_description(about, path);
    const std::int64_t k = about.components, d = about.dimensions;
    const std::vector<std::int64_t> shape = covariance_shape(about.shape, k, d);
    std::vector<double> weights = numbers(file, "weights", {k}, path), means = numbers(file, "means", {k, d}, path);
    model m = make_model(path, [&]() {
        if (file.contains("covariances") && !file.contains("precision_cholesky"))
            return model::from_covariances(about.shape, d, std::move(weights), std::move(means),
                                           numbers(file, "covariances", shape, path));
        return model::from_precision_cholesky(about.shape, d, std::move(weights), std::move(means),
                                              numbers(file, "precision_cholesky", shape, path));
    });
    return {std::move(m), about.column_names};
}

} // namespace

void save(const model& m, const std::string& path, const std::vector<std::string>& column_names) {
    if (!column_names.empty() && static_cast<std::int64_t>(column_names.size()) != m.dimensions())
        throw invalid_argument(fmt::format("column_names: {} names, expected none or one for each of the {} dimensions",
                                           column_names.size(), m.dimensions()));
    const std::optional<file_kind> kind = kind_of(path);
    if (!kind)
        throw invalid_argument(
            fmt::format("'{}': expected a name that ends in .safetensors or .json to save a model", path));
    if (*kind == file_kind::safetensors)
        save_safetensors(m, path, column_names);
    else
        save_json(m, path, column_names);
}

saved_model load_saved(const std::string& path) {
    const std::optional<file_kind> kind = kind_of(path);
    if (!kind)
        io::fail(path, fmt::format("expected a model that ends in .safetensors or .json; this looks like {}",
                                   io::looks_like(io::first_bytes(path, 64))));
    return *kind == file_kind::safetensors ? load_safetensors(path) : load_json(path);
}

model load(const std::string& path) {
    return load_saved(path).model;
}

} // namespace elbo::gmm
