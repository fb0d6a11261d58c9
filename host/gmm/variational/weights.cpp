#include "host/gmm/variational/weights.hpp"

#include "kernels/math/special_functions.hpp"

#include <cmath>
#include <span>

namespace elbo::gmm::variational {

using kernels::digamma;

namespace {

double sum_of(std::span<const double> v) {
    double sum = 0;
    for (const double x : v)
        sum += x;
    return sum;
}

/// ln Z of Dirichlet(α).
double log_normalizer(std::span<const double> alpha) {
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

} // namespace

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
        const double all = digamma(sum_of(concentrations));
        for (const double a : concentrations)
            result.push_back(digamma(a) - all);
        return result;
    }
    double left = 0; // Σ_{j<k} E[ln (1 − v_j)]
    for (std::size_t k = 0; k + 1 < concentrations.size(); k += 2) {
        const double both = digamma(concentrations[k] + concentrations[k + 1]);
        result.push_back(left + digamma(concentrations[k]) - both);
        left += digamma(concentrations[k + 1]) - both;
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
        const double all = digamma(sum_of(q));
        sum += log_normalizer(prior) - log_normalizer(q);
        for (std::size_t k = 0; k < q.size(); ++k)
            sum += (q[k] - prior[k]) * (digamma(q[k]) - all);
    });
    return sum;
}

double weights_normalizer_gain(weights_model m, double concentration, const std::vector<double>& concentrations) {
    double sum = 0;
    for_each_dirichlet(m, concentration, concentrations, [&](std::span<const double> q, std::span<const double> prior) {
        sum += log_normalizer(q) - log_normalizer(prior);
    });
    return sum;
}

} // namespace elbo::gmm::variational
