// The pictures of the page, each a complete <svg> element or a piece of HTML.
#pragma once

#include "host/report/page/mixture_page.hpp"

#include <string>
#include <vector>

namespace elbo::report {

/// Throws invalid_argument if the points have another dimension than the model or their labels are not its components.
void check(const page& p);

/// Two and more dimensions: density contours with 1- and 2-sigma ellipses over the points coloured by component.
std::string scatter_chart(const page& p);
/// One dimension: histogram of the points, the density and the components.
std::string histogram_chart(const page& p);

/// Either of them with its legend and what it shows, under a heading; HTML.
std::string density_section(const page& p);

/// The chain log p(θ_t) ≤ J(q_{t+1}, θ_{t+1}) ≤ log p(θ_{t+1}) against iteration; with a prior plus log p(θ).
std::string chain_chart(const std::vector<gmm::iteration_record>& trace);
/// What to write below it; HTML.
std::string chain_caption(const std::vector<gmm::iteration_record>& trace);
/// What is still missing to its end, logarithmically.
std::string convergence_chart(const std::vector<gmm::iteration_record>& trace);
/// The entropy of q against iteration.
std::string entropy_chart(const gmm::fit_result& fit);

/// Whether rows of this many numbers are known to be images: 8 x 8 or 28 x 28.
bool is_image(std::int64_t dimensions);
/// The component means as images.
std::string component_images(const gmm::model& m);

/// Weights, means and standard deviations.
std::string component_table(const gmm::model& m, const std::vector<std::string>& column_names);

/// Legend entry (marker and weight) of the components, shortened where there are many; HTML.
std::string component_legend(const gmm::model& m);

} // namespace elbo::report
