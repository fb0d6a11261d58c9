// log p(x | z) of one row from what the decoder puts out.
#pragma once

#include "kernels/contract/vae_layout.hpp"

#include <vector>

namespace elbo::kernels::reference {

/// The likelihood's own parameter (ln σ² of gaussian): [1] or [d] for learned_per_dimension; [] where it has none.
std::vector<double> own_numbers(const vae_layout& layout, const std::vector<double>& parameters);

/// log p(x|z) = Σ_j of the dimensions or blocks.
double log_likelihood(const vae_layout& layout, const std::vector<double>& own, const std::vector<double>& x,
                      const std::vector<double>& output);

/// Its gradients with respect to the decoder's output [d] and to its own parameter [as many as it has].
struct likelihood_gradient {
    std::vector<double> output, own;
};
likelihood_gradient log_likelihood_gradient(const vae_layout& layout, const std::vector<double>& own,
                                            const std::vector<double>& x, const std::vector<double>& output);

/// Σ_j (x_j − mean_j)² of a gaussian likelihood; 0 for the others.
double squared_error(const vae_layout& layout, const std::vector<double>& x, const std::vector<double>& output);

/// E[x|z]: probabilities for bernoulli and categorical.
std::vector<double> means(const vae_layout& layout, const std::vector<double>& output);

} // namespace elbo::kernels::reference
