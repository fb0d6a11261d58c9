#include "host/gmm/variational/distribution.hpp"

#include "host/gmm/algebra/factor.hpp"
#include "kernels/math/special_functions.hpp"
#include "kernels/shared/blas_threads.hpp"

#include <cblas.h>
#include <cmath>
#include <numbers>
#include <numeric>
#include <span>

namespace elbo::gmm::variational {

namespace {

double sum_of(std::span<const double> v) {
    return std::accumulate(v.begin(), v.end(), 0.0);
}

/// ln Z of Dirichlet(α).
double dirichlet_log_normalizer(std::span<const double> alpha) {
    double sum = -std::lgamma(sum_of(alpha));
    for (const double a : alpha)
        sum += std::lgamma(a);
    return sum;
}

/// Calls visit(posterior, prior) for each Dirichlet distribution that q(α) consists of.
template <class Visit>
void for_each_dirichlet(weights_model m, double concentration, const std::vector<double>& concentrations, Visit visit) {
    const std::span<const double> all(concentrations);
    if (m == weights_model::dirichlet) {
        const std::vector<double> prior(all.size(), concentration);
        visit(all, std::span<const double>(prior));
        return;
    }
    const double prior[] = {1, concentration};
    for (std::size_t k = 0; k + 1 < all.size(); k += 2)
        visit(all.subspan(k, 2), std::span<const double>(prior));
}

/// Which factor belongs to component k.
std::int64_t factor_of(const parameters& q, std::int64_t k) {
    return is_tied(q.shape) ? 0 : k;
}

std::span<const double> factor(const parameters& q, std::int64_t at) {
    const std::int64_t size = geometry(q.shape).size(q.dimensions);
    return std::span(q.precision_cholesky).subspan(at * size, size);
}

/// Σ ln of the diagonal of a factor as it is kept: one entry for a spherical one.
double log_diagonal(structure s, std::span<const double> u, std::int64_t d) {
    double sum = 0;
    const std::int64_t count = s == structure::spherical ? 1 : d, step = s == structure::full ? d + 1 : 1;
    for (std::int64_t i = 0; i < count; ++i)
        sum += std::log(u[i * step]);
    return sum;
}

/// ‖Uᵀ v‖².
double square_through(structure s, std::span<const double> u, std::span<const double> v) {
    const auto d = static_cast<std::int64_t>(v.size());
    double sum = 0;
    for (std::int64_t j = 0; j < d; ++j) {
        double y = 0;
        if (s == structure::full)
            for (std::int64_t i = 0; i <= j; ++i)
                y += u[i * d + j] * v[i];
        else
            y = u[s == structure::diagonal ? j : 0] * v[j];
        sum += y * y;
    }
    return sum;
}

/// tr(S U Uᵀ) over the blocks.
double trace_of_product(structure s, std::span<const double> scale, std::span<const double> u, std::int64_t d) {
    double sum = 0;
    if (s != structure::full) {
        for (std::size_t i = 0; i < u.size(); ++i)
            sum += scale[i] * u[i] * u[i];
        return sum;
    }
    const auto n = static_cast<int>(d);
    std::vector<double> product(u.size());
    const kernels::one_blas_thread one;
    cblas_dsymm(CblasRowMajor, CblasLeft, CblasUpper, n, n, 1, scale.data(), n, u.data(), n, 0, product.data(), n);
    for (std::size_t i = 0; i < u.size(); ++i)
        sum += product[i] * u[i];
    return sum;
}

/// The Wishart distributions of one precision: ν and Σ ln |W| over the blocks.
struct wishart {
    wishart_form form;
    double degrees = 0, log_determinant = 0;

