// Posteriors as .safetensors and .json, with their prior.
//
// JSON: {"format": "elbo.gmm.posterior", "version": 1, "family", "weights_model", "components": k, "dimensions": d,
//        "column_names": [...], then the arrays of arrays_of, nested as their extents are}
#include "elbo/gmm/variational.hpp"
#include "host/gmm/algebra/factor.hpp"
#include "host/gmm/model/model_file.hpp"
#include "host/io/model/model_file.hpp"
#include "host/io/write/atomic_file.hpp"

#include <fmt/format.h>

namespace elbo::gmm {
namespace {

using io::json;
using parameters = variational_posterior::parameters;

constexpr io::model_format posterior_format{"elbo.gmm.posterior", 1, "a posterior of a mixture"};

std::int64_t components_of(const parameters& p) {
    return static_cast<std::int64_t>(p.mean_precisions.size());
}

/// The numbers of a posterior by name, with a prior that has everything.
struct named_array {
    const char* name;
    std::vector<std::int64_t> shape;
    std::vector<double> values;
};

std::vector<named_array> arrays_of(const parameters& p, std::int64_t k) {
    const std::int64_t d = p.dimensions;
    const family one = family_of(structure_of(p.shape), true);
    const bool sticks = p.weights == weights_model::stick_breaking;
    return {{"concentrations", sticks ? std::vector{k - 1, std::int64_t(2)} : std::vector{k}, p.concentrations},
            {"means", {k, d}, p.means},
            {"mean_precisions", {k}, p.mean_precisions},
            {"degrees_of_freedom", {is_tied(p.shape) ? 1 : k}, p.degrees_of_freedom},
            {"precision_cholesky", covariance_shape(p.shape, k, d), p.precision_cholesky},
            {"prior_concentration", {1}, {p.prior.concentration.value_or(0)}},
            {"prior_mean", {d}, p.prior.mean.value_or(std::vector<double>())},
            {"prior_mean_precision", {1}, {p.prior.mean_precision}},
            {"prior_degrees_of_freedom", {1}, {p.prior.degrees_of_freedom.value_or(0)}},
            {"prior_scale", covariance_shape(one, 1, d), p.prior.scale.value_or(std::vector<double>())}};
}

/// The posterior that a description and `read(name, shape)` make.
template <class Read>
variational_posterior assemble(const mixture_description& about, const std::string& weights, const std::string& path,
                               const Read& read) {
    check_description(about, path);
    parameters p{about.shape, about.dimensions, weights_model::dirichlet, {}, {}, {}, {}, {}, {}};
    p.weights = io::from_file(path, [&] { return weights_model_from_string(weights); });
    std::vector<named_array> arrays = arrays_of(p, about.components);
    for (named_array& a : arrays)
        a.values = read(a.name, a.shape);
    p.concentrations = arrays[0].values;
    p.means = arrays[1].values;
    p.mean_precisions = arrays[2].values;
    p.degrees_of_freedom = arrays[3].values;
    p.precision_cholesky = arrays[4].values;
    p.prior = {arrays[5].values[0], arrays[6].values, arrays[7].values[0], arrays[8].values[0], arrays[9].values};
    return io::from_file(path, [&] { return variational_posterior(p); });
}

void save_safetensors(const parameters& p, const std::string& path, const std::vector<std::string>& column_names) {
    io::tensor_file file;
    file.metadata = {{"format", posterior_format.name},
                     {"version", std::to_string(posterior_format.version)},
                     {"family", std::string(to_string(p.shape))},
                     {"weights_model", std::string(to_string(p.weights))},
                     {"components", std::to_string(components_of(p))},
                     {"dimensions", std::to_string(p.dimensions)},
                     {"column_names", io::json_text(json(column_names))}};
    for (const named_array& a : arrays_of(p, components_of(p)))
        file.tensors.emplace(a.name, io::tensor::of(a.shape, a.values));
    io::write_safetensors(path, file);
}

variational_posterior load_safetensors(const std::string& path) {
    const io::tensor_file file = io::read_safetensors(path);
    check_format(posterior_format, file, path);
    mixture_description about;
    about.shape = io::from_file(path, [&] { return family_from_string(io::metadata_text(file, "family", path)); });
    about.components = io::metadata_number(file, "components", path);
    about.dimensions = io::metadata_number(file, "dimensions", path);
    about.column_names = read_names(io::parse_json(io::metadata_text(file, "column_names", path), path), path);
    return assemble(
        about, io::metadata_text(file, "weights_model", path), path,
        [&](const char* name, const std::vector<std::int64_t>& shape) { return file.doubles(name, shape, path); });
}

void save_json(const parameters& p, const std::string& path, const std::vector<std::string>& column_names) {
    std::string text =
        fmt::format("{{\n  \"format\": \"{}\",\n  \"version\": {},\n  \"family\": \"{}\",\n"
                    "  \"weights_model\": \"{}\",\n  \"components\": {},\n  \"dimensions\": {},\n"
                    "  \"column_names\": {}",
                    posterior_format.name, posterior_format.version, to_string(p.shape), to_string(p.weights),
                    components_of(p), p.dimensions, io::json_text(json(column_names)));
    for (const named_array& a : arrays_of(p, components_of(p)))
        text += fmt::format(",\n  \"{}\": {}", a.name, io::nested_lists(a.values.data(), a.shape));
    io::atomic_file file(path);
    file.write(text + "\n}\n");
    file.commit();
}

variational_posterior load_json(const std::string& path) {
    const json file = io::read_json_object(path);
    check_format(posterior_format, file, path);
    mixture_description about;
    about.shape = io::from_file(path, [&] { return family_from_string(io::text(file, "family", path)); });
    about.components = io::whole_number(file, "components", path);
    about.dimensions = io::whole_number(file, "dimensions", path);
    if (file.contains("column_names"))
        about.column_names = read_names(file["column_names"], path);
    return assemble(
        about, io::text(file, "weights_model", path), path,
        [&](const char* name, const std::vector<std::int64_t>& shape) { return io::numbers(file, name, shape, path); });
}

} // namespace

void save(const variational_posterior& q, const std::string& path, const std::vector<std::string>& column_names) {
    check_names(column_names, q.dimensions());
    if (io::kind_to_save(path) == io::model_file_kind::safetensors)
        save_safetensors(q.values(), path, column_names);
    else
        save_json(q.values(), path, column_names);
}

variational_posterior load_posterior(const std::string& path) {
    return io::kind_to_load(path) == io::model_file_kind::safetensors ? load_safetensors(path) : load_json(path);
}

} // namespace elbo::gmm
