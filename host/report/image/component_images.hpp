// The means of a mixture of images; HTML.
#pragma once

#include "elbo/gmm/model.hpp"

#include <cstdint>
#include <string>

namespace elbo::report {

/// Whether rows of this many numbers are known to be images: 8 x 8 or 28 x 28.
bool is_image(std::int64_t dimensions);
/// The component means as images.
std::string component_images(const gmm::model& m);

} // namespace elbo::report