    /// E[ln |Λ|] over the blocks.
    double expected_log_determinant() const {
        const double each =
            kernels::multivariate_digamma(degrees / 2, form.dimension) + as_double(form.dimension) * std::numbers::ln2;
        return as_double(form.blocks) * each + log_determinant;
    }
    /// ln Z: Z = 2^{νp/2} |W|^{ν/2} Γ_p(ν/2) for each block.
    double log_normalizer() const {
        const double each = degrees * as_double(form.dimension) / 2 * std::numbers::ln2 +
                            kernels::log_multivariate_gamma(degrees / 2, form.dimension);
        return as_double(form.blocks) * each + degrees / 2 * log_determinant;
    }
};

/// From the factor of E[Λ] = ν W.
wishart posterior_wishart(const parameters& q, std::int64_t at) {
    const structure s = structure_of(q.shape);
    const wishart_form form = form_of(q.shape, q.dimensions);
    const double nu = q.degrees_of_freedom[at];
    return {form, nu,
            2 * log_diagonal(s, factor(q, at), q.dimensions) - as_double(form.blocks * form.dimension) * std::log(nu)};
}

wishart prior_wishart(const parameters& q) {
    const structure s = structure_of(q.shape);
    const std::int64_t d = q.dimensions;
    const model inverse =
        model::from_covariances(family_of(s, true), d, {1}, std::vector<double>(d, 0), *q.prior.scale);
    return {form_of(q.shape, d), *q.prior.degrees_of_freedom, 2 * log_diagonal(s, inverse.precision_cholesky(), d)};
}

/// E_q[KL(N(m_k, (β_k Λ)⁻¹) ‖ N(m₀, (β₀ Λ)⁻¹))].
double mean_divergence(const parameters& q, std::int64_t k) {
    const std::int64_t d = q.dimensions;
    const double ratio = q.prior.mean_precision / q.mean_precisions[k];
    std::vector<double> apart(d);
    for (std::int64_t j = 0; j < d; ++j)
        apart[j] = q.means[k * d + j] - (*q.prior.mean)[j];
    const double square = square_through(structure_of(q.shape), factor(q, factor_of(q, k)), apart);
    return 0.5 * (as_double(d) * (ratio - 1 - std::log(ratio)) + q.prior.mean_precision * square);
}

/// KL of the Wishart distributions of one precision.
double precision_divergence(const parameters& q, const wishart& prior, std::int64_t at) {
    const wishart own = posterior_wishart(q, at);
    const double trace = trace_of_product(structure_of(q.shape), *q.prior.scale, factor(q, at), q.dimensions);
    return 0.5 * (own.degrees - prior.degrees) * own.expected_log_determinant() +
           0.5 * (trace - own.degrees * as_double(own.form.blocks * own.form.dimension)) + prior.log_normalizer() -
           own.log_normalizer();
}

} // namespace

wishart_form form_of(family f, std::int64_t d) {
    const family_geometry g = geometry(f);
    return {g.form == structure::diagonal ? d : 1, g.matrix() ? d : 1, g.repeats(d)};
}

kernels::gmm_parameters e_step_parameters(const parameters& q) {
    const structure s = structure_of(q.shape);
    const double d = as_double(q.dimensions);
    kernels::gmm_parameters p{expected_log_weights(q.weights, q.concentrations), q.means, q.precision_cholesky};
    for (std::int64_t k = 0; k < std::ssize(q.mean_precisions); ++k) {
        const wishart own = posterior_wishart(q, factor_of(q, k));
        const double copies = as_double(own.form.copies);
        p.log_weights[k] += 0.5 * copies * own.expected_log_determinant() - 0.5 * d / q.mean_precisions[k] -
                            copies * log_diagonal(s, factor(q, factor_of(q, k)), q.dimensions);
    }
    return p;
}

divergences divergences_from_prior(const parameters& q) {
    divergences result{weights_divergence(q.weights, *q.prior.concentration, q.concentrations), 0};
    const wishart prior = prior_wishart(q);
    for (std::size_t at = 0; at < q.degrees_of_freedom.size(); ++at)
        result.components += precision_divergence(q, prior, static_cast<std::int64_t>(at));
    for (std::int64_t k = 0; k < std::ssize(q.mean_precisions); ++k)
        result.components += mean_divergence(q, k);
    return result;
}

double log_normalizer_gain(const parameters& q) {
    double gain = weights_normalizer_gain(q.weights, *q.prior.concentration, q.concentrations);
    const double prior = prior_wishart(q).log_normalizer();
    for (std::size_t at = 0; at < q.degrees_of_freedom.size(); ++at)
        gain += posterior_wishart(q, static_cast<std::int64_t>(at)).log_normalizer() - prior;
    for (const double beta : q.mean_precisions)
        gain += 0.5 * as_double(q.dimensions) * std::log(q.prior.mean_precision / beta);
    return gain;
}

std::vector<double> weights_update(weights_model m, double concentration, const std::vector<double>& counts) {
    std::vector<double> result;
    if (m == weights_model::dirichlet) {
        for (const double n : counts)
            result.push_back(concentration + n);
        return result;
    }
    result.resize(2 * (counts.size() - 1));
    double behind = 0; // from the last stick on: no difference of large sums
    for (std::size_t k = counts.size() - 1; k-- > 0;) {
        behind += counts[k + 1];
        result[2 * k] = 1 + counts[k];
        result[2 * k + 1] = concentration + behind;
    }
    return result;
}

std::vector<double> expected_log_weights(weights_model m, const std::vector<double>& concentrations) {
    std::vector<double> result;
    if (m == weights_model::dirichlet) {
        const double all = kernels::digamma(sum_of(concentrations));
        for (const double a : concentrations)
            result.push_back(kernels::digamma(a) - all);
        return result;
    }
    double left = 0; // Σ_{j<k} E[ln (1 − v_j)]
    for (std::size_t k = 0; k + 1 < concentrations.size(); k += 2) {
        const double both = kernels::digamma(concentrations[k] + concentrations[k + 1]);
        result.push_back(left + kernels::digamma(concentrations[k]) - both);
        left += kernels::digamma(concentrations[k + 1]) - both;
    }
    result.push_back(left);
    return result;
}

std::vector<double> expected_weights(weights_model m, const std::vector<double>& concentrations) {
    std::vector<double> result;
    if (m == weights_model::dirichlet) {
        const double all = sum_of(concentrations);
        for (const double a : concentrations)
            result.push_back(a / all);
        return result;
    }
    double left = 1;
    for (std::size_t k = 0; k + 1 < concentrations.size(); k += 2) {
        const double both = concentrations[k] + concentrations[k + 1];
        result.push_back(left * concentrations[k] / both);
        left *= concentrations[k + 1] / both;
    }
    result.push_back(left);
    return result;
}

double weights_divergence(weights_model m, double concentration, const std::vector<double>& concentrations) {
    double sum = 0;
    for_each_dirichlet(m, concentration, concentrations, [&](std::span<const double> q, std::span<const double> prior) {
        const double all = kernels::digamma(sum_of(q));
        sum += dirichlet_log_normalizer(prior) - dirichlet_log_normalizer(q);
        for (std::size_t k = 0; k < q.size(); ++k)
            sum += (q[k] - prior[k]) * (kernels::digamma(q[k]) - all);
    });
    return sum;
}

double weights_normalizer_gain(weights_model m, double concentration, const std::vector<double>& concentrations) {
    double sum = 0;
    for_each_dirichlet(m, concentration, concentrations, [&](std::span<const double> q, std::span<const double> prior) {
        sum += dirichlet_log_normalizer(q) - dirichlet_log_normalizer(prior);
    });
    return sum;
}

} // namespace elbo::gmm::variational
