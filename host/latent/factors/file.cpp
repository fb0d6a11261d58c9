// Linear-Gaussian models as .safetensors (tensors, description in the metadata) and as .json (for reading by eye).
//
// {"format": "elbo.factors", "version": 1, "kind", "components": K, "dimensions": d, "latent": L,
//  "noise_shape": "one", "columns" or "components", "column_names": [...], "weights": [K], "means": [K][d],
//  "loadings": [K][d][L], "noise": [1], [d] or [K][d]}
#include "host/latent/file.hpp"

#include "host/check.hpp"
#include "host/latent/factors/values.hpp"
#include "host/latent/names.hpp"
#include "kernels/shared/memory.hpp"

#include <fmt/format.h>

namespace elbo::latent {

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
void describe(Archive& file, Parameters& p, std::string noise_shape, Names& column_names) {
    auto components = static_cast<std::int64_t>(p.weights.size());
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

} // namespace

void save(const factor_model& m, const std::string& path, const std::vector<std::string>& column_names) {
    io::archive_writer file(path, factor_format);
    describe(file, m.values(),
             m.kind() == factor_kind::ppca ? "one"
             : m.own_noise()               ? "components"
                                           : "columns",
             column_names);
    file.commit();
}

saved_factor_model load_saved_factors(const std::string& path) {
    io::archive_reader file(path, factor_format);
    return io::from_file(path, [&]() -> saved_factor_model {
        factor_parameters p;
        std::vector<std::string> column_names;
        describe(file, p, "", column_names);
        return {factor_model(std::move(p)), std::move(column_names)};
    });
}

factor_model load_factors(const std::string& path) {
    return load_saved_factors(path).model;
}

} // namespace elbo::latent
