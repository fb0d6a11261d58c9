// Grey pictures, as files and inside a page.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

namespace elbo::report {

/// An 8-bit grey image, row-major, as the bytes of a PNG file.
std::string grey_png(const std::vector<std::uint8_t>& pixels, int width, int height);
/// The same as a data: address that an <img> shows.
std::string grey_image_address(const std::vector<std::uint8_t>& pixels, int width, int height);

} // namespace elbo::report
