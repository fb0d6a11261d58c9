// Mixtures as .safetensors (tensors, description in the metadata) and as .json (for reading by eye).
//
// {"format": "elbo.gmm", "version": 1, "family", "components": k, "dimensions": d, "column_names": [...],
//  "weights": [k], "means": [k][d], "precision_cholesky": by family, see model.hpp}
// A model that a fit has made also has "regularization" and "regularization_variances" [d].
// A file written by hand may have "covariances" in place of "precision_cholesky".
#include "host/gmm/model/model_file.hpp"
#include "host/gmm/fields.hpp"

#include "host/check.hpp"
#include "kernels/contract/gmm_layout.hpp"
#include "kernels/shared/memory.hpp"

#include <fmt/format.h>

namespace elbo::gmm {
namespace {

/// What a file says. `Array` is a reference where it is written.
template <class Array, class Names>
struct mixture_members {
    family shape;
    std::int64_t components, dimensions;
    Names column_names;
    Array weights, means, precision_cholesky, regularization, regularization_variances;
    Array covariances; ///< only read
};

template <class Archive, class Members>
void describe(Archive& file, Members& m) {
    file.member("family", m.shape);
    file.member("components", m.components);
    file.member("dimensions", m.dimensions);
    check_sizes(m.shape, m.components, m.dimensions);
    file.column_names(m.column_names, m.dimensions);
    const io::extents shape = covariance_shape(m.shape, m.components, m.dimensions);
    file.tensor("weights", {m.components}, m.weights);
    file.tensor("means", {m.components, m.dimensions}, m.means);
    if (file.has("covariances", false) && !file.has("precision_cholesky", true))
        file.tensor("covariances", shape, m.covariances);
    else
        file.tensor("precision_cholesky", shape, m.precision_cholesky);
    if (file.has("regularization", !m.regularization.empty())) {
        file.tensor("regularization", {m.dimensions}, m.regularization);
        file.tensor("regularization_variances", {m.dimensions}, m.regularization_variances);
    }
}

} // namespace

void write_members(io::archive_writer& file, const model& m, const std::vector<std::string>& column_names) {
    const std::vector<double> none;
    const mixture_members<const std::vector<double>&, const std::vector<std::string>&> members{
        m.shape(),
        m.components(),
        m.dimensions(),
        column_names,
        m.weights(),
        m.means(),
        m.precision_cholesky(),
        m.regularization(),
        m.regularization_variances(),
        none};
    describe(file, members);
}

saved_model read_members(io::archive_reader& file) {
    return io::from_file(file.path(), [&]() -> saved_model {
        mixture_members<std::vector<double>, std::vector<std::string>> r{};
        describe(file, r);
        const bool factors = r.covariances.empty();
        model m = (factors ? model::from_precision_cholesky
                           : model::from_covariances)(r.shape, r.dimensions, std::move(r.weights), std::move(r.means),
                                                      std::move(factors ? r.precision_cholesky : r.covariances));
        if (!r.regularization.empty())
            m = m.with_regularization(std::move(r.regularization), std::move(r.regularization_variances));
        return {std::move(m), std::move(r.column_names)};
    });
}

io::extents covariance_shape(family f, std::int64_t k, std::int64_t d) {
    const family_geometry g = geometry(f);
    io::extents shape(g.tied ? 0 : 1, k);
    shape.resize(shape.size() + (g.matrix() ? 2 : g.spherical() ? 0 : 1), d);
    return shape.empty() ? io::extents{1} : shape;
}

void check_sizes(family f, std::int64_t components, std::int64_t dimensions) {
    expects(components >= 1 && dimensions >= 1, [&] {
        return fmt::format("components = {}, dimensions = {}: expected at least 1", components, dimensions);
    });
    const auto each = io::checked_product(dimensions, geometry(f).matrix() ? dimensions : 1);
    const auto all = each ? io::checked_product(*each, components) : each;
    expects(all && io::checked_product(*all, 8), [&] {
        return fmt::format("components = {}, dimensions = {}: more numbers than an address can reach", components,
                           dimensions);
    });
}

void save(const model& m, const std::string& path, const std::vector<std::string>& column_names) {
    io::archive_writer file(path, mixture_format);
    write_members(file, m, column_names);
    file.commit();
}

saved_model load_saved(const std::string& path) {
    io::archive_reader file(path, mixture_format);
    return read_members(file);
}

model load(const std::string& path) {
    return load_saved(path).model;
}

} // namespace elbo::gmm
