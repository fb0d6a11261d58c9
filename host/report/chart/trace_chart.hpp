// The pictures of a fit's iterations; SVG.
#pragma once

#include "elbo/gmm/fit.hpp"

#include <string>
#include <vector>

namespace elbo::report {

/// The chain log p(θ_t) ≤ J(q_{t+1}, θ_{t+1}) ≤ log p(θ_{t+1}) against iteration; with a prior plus log p(θ).
std::string chain_chart(const std::vector<iteration_record>& trace);
/// What to write below it; HTML.
std::string chain_caption(const std::vector<iteration_record>& trace);
/// What is still missing to its end, logarithmically.
std::string convergence_chart(const std::vector<iteration_record>& trace);
/// The entropy of q against iteration.
std::string entropy_chart(const gmm::fit_result& fit);

} // namespace elbo::report
