// Linear-Gaussian models as .safetensors (tensors, description in the metadata) and as .json (for reading by eye).
//
// JSON: {"format": "elbo.factors", "version": 1, "kind", "components": k, "dimensions": d, "latent": L,
//        "noise_shape": "one", "columns" or "components", "column_names": [...], "weights": [k], "means": [k][d],
//        "loadings": [k][d][L], "noise": [1], [d] or [k][d]}
#include "host/latent/factors/file.hpp"

#include "host/gmm/model/model_file.hpp"
#include "host/io/model/model_file.hpp"
#include "host/io/write/atomic_file.hpp"
#include "host/latent/factors/values.hpp"
#include "kernels/shared/memory.hpp"

#include <fmt/format.h>

namespace elbo::latent {

namespace {

using io::json;

constexpr io::model_format factor_format{"elbo.factors", 1, "a linear-Gaussian model"};

/// What a file says about itself before its numbers.
struct description {
    factor_kind kind = factor_kind::ppca;
    std::int64_t components = 0, dimensions = 0, latent = 0;
    std::string noise_shape;
    std::vector<std::string> column_names;

    std::vector<std::int64_t> means_shape() const { return {components, dimensions}; }
    std::vector<std::int64_t> loadings_shape() const { return {components, dimensions, latent}; }
    std::vector<std::int64_t> noise_extents() const {
        if (noise_shape == "components")
            return {components, dimensions};
        return {noise_shape == "one" ? 1 : dimensions};
    }
};

description describe(const factor_model& m, const std::vector<std::string>& column_names) {
    return {m.kind(),
            m.components(),
            m.dimensions(),
            m.latent(),
            m.kind() == factor_kind::ppca ? "one"
            : m.own_noise()               ? "components"
                                          : "columns",
            column_names};
}

void check_description(const description& d, const std::string& path) {
    io::from_file(path, [&] {
        check_factor_sizes(d.kind, d.dimensions, d.latent, d.components);
        return true;
    });
    const auto factor = io::checked_product(d.dimensions, d.latent);
    if (!factor || !io::checked_product(*factor, d.components) || !io::checked_product(*factor * d.components, 8))
        io::fail(path, fmt::format("components = {}, dimensions = {}, latent = {}: more numbers than an address can "
                                   "reach",
                                   d.components, d.dimensions, d.latent));
    const bool known = d.noise_shape == "components" || d.noise_shape == "columns" || d.noise_shape == "one";
    if (!known)
        io::fail(path, fmt::format("noise_shape = '{}': expected one, columns or components", d.noise_shape));
    if (!d.column_names.empty() && static_cast<std::int64_t>(d.column_names.size()) != d.dimensions)
        io::fail(path, fmt::format("{} column_names, expected one for each of the {} dimensions", d.column_names.size(),
                                   d.dimensions));
}

/// The model of a description and of the arrays that read(name, shape) returns.
template <class Read>
saved_factor_model model_of(const description& d, const std::string& path, const Read& read) {
    factor_parameters p{d.kind,
                        d.dimensions,
                        d.latent,
                        read("weights", std::vector<std::int64_t>{d.components}),
                        read("means", d.means_shape()),
                        read("loadings", d.loadings_shape()),
                        read("noise", d.noise_extents())};
    return {io::from_file(path, [&] { return factor_model(std::move(p)); }), d.column_names};
}

// .safetensors -----------------------------------------------------------------------------------------------------

void save_safetensors(const factor_model& m, const description& d, const std::string& path) {
    io::tensor_file file;
    file.metadata = {{"format", factor_format.name},
                     {"version", std::to_string(factor_format.version)},
                     {"kind", std::string(to_string(d.kind))},
                     {"components", std::to_string(d.components)},
                     {"dimensions", std::to_string(d.dimensions)},
                     {"latent", std::to_string(d.latent)},
                     {"noise_shape", d.noise_shape},
                     {"column_names", io::json_text(json(d.column_names))}};
    file.tensors.emplace("weights", io::tensor::of({d.components}, m.weights()));
    file.tensors.emplace("means", io::tensor::of(d.means_shape(), m.means()));
    file.tensors.emplace("loadings", io::tensor::of(d.loadings_shape(), m.loadings()));
    file.tensors.emplace("noise", io::tensor::of(d.noise_extents(), m.noise()));
    io::write_safetensors(path, file);
}

saved_factor_model load_safetensors(const std::string& path) {
    const io::tensor_file file = io::read_safetensors(path);
    check_format(factor_format, file, path);
    description d;
    d.kind = io::from_file(path, [&] { return factor_kind_from_string(io::metadata_text(file, "kind", path)); });
    d.components = io::metadata_number(file, "components", path);
    d.dimensions = io::metadata_number(file, "dimensions", path);
    d.latent = io::metadata_number(file, "latent", path);
    d.noise_shape = io::metadata_text(file, "noise_shape", path);
    d.column_names = gmm::read_names(io::parse_json(io::metadata_text(file, "column_names", path), path), path);
    check_description(d, path);
    return model_of(d, path, [&](const char* name, const std::vector<std::int64_t>& shape) {
        return file.doubles(name, shape, path);
    });
}

// .json ------------------------------------------------------------------------------------------------------------

void save_json(const factor_model& m, const description& d, const std::string& path) {
    io::atomic_file file(path);
    file.write(fmt::format(
        "{{\n  \"format\": \"{}\",\n  \"version\": {},\n  \"kind\": \"{}\",\n  \"components\": {},\n"
        "  \"dimensions\": {},\n  \"latent\": {},\n  \"noise_shape\": \"{}\",\n  \"column_names\": {},\n"
        "  \"weights\": {},\n  \"means\": {},\n  \"loadings\": {},\n  \"noise\": {}\n}}\n",
        factor_format.name, factor_format.version, to_string(d.kind), d.components, d.dimensions, d.latent,
        d.noise_shape, io::json_text(json(d.column_names)), io::nested_lists(m.weights().data(), {d.components}),
        io::nested_lists(m.means().data(), d.means_shape()), io::nested_lists(m.loadings().data(), d.loadings_shape()),
        io::nested_lists(m.noise().data(), d.noise_extents())));
    file.commit();
}

saved_factor_model load_json(const std::string& path) {
    const json file = io::read_json_object(path);
    check_format(factor_format, file, path);
    description d;
    d.kind = io::from_file(path, [&] { return factor_kind_from_string(io::text(file, "kind", path)); });
    d.components = io::whole_number(file, "components", path);
    d.dimensions = io::whole_number(file, "dimensions", path);
    d.latent = io::whole_number(file, "latent", path);
    d.noise_shape = io::text(file, "noise_shape", path);
    if (file.contains("column_names"))
        d.column_names = gmm::read_names(file["column_names"], path);
    check_description(d, path);
    return model_of(d, path, [&](const char* name, const std::vector<std::int64_t>& shape) {
        return io::numbers(file, name, shape, path);
    });
}

} // namespace

void save(const factor_model& m, const std::string& path, const std::vector<std::string>& column_names) {
    gmm::check_names(column_names, m.dimensions());
    const description d = describe(m, column_names);
    if (io::kind_to_save(path) == io::model_file_kind::safetensors)
        save_safetensors(m, d, path);
    else
        save_json(m, d, path);
}

saved_factor_model load_saved_factors(const std::string& path) {
    return io::kind_to_load(path) == io::model_file_kind::safetensors ? load_safetensors(path) : load_json(path);
}

factor_model load_factors(const std::string& path) {
    return load_saved_factors(path).model;
}

} // namespace elbo::latent
