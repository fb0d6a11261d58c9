#include "kernels/reference/vae/likelihood.hpp"

#include "kernels/math/vae_activation.hpp"
#include "kernels/math/vae_likelihood.hpp"

#include <cmath>

namespace elbo::kernels::reference {

namespace {

using vae::likelihood_family;

/// Calls visit(j, term) with log p and its derivative for each dimension j.
template <class Visit>
void for_each_term(const vae_layout& layout, const std::vector<double>& log_variance, const std::vector<double>& x,
                   const std::vector<double>& output, const Visit& visit) {
    const vae::likelihood& form = layout.architecture.likelihood;
    const auto d = static_cast<std::int64_t>(x.size());
    switch (form.family) {
    case likelihood_family::bernoulli:
        for (std::int64_t j = 0; j < d; ++j)
            visit(j, bernoulli_term(x[j], output[j]));
        break;
    case likelihood_family::gaussian:
        for (std::int64_t j = 0; j < d; ++j) {
            const double of_j = log_variance[log_variance.size() == 1 ? 0 : j];
            visit(j, gaussian_term(x[j], output[j], of_j, std::exp(-of_j)));
        }
        break;
    case likelihood_family::categorical: {
        std::int64_t first = 0;
        for (std::int64_t size : form.blocks) {
            const double lse = log_sum_exp(&output[first], size);
            for (std::int64_t j = first; j < first + size; ++j)
                visit(j, categorical_term(x[j], output[j], lse));
            first += size;
        }
    }
    }
}

} // namespace

std::vector<double> log_variances(const vae_layout& layout, const std::vector<double>& parameters) {
    const vae::likelihood& form = layout.architecture.likelihood;
    if (form.family != likelihood_family::gaussian)
        return {};
    if (layout.log_variances == 0)
        return {2 * std::log(form.sigma)};
    const double* first = &parameters[layout.log_variance];
    return {first, first + layout.log_variances};
}

double log_likelihood(const vae_layout& layout, const std::vector<double>& log_variance, const std::vector<double>& x,
                      const std::vector<double>& output) {
    double sum = 0;
    for_each_term(layout, log_variance, x, output,
                  [&](std::int64_t, const likelihood_term<double>& term) { sum += term.value; });
    return sum;
}

likelihood_gradient log_likelihood_gradient(const vae_layout& layout, const std::vector<double>& log_variance,
                                            const std::vector<double>& x, const std::vector<double>& output) {
    likelihood_gradient result{std::vector<double>(x.size()), std::vector<double>(log_variance.size())};
    for_each_term(layout, log_variance, x, output, [&](std::int64_t j, const likelihood_term<double>& term) {
        result.output[j] = term.gradient;
        if (log_variance.empty())
            return;
        const std::int64_t at = log_variance.size() == 1 ? 0 : j;
        result.log_variance[at] += gaussian_log_variance_gradient(x[j], output[j], std::exp(-log_variance[at]));
    });
    return result;
}

double squared_error(const vae_layout& layout, const std::vector<double>& x, const std::vector<double>& output) {
    if (layout.architecture.likelihood.family != likelihood_family::gaussian)
        return 0;
    double sum = 0;
    for (std::size_t j = 0; j < x.size(); ++j)
        sum += (x[j] - output[j]) * (x[j] - output[j]);
    return sum;
}

std::vector<double> means(const vae_layout& layout, const std::vector<double>& output) {
    const vae::likelihood& form = layout.architecture.likelihood;
    std::vector<double> result = output;
    if (form.family == likelihood_family::bernoulli)
        for (double& value : result)
            value = logistic(value);
    if (form.family == likelihood_family::categorical) {
        std::int64_t first = 0;
        for (std::int64_t size : form.blocks) {
            const double lse = log_sum_exp(&output[first], size);
            for (std::int64_t j = first; j < first + size; ++j)
                result[j] = std::exp(output[j] - lse);
            first += size;
        }
    }
    return result;
}

} // namespace elbo::kernels::reference
