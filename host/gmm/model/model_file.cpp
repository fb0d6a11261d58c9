// Mixtures as .safetensors (tensors, description in the metadata) and as .json (for reading by eye).
//
// JSON: {"format": "elbo.gmm", "version": 1, "family", "components": k, "dimensions": d, "column_names": [...],
//        "weights": [k], "means": [k][d], "precision_cholesky": by family, see model.hpp}
// A model that a fit has made also has "regularization" and "regularization_variances" [d].
// A file written by hand may have "covariances" in place of "precision_cholesky".
#include "host/gmm/model/model_file.hpp"

#include "elbo/error.hpp"
#include "host/io/write/atomic_file.hpp"
#include "kernels/shared/memory.hpp"

#include <fmt/format.h>

namespace elbo::gmm {
namespace {

using io::json;

// .json ------------------------------------------------------------------------------------------------------------

/// The members that only some models have, with the comma before them.
std::string regularization_text(const model& m) {
    if (m.regularization().empty())
        return {};
    return fmt::format(",\n  \"regularization\": {},\n  \"regularization_variances\": {}",
                       io::nested_lists(m.regularization().data(), {m.dimensions()}),
                       io::nested_lists(m.regularization_variances().data(), {m.dimensions()}));
}

void save_json(const model& m, const std::string& path, const std::vector<std::string>& column_names) {
    const std::int64_t k = m.components(), d = m.dimensions();
    io::atomic_file file(path);
    file.write(fmt::format(
        "{{\n  \"format\": \"{}\",\n  \"version\": {},\n  \"family\": \"{}\",\n  \"components\": {},\n"
        "  \"dimensions\": {},\n  \"column_names\": {},\n  \"weights\": {},\n  \"means\": {},\n"
        "  \"precision_cholesky\": {}{}\n}}\n",
        mixture_format.name, mixture_format.version, to_string(m.shape()), k, d, io::json_text(json(column_names)),
        io::nested_lists(m.weights().data(), {k}), io::nested_lists(m.means().data(), {k, d}),
        io::nested_lists(m.precision_cholesky().data(), covariance_shape(m.shape(), k, d)), regularization_text(m)));
    file.commit();
}

saved_model load_json(const std::string& path) {
    const json file = io::read_json_object(path);
    check_format(mixture_format, file, path);
    mixture_description about;
    about.shape = io::from_file(path, [&] { return family_from_string(io::text(file, "family", path)); });
    about.components = io::whole_number(file, "components", path);
    about.dimensions = io::whole_number(file, "dimensions", path);
    if (file.contains("column_names"))
        about.column_names = read_names(file["column_names"], path);
    check_description(about, path);
    const std::int64_t k = about.components, d = about.dimensions;
    const std::vector<std::int64_t> shape = covariance_shape(about.shape, k, d);
    std::vector<double> weights = io::numbers(file, "weights", {k}, path),
                        means = io::numbers(file, "means", {k, d}, path);
    model m = io::from_file(path, [&]() {
        if (file.contains("covariances") && !file.contains("precision_cholesky"))
            return model::from_covariances(about.shape, d, std::move(weights), std::move(means),
                                           io::numbers(file, "covariances", shape, path));
        return model::from_precision_cholesky(about.shape, d, std::move(weights), std::move(means),
                                              io::numbers(file, "precision_cholesky", shape, path));
    });
    if (file.contains("regularization"))
        m = io::from_file(path, [&] {
            return m.with_regularization(io::numbers(file, "regularization", {d}, path),
                                         io::numbers(file, "regularization_variances", {d}, path));
        });
    return {std::move(m), about.column_names};
}

} // namespace

// .safetensors -----------------------------------------------------------------------------------------------------

io::tensor_file to_tensors(const model& m, const std::vector<std::string>& column_names,
                           const io::model_format& format) {
    const std::int64_t k = m.components(), d = m.dimensions();
    io::tensor_file file;
    file.metadata = {{"format", format.name},
                     {"version", std::to_string(format.version)},
                     {"family", std::string(to_string(m.shape()))},
                     {"components", std::to_string(k)},
                     {"dimensions", std::to_string(d)},
                     {"column_names", io::json_text(json(column_names))}};
    file.tensors.emplace("weights", io::tensor::of({k}, m.weights()));
    file.tensors.emplace("means", io::tensor::of({k, d}, m.means()));
    file.tensors.emplace("precision_cholesky",
                         io::tensor::of(covariance_shape(m.shape(), k, d), m.precision_cholesky()));
    if (!m.regularization().empty()) {
        file.tensors.emplace("regularization", io::tensor::of({d}, m.regularization()));
        file.tensors.emplace("regularization_variances", io::tensor::of({d}, m.regularization_variances()));
    }
    return file;
}

saved_model model_from(const io::tensor_file& file, const io::model_format& format, const std::string& path) {
    check_format(format, file, path);
    mixture_description about;
    about.shape = io::from_file(path, [&] { return family_from_string(io::metadata_text(file, "family", path)); });
    about.components = io::metadata_number(file, "components", path);
    about.dimensions = io::metadata_number(file, "dimensions", path);
    about.column_names = read_names(io::parse_json(io::metadata_text(file, "column_names", path), path), path);
    check_description(about, path);
    const std::int64_t k = about.components, d = about.dimensions;
    const std::vector<std::int64_t> shape = covariance_shape(about.shape, k, d);
    std::vector<double> weights = file.doubles("weights", {k}, path), means = file.doubles("means", {k, d}, path),
                        factors = file.doubles("precision_cholesky", shape, path);
    model m = io::from_file(path, [&]() {
        return model::from_precision_cholesky(about.shape, d, std::move(weights), std::move(means), std::move(factors));
    });
    if (file.tensors.contains("regularization"))
        m = io::from_file(path, [&] {
            return m.with_regularization(file.doubles("regularization", {d}, path),
                                         file.doubles("regularization_variances", {d}, path));
        });
    return {std::move(m), about.column_names};
}

// Both --------------------------------------------------------------------------------------------------------------

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

void check_description(const mixture_description& d, const std::string& path) {
    if (d.components < 1 || d.dimensions < 1)
        io::fail(path,
                 fmt::format("components = {}, dimensions = {}: expected at least 1", d.components, d.dimensions));
    const bool matrix = d.shape == family::full || d.shape == family::tied;
    const auto each = io::checked_product(d.dimensions, matrix ? d.dimensions : 1);
    const auto all = each ? io::checked_product(*each, d.components) : each;
    if (!all || !io::checked_product(*all, 8))
        io::fail(path, fmt::format("components = {}, dimensions = {}: more numbers than an address can reach",
                                   d.components, d.dimensions));
    if (!d.column_names.empty() && static_cast<std::int64_t>(d.column_names.size()) != d.dimensions)
        io::fail(path, fmt::format("{} column_names, expected one for each of the {} dimensions", d.column_names.size(),
                                   d.dimensions));
}

std::vector<std::string> read_names(const json& list, const std::string& path) {
    std::vector<std::string> names;
    if (!list.is_array())
        io::fail(path, "column_names: expected a list of strings");
    for (const json& name : list) {
        if (!name.is_string())
            io::fail(path, "column_names: expected a list of strings");
        names.push_back(name.as_string());
    }
    return names;
}

void check_names(const std::vector<std::string>& column_names, std::int64_t dimensions) {
    if (!column_names.empty() && static_cast<std::int64_t>(column_names.size()) != dimensions)
        throw invalid_argument(fmt::format("column_names: {} names, expected none or one for each of the {} dimensions",
                                           column_names.size(), dimensions));
}

void save(const model& m, const std::string& path, const std::vector<std::string>& column_names) {
    check_names(column_names, m.dimensions());
    if (io::kind_to_save(path) == io::model_file_kind::safetensors)
        io::write_safetensors(path, to_tensors(m, column_names, mixture_format));
    else
        save_json(m, path, column_names);
}

saved_model load_saved(const std::string& path) {
    return io::kind_to_load(path) == io::model_file_kind::safetensors
               ? model_from(io::read_safetensors(path), mixture_format, path)
               : load_json(path);
}

model load(const std::string& path) {
    return load_saved(path).model;
}

} // namespace elbo::gmm
