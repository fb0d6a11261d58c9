// Rows of data, and the means of components, as grey images.
#pragma once

#include "host/report/chart/charts.hpp"

#include "elbo/report.hpp"

namespace elbo::report {

/// How many images a picture shows at the most, and in how many columns.
inline constexpr std::int64_t largest_tile_count = 120;
inline constexpr int tile_columns = 12;

/// The square of so many pixels; nothing where there is none, or one so small that it will not be an image.
std::optional<image_size> square_of(std::int64_t pixels);

/// An 8-bit grey picture, row-major.
struct grey_image {
    std::vector<std::uint8_t> pixels;
    int width = 0, height = 0;
};

/// What is drawn as white (low) and as black (high): [0, 1] where nearly all values lie in it or close by, else the
/// range of all but the smallest and the largest hundredth.
interval shades_of(std::span<const float> values);

/// Images [n x pixels] in rows of `columns`, each enlarged by a whole factor to about 56 pixels, with white gaps
/// between them. Values outside `shades` are white or black. After every `group` rows the gap is wider.
grey_image tile(std::span<const float> images, image_size size, int columns, interval shades, int group = 1);

/// Rows of `columns` from `first` alternating with rows from `second`, both [n x pixels]: for pictures beside others.
std::vector<float> alternate(std::span<const float> first, std::span<const float> second, std::int64_t pixels,
                             int columns);

/// A picture as the bytes of a PNG file.
std::string grey_png(const grey_image& picture);
/// The same as a data: address that an <img> shows.
std::string grey_image_address(const grey_image& picture);

/// Whether rows of this many numbers are known to be images: 8 x 8 or 28 x 28.
bool is_image(std::int64_t dimensions);
/// The component means as images.
std::string component_images(const gmm::model& m);

} // namespace elbo::report
