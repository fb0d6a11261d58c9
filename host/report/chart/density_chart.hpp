// A mixture over the points that it describes; SVG.
#pragma once

#include "host/report/page/mixture_page.hpp"

#include <string>

namespace elbo::report {

/// Two and more dimensions: density contours with 1- and 2-sigma ellipses over the points coloured by component.
std::string scatter_chart(const mixture_page& p);
/// One dimension: histogram of the points, the density and the components.
std::string histogram_chart(const mixture_page& p);

} // namespace elbo::report
