#include "kernels/reference/vae/likelihood.hpp"

#include "kernels/math/likelihood/families.hpp"

#include <cmath>
#include <numeric>

namespace elbo::kernels::reference {

namespace {

using math = scalar_math<double>;

/// One number of a row as a likelihood sees it; total: the sum of the row.
template <class Family>
observed_number<math> observed(Family, const vae::likelihood& form, double x, double total, double output,
                               const std::vector<double>& own, std::int64_t j) {
    observed_number<math> o{x, output};
    o.total = form.library_size ? total : 1;
    o.form = form.count_mean;
    if (!own.empty()) {
        o.own = own[own.size() == 1 ? 0 : j];
        o.prepared = Family::prepare(o.own);
    }
    return o;
}

/// Calls visit(first, size, ln Σ e^l) for each block of logits.
template <class Visit>
void for_each_block(const vae_layout& layout, const std::vector<double>& output, const Visit& visit) {
    std::int64_t first = 0;
    for (std::int64_t size : layout.architecture.likelihood.blocks) {
        visit(first, size, log_sum_exp(&output[first], size));
        first += size;
    }
}

/// Calls visit(j, term, ∂/∂ own) with log p and its derivatives for each dimension j.
template <class Visit>
void for_each_term(const vae_layout& layout, const std::vector<double>& own, const std::vector<double>& x,
                   const std::vector<double>& output, const Visit& visit) {
    with_likelihood(layout.architecture.likelihood.family, [&](auto family) {
        if constexpr (decltype(family)::facts.blocks) {
            for_each_block(layout, output, [&](std::int64_t first, std::int64_t size, double lse) {
                for (std::int64_t j = first; j < first + size; ++j)
                    visit(j, categorical_term(x[j], output[j], lse), 0.0);
            });
        } else {
            const double total = std::accumulate(x.begin(), x.end(), 0.0);
            for (std::int64_t j = 0; j < static_cast<std::int64_t>(x.size()); ++j) {
                const observed_number<math> o =
                    observed(family, layout.architecture.likelihood, x[j], total, output[j], own, j);
                const likelihood_term<math> term = family.template term<math>(o);
                visit(j, term, family.own_gradient(term, o.prepared));
            }
        }
    });
}

} // namespace

std::vector<double> own_numbers(const vae_layout& layout, const std::vector<double>& parameters) {
    return kernels::own_numbers(layout.architecture.likelihood, layout.architecture.dimensions,
                                [&](std::int64_t i) { return parameters[layout.own + i]; });
}

double log_likelihood(const vae_layout& layout, const std::vector<double>& own, const std::vector<double>& x,
                      const std::vector<double>& output) {
    double sum = 0;
    for_each_term(layout, own, x, output,
                  [&](std::int64_t, const likelihood_term<math>& term, double) { sum += term.value; });
    return sum;
}

likelihood_gradient log_likelihood_gradient(const vae_layout& layout, const std::vector<double>& own,
                                            const std::vector<double>& x, const std::vector<double>& output) {
    likelihood_gradient result{std::vector<double>(x.size()), std::vector<double>(own.size())};
    for_each_term(layout, own, x, output, [&](std::int64_t j, const likelihood_term<math>& term, double of_own) {
        result.output[j] = term.gradient;
        if (!own.empty())
            result.own[own.size() == 1 ? 0 : j] += of_own;
    });
    return result;
}

double squared_error(const vae_layout& layout, const std::vector<double>& x, const std::vector<double>& output) {
    if (facts_of(layout.architecture.likelihood.family).second != second_sum::squared_error)
        return 0;
    double sum = 0;
    for (std::size_t j = 0; j < x.size(); ++j)
        sum += (x[j] - output[j]) * (x[j] - output[j]);
    return sum;
}

std::vector<double> means(const vae_layout& layout, const std::vector<double>& output) {
    std::vector<double> result = output;
    with_likelihood(layout.architecture.likelihood.family, [&](auto family) {
        if constexpr (decltype(family)::facts.blocks) {
            for_each_block(layout, output, [&](std::int64_t first, std::int64_t size, double lse) {
                for (std::int64_t j = first; j < first + size; ++j)
                    result[j] = std::exp(output[j] - lse);
            });
        } else {
            for (double& value : result)
                value =
                    family.template mean<math>(observed(family, layout.architecture.likelihood, 0, 1, value, {}, 0));
        }
    });
    return result;
}

} // namespace elbo::kernels::reference
