// The posterior as a value, and its files, .safetensors and .json, with the prior: what describe() lists.
#include "host/gmm/algebra/factor.hpp"
#include "host/gmm/fields.hpp"
#include "host/gmm/model/check_array.hpp"
#include "host/gmm/model/model_file.hpp"
#include "host/gmm/variational/distribution.hpp"

#include <cmath>

namespace elbo::gmm {

namespace {

using parameters = variational_posterior::parameters;

void check_above(std::string_view name, const std::vector<double>& values, double limit) {
    for (std::size_t i = 0; i < values.size(); ++i)
        expects(values[i] > limit && std::isfinite(values[i]), [&] {
            return fmt::format("{}[{}] = {}: expected a finite number above {}", name, i, values[i], limit);
        });
}

const parameters& checked(const parameters& p) {
    const auto k = static_cast<std::int64_t>(p.mean_precisions.size());
    const std::int64_t d = p.dimensions;
    expects("dimensions", d, at_least(1));
    expects(k >= 1, "mean_precisions is empty: expected at least one component");
    const variational_prior& prior = p.prior;
    expects(prior.concentration && prior.mean && prior.degrees_of_freedom && prior.scale,
            "prior is incomplete: expected concentration, mean, degrees_of_freedom and scale");
    variational::check_prior(prior, p.shape, d);
    const bool sticks = p.weights == weights_model::stick_breaking;
    check_size("concentrations", p.concentrations.size(), sticks ? 2 * (k - 1) : k, sticks ? "(k - 1) x 2" : "k");
    check_size("degrees_of_freedom", p.degrees_of_freedom.size(), is_tied(p.shape) ? 1 : k,
               is_tied(p.shape) ? "1" : "k");
    check_above("concentrations", p.concentrations, 0);
    check_above("mean_precisions", p.mean_precisions, 0);
    const std::int64_t order = variational::form_of(p.shape, d).dimension;
    check_above("degrees_of_freedom", p.degrees_of_freedom, static_cast<double>(order - 1));
    model::from_precision_cholesky(p.shape, d, std::vector<double>(k, 1 / static_cast<double>(k)), p.means,
                                   p.precision_cholesky);
    return p;
}

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

variational_posterior::variational_posterior(parameters p) : values_(checked(p)) {}

std::vector<double> variational_posterior::expected_weights() const {
    return variational::expected_weights(values_.weights, values_.concentrations);
}

std::vector<double> variational_posterior::counts() const {
    std::vector<double> result;
    for (const double beta : values_.mean_precisions)
        result.push_back(std::max(0.0, beta - values_.prior.mean_precision));
    return result;
}

std::vector<std::int64_t> variational_posterior::effective_components(double threshold) const {
    const std::vector<double> n = counts();
    std::vector<std::int64_t> result;
    for (std::int64_t k = 0; k < components(); ++k)
        if (n[k] > threshold)
            result.push_back(k);
    return result;
}

variational_posterior variational_posterior::without_empty(double threshold) const {
    const std::vector<std::int64_t> kept = effective_components(threshold);
    expects(!kept.empty(), [&] {
        return fmt::format("threshold = {}: expected a number below the largest count, so that a component is left",
                           threshold);
    });
    const std::vector<double> n = counts();
    const std::int64_t d = dimensions(), factor = geometry(shape()).stride(d);
    parameters p{shape(), d, values_.weights, values_.prior, {}, {}, {}, {}, {}};
    if (is_tied(shape())) {
        p.degrees_of_freedom = values_.degrees_of_freedom;
        p.precision_cholesky = values_.precision_cholesky;
    }
    const auto append = [](std::vector<double>& to, const std::vector<double>& from, std::int64_t k,
                           std::int64_t size) {
        to.insert(to.end(), from.begin() + k * size, from.begin() + (k + 1) * size);
    };
    std::vector<double> kept_counts;
    for (const std::int64_t k : kept) {
        kept_counts.push_back(n[k]);
        append(p.mean_precisions, values_.mean_precisions, k, 1);
        append(p.means, values_.means, k, d);
        append(p.precision_cholesky, values_.precision_cholesky, k, factor);
        if (!is_tied(shape()))
            append(p.degrees_of_freedom, values_.degrees_of_freedom, k, 1);
    }
    p.concentrations = variational::weights_update(values_.weights, *values_.prior.concentration, kept_counts);
    return variational_posterior(std::move(p));
}

model variational_posterior::model() const {
    return model::from_precision_cholesky(shape(), dimensions(), expected_weights(), values_.means,
                                          values_.precision_cholesky);
}

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
