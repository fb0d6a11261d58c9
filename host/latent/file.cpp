// Models as .safetensors (tensors, description in the metadata) and as .json (for reading by eye); names of
// enumerations.
//
// {"format": "elbo.factors", "version": 1, "kind", "components": K, "dimensions": d, "latent": L,
//  "noise_shape": "one", "columns" or "components", "column_names": [...], "weights": [K], "means": [K][d],
//  "loadings": [K][d][L], "noise": [1], [d] or [K][d]}
//
// {"format": "elbo.sphere", "version": 1, "dimensions": d, "column_names": [...], "centre": [d], "radius": r,
//  "noise": σ²}
#include "host/latent/file.hpp"

#include "host/check.hpp"
#include "host/latent/factors/values.hpp"
#include "host/latent/fields.hpp"
#include "kernels/shared/memory.hpp"

#include <concepts>
#include <fmt/format.h>
#include <type_traits>

namespace elbo::latent {

ELBO_NAMES(factor_kind, factor_kind_from_string)
ELBO_NAMES(factor_method, factor_method_from_string)
ELBO_NAMES(factor_start, factor_start_from_string)
ELBO_TO_STRING(factor_event::kind)
ELBO_TO_STRING(sphere_event::kind)

namespace {

constexpr io::model_format factor_format{"elbo.factors", 1, "a linear-Gaussian model"};

void check_sizes(const factor_parameters& p, std::int64_t components) {
    check_factor_sizes(p.kind, p.dimensions, p.latent, components);
    const auto factor = io::checked_product(p.dimensions, p.latent);
    const auto all = factor ? io::checked_product(*factor, components) : factor;
    expects(all && io::checked_product(*all, 8), [&] {
        return fmt::format("components = {}, dimensions = {}, latent = {}: more numbers than an address can reach",
                           components, p.dimensions, p.latent);
    });
}

/// Extents of the noise by the name of its shape.
io::extents noise_extents(const std::string& shape, std::int64_t components, std::int64_t dimensions) {
    if (shape == "components")
        return {components, dimensions};
    expects(shape == "columns" || shape == "one",
            [&] { return fmt::format("noise_shape = '{}': expected one, columns or components", shape); });
    return {shape == "one" ? 1 : dimensions};
}

/// Parameters, or const ones to be written.
template <class Archive, class Parameters, class Names>
    requires std::same_as<std::remove_const_t<Parameters>, factor_parameters>
void describe(Archive& file, Parameters& p, Names& column_names) {
    auto components = static_cast<std::int64_t>(p.weights.size());
    std::string noise_shape = p.kind == factor_kind::ppca ? "one" : "columns";
    if (p.noise.size() > static_cast<std::size_t>(p.dimensions))
        noise_shape = "components";
    file.member("kind", p.kind);
    file.member("components", components);
    file.member("dimensions", p.dimensions);
    file.member("latent", p.latent);
    file.member("noise_shape", noise_shape);
    check_sizes(p, components);
    file.column_names(column_names, p.dimensions);
    file.tensor("weights", {components}, p.weights);
    file.tensor("means", {components, p.dimensions}, p.means);
    file.tensor("loadings", {components, p.dimensions, p.latent}, p.loadings);
    file.tensor("noise", noise_extents(noise_shape, components, p.dimensions), p.noise);
}

template <class Archive, class Parameters, class Names>
    requires std::same_as<std::remove_const_t<Parameters>, sphere_parameters>
void describe(Archive& file, Parameters& p, Names& column_names) {
    auto dimensions = static_cast<std::int64_t>(p.centre.size());
    file.member("dimensions", dimensions);
    expects("dimensions", dimensions, at_least(1));
    file.column_names(column_names, dimensions);
    file.tensor("centre", {dimensions}, p.centre);
    file.bare_scalar("radius", p.radius);
    file.bare_scalar("noise", p.noise);
}

template <class Model>
void write(const io::model_format& format, const Model& m, const std::string& path,
           const std::vector<std::string>& column_names) {
    io::archive_writer file(path, format);
    describe(file, m.values(), column_names);
    file.commit();
}

template <class Parameters, class Model>
saved<Model> read(const io::model_format& format, const std::string& path) {
    io::archive_reader file(path, format);
    return io::from_file(path, [&]() -> saved<Model> {
        Parameters p;
        std::vector<std::string> column_names;
        describe(file, p, column_names);
        return {Model(std::move(p)), std::move(column_names)};
    });
}

} // namespace

void save(const factor_model& m, const std::string& path, const std::vector<std::string>& column_names) {
    write(factor_format, m, path, column_names);
}
void save(const sphere_model& m, const std::string& path, const std::vector<std::string>& column_names) {
    write(sphere_format, m, path, column_names);
}

saved_factor_model load_saved_factors(const std::string& path) {
    return read<factor_parameters, factor_model>(factor_format, path);
}
saved_sphere load_saved_sphere(const std::string& path) {
    return read<sphere_parameters, sphere_model>(sphere_format, path);
}

factor_model load_factors(const std::string& path) {
    return load_saved_factors(path).model;
}
sphere_model load_sphere(const std::string& path) {
    return load_saved_sphere(path).model;
}

} // namespace elbo::latent
