// Small grey pictures inside a page.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

namespace elbo::report {

/// An 8-bit grey image, row-major, as a data: address of a PNG file that an <img> shows.
std::string grey_image_address(const std::vector<std::uint8_t>& pixels, int width, int height);

} // namespace elbo::report
