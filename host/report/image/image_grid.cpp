#include "host/report/image/image_grid.hpp"

#include <algorithm>
#include <cmath>

namespace elbo::report {

namespace {

constexpr std::int64_t wanted_side = 56;
constexpr std::int64_t smallest_side = 5;
constexpr int gap = 4, wide_gap = 14;
constexpr std::uint8_t white = 255;
// Means of a Gaussian likelihood that was trained on values in [0, 1] lie a little outside it.
constexpr double near_unit = 0.1;

std::uint8_t shade(float value, interval shades) {
    const double share = (static_cast<double>(value) - shades.low) / shades.width();
    return static_cast<std::uint8_t>(std::lround(255 * (1 - std::clamp(share, 0.0, 1.0))));
}

void draw(grey_image& picture, int left, int top, std::span<const float> image, image_size size, int factor,
          interval shades) {
    for (std::int64_t y = 0; y < size.height * factor; ++y)
        for (std::int64_t x = 0; x < size.width * factor; ++x)
            picture.pixels[static_cast<std::size_t>((top + y) * picture.width + left + x)] =
                shade(image[static_cast<std::size_t>(y / factor * size.width + x / factor)], shades);
}

} // namespace

std::optional<image_size> square_of(std::int64_t pixels) {
    const auto side = static_cast<std::int64_t>(std::llround(std::sqrt(static_cast<double>(pixels))));
    if (side < smallest_side || side * side != pixels)
        return std::nullopt;
    return image_size{side, side};
}

interval shades_of(std::span<const float> values) {
    if (values.empty())
        return {0, 1};
    std::vector<float> sorted(values.begin(), values.end());
    std::sort(sorted.begin(), sorted.end());
    const std::size_t tail = sorted.size() / 100;
    const double low = sorted[tail], high = sorted[sorted.size() - 1 - tail];
    if (low >= -near_unit && high <= 1 + near_unit)
        return {0, 1};
    return high > low ? interval{low, high} : interval{low, low + 1};
}

grey_image tile(std::span<const float> images, image_size size, int columns, interval shades, int group) {
    const auto count = static_cast<int>(std::ssize(images) / size.pixels());
    columns = std::max(1, std::min(columns, count));
    const int rows = (count + columns - 1) / columns;
    const auto factor = static_cast<int>(std::max<std::int64_t>(1, wanted_side / std::max(size.width, size.height)));
    const int width = static_cast<int>(size.width) * factor, height = static_cast<int>(size.height) * factor;
    const auto top_of = [&](int row) { return row * (height + gap) + row / group * (group > 1 ? wide_gap - gap : 0); };
    grey_image picture;
    picture.width = columns * (width + gap) - gap;
    picture.height = rows > 0 ? top_of(rows - 1) + height : 0;
    picture.pixels.assign(static_cast<std::size_t>(picture.width) * picture.height, white);
    for (int i = 0; i < count; ++i)
        draw(picture, i % columns * (width + gap), top_of(i / columns),
             images.subspan(static_cast<std::size_t>(i * size.pixels()), static_cast<std::size_t>(size.pixels())), size,
             factor, shades);
    return picture;
}

std::vector<float> alternate(std::span<const float> first, std::span<const float> second, std::int64_t pixels,
                             int columns) {
    std::vector<float> both;
    const auto row = static_cast<std::size_t>(columns * pixels);
    for (std::size_t at = 0; at < first.size(); at += row) {
        const std::size_t length = std::min(row, first.size() - at);
        for (const auto& part : {first.subspan(at, length), second.subspan(at, length)})
            both.insert(both.end(), part.begin(), part.end());
    }
    return both;
}

} // namespace elbo::report
