// The two directions in which a mixture is widest.
#pragma once

#include "elbo/gmm/model.hpp"

#include <array>
#include <vector>

namespace elbo::report {

/// Eigenvectors [d] of the total covariance Σ_k α_k (Σ_k + (μ_k − μ)(μ_k − μ)ᵀ) with the two largest eigenvalues, the
/// larger first, each with its largest entry positive, and their shares of the trace.
struct principal_pair {
    std::array<std::vector<double>, 2> axes;
    std::array<double, 2> shares{};
};
/// `mean` [d] is that of the mixture, which has at least two dimensions.
principal_pair principal_axes(const gmm::model& m, const std::vector<double>& mean);

} // namespace elbo::report
