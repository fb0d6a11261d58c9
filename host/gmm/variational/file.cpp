// Posteriors as .safetensors and .json, with their prior: what describe() lists.
#include "elbo/gmm/variational.hpp"
#include "host/gmm/algebra/factor.hpp"
#include "host/gmm/model/model_file.hpp"
#include "host/gmm/model/names.hpp"

namespace elbo::gmm {
namespace {

using parameters = variational_posterior::parameters;

constexpr io::model_format posterior_format{"elbo.gmm.posterior", 1, "a posterior of a mixture"};

/// Parameters, or const ones to be written, with a prior that has everything.
template <class Archive, class Parameters, class Names>
void describe(Archive& file, Parameters& p, Names& column_names) {
    auto k = static_cast<std::int64_t>(p.mean_precisions.size());
    file.member("family", p.shape);
    file.member("weights_model", p.weights);
    file.member("components", k);
    file.member("dimensions", p.dimensions);
    check_sizes(p.shape, k, p.dimensions);
    const std::int64_t d = p.dimensions;
    file.column_names(column_names, d);
    const family one = family_of(structure_of(p.shape), true);
    const bool sticks = p.weights == weights_model::stick_breaking;
    file.tensor("concentrations", sticks ? io::extents{k - 1, 2} : io::extents{k}, p.concentrations);
    file.tensor("means", {k, d}, p.means);
    file.tensor("mean_precisions", {k}, p.mean_precisions);
    file.tensor("degrees_of_freedom", {is_tied(p.shape) ? 1 : k}, p.degrees_of_freedom);
    file.tensor("precision_cholesky", covariance_shape(p.shape, k, d), p.precision_cholesky);
    file.scalar("prior_concentration", p.prior.concentration);
    file.tensor("prior_mean", {d}, p.prior.mean);
    file.scalar("prior_mean_precision", p.prior.mean_precision);
    file.scalar("prior_degrees_of_freedom", p.prior.degrees_of_freedom);
    file.tensor("prior_scale", covariance_shape(one, 1, d), p.prior.scale);
}

} // namespace

void save(const variational_posterior& q, const std::string& path, const std::vector<std::string>& column_names) {
    io::archive_writer file(path, posterior_format);
    describe(file, q.values(), column_names);
    file.commit();
}

variational_posterior load_posterior(const std::string& path) {
    io::archive_reader file(path, posterior_format);
    return io::from_file(path, [&] {
        parameters p;
        std::vector<std::string> column_names;
        describe(file, p, column_names);
        return variational_posterior(std::move(p));
    });
}

} // namespace elbo::gmm
