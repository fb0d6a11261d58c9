#include "host/gmm/variational/distribution.hpp"

#include "host/gmm/algebra/factor.hpp"
#include "host/gmm/fields.hpp"
#include "host/gmm/fit/prior.hpp"
#include "host/gmm/model/check_array.hpp"
#include "host/rows/frame.hpp"

#include <numeric>

namespace elbo::gmm::variational {

namespace {

/// Multiplies a scale matrix by s_i s_j of the frame, or divides by them.
void rescale(std::vector<double>& scale, family f, const kernels::frame& frame, bool divide) {
    const auto d = static_cast<std::int64_t>(frame.scale.size());
    const structure s = structure_of(f);
    for (std::size_t at = 0; at < scale.size(); ++at) {
        const auto i = static_cast<std::int64_t>(at);
        const double a = frame.scale[s == structure::full ? i / d : i]; // the spherical families have one scale
        const double b = frame.scale[s == structure::full ? i % d : i];
        scale[at] = divide ? scale[at] / (a * b) : scale[at] * (a * b);
    }
}

void check_scale(const std::vector<double>& scale, family f, std::int64_t d) {
    const structure s = structure_of(f);
    check_size("prior.scale", scale.size(), geometry(f).size(d),
               s == structure::full       ? "d x d"
               : s == structure::diagonal ? "d"
                                          : "1");
    try {
        model::from_covariances(family_of(s, true), d, {1}, std::vector<double>(d, 0), scale);
    } catch (const invalid_argument& e) {
        throw invalid_argument(fmt::format("prior.scale: {}", e.what()));
    }
}

} // namespace

void check_prior(const variational_prior& prior, family f, std::int64_t d) {
    check_fields(prior, "prior.");
    if (prior.mean)
        check_size("prior.mean", prior.mean->size(), d, "d");
    if (prior.degrees_of_freedom) {
        const double nu = *prior.degrees_of_freedom;
        const std::int64_t above = structure_of(f) == structure::full ? d - 1 : 0;
        expects(nu > static_cast<double>(above), [&] {
            return fmt::format("prior.degrees_of_freedom = {}: expected a finite number above {}", nu, above);
        });
        expects("prior.degrees_of_freedom", nu, prior_count);
    }
    if (prior.scale)
        check_scale(*prior.scale, f, d);
}

variational_prior to_frame(variational_prior prior, family f, const kernels::frame& frame) {
    for (std::size_t j = 0; prior.mean && j < prior.mean->size(); ++j)
        (*prior.mean)[j] = ((*prior.mean)[j] - frame.centre[j]) / frame.scale[j];
    if (prior.scale)
        rescale(*prior.scale, f, frame, true);
    return prior;
}

variational_prior complete_prior(variational_prior prior, const kernels::gmm_shape& shape,
                                 const std::vector<double>& covariance, const std::vector<double>& lambda) {
    const std::int64_t d = shape.dimensions;
    const structure s = structure_of(shape.family);
    if (!prior.concentration)
        prior.concentration = 1 / static_cast<double>(shape.components);
    if (!prior.mean)
        prior.mean = std::vector<double>(d, 0);
    if (!prior.degrees_of_freedom)
        prior.degrees_of_freedom = static_cast<double>(d);
    if (prior.scale)
        return prior;
    prior.scale = covariance;
    if (s == structure::spherical)
        (*prior.scale)[0] += std::accumulate(lambda.begin(), lambda.end(), 0.0) / static_cast<double>(d);
    else
        for (std::int64_t j = 0; j < d; ++j)
            (*prior.scale)[s == structure::full ? j * (d + 1) : j] += lambda[j];
    return prior;
}

variational_posterior::parameters from_frame(variational_posterior::parameters q, const kernels::frame& frame,
                                             const variational_prior& given) {
    const auto d = static_cast<std::int64_t>(frame.scale.size());
    const std::vector<double> equal(q.mean_precisions.size(), 0);
    const model m = gmm::from_frame(q.shape, {equal, q.means, q.precision_cholesky}, frame);
    q.means = m.means();
    q.precision_cholesky = m.precision_cholesky();
    for (std::int64_t j = 0; j < d; ++j)
        (*q.prior.mean)[j] = frame.centre[j] + frame.scale[j] * (*q.prior.mean)[j];
    rescale(*q.prior.scale, q.shape, frame, false);
    if (given.mean)
        q.prior.mean = given.mean;
    if (given.scale)
        q.prior.scale = given.scale;
    return q;
}

} // namespace elbo::gmm::variational
