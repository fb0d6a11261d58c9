#include "host/report/image/images.hpp"

#include "elbo/error.hpp"

#include <cmath>
#include <fmt/format.h>
#include <zlib.h>

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

std::string big_endian(std::uint32_t value) {
    std::string bytes;
    for (int shift = 24; shift >= 0; shift -= 8)
        bytes += static_cast<char>(value >> shift & 0xff);
    return bytes;
}

// A chunk of a PNG file: length, type, data, checksum of type and data (PNG specification, section 5.3).
std::string chunk(std::string_view type, const std::string& data) {
    const std::string body = std::string(type) + data;
    const auto checksum = crc32(0, reinterpret_cast<const Bytef*>(body.data()), static_cast<uInt>(body.size()));
    return big_endian(static_cast<std::uint32_t>(data.size())) + body +
           big_endian(static_cast<std::uint32_t>(checksum));
}

std::string compressed(const std::string& raw) {
    uLongf size = compressBound(raw.size());
    std::string out(size, '\0');
    if (compress(reinterpret_cast<Bytef*>(out.data()), &size, reinterpret_cast<const Bytef*>(raw.data()), raw.size()) !=
        Z_OK)
        throw error("an image of the report could not be compressed");
    out.resize(size);
    return out;
}

std::string base64(const std::string& bytes) {
    constexpr std::string_view digits = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    std::string out;
    for (std::size_t i = 0; i < bytes.size(); i += 3) {
        std::uint32_t group = 0;
        for (std::size_t j = 0; j < 3; ++j)
            group = group << 8 | (i + j < bytes.size() ? static_cast<std::uint8_t>(bytes[i + j]) : 0u);
        for (std::size_t j = 0; j < 4; ++j)
            out += i + j <= bytes.size() ? digits[group >> (18 - 6 * j) & 63] : '=';
    }
    return out;
}

constexpr std::int64_t largest_image_count = 60;

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

std::string grey_png(const grey_image& picture) {
    const auto& [pixels, width, height] = picture;
    std::string rows;
    for (int y = 0; y < height; ++y) {
        rows += '\0'; // filter type: none
        rows.append(reinterpret_cast<const char*>(pixels.data()) + static_cast<std::size_t>(y) * width, width);
    }
    const std::string header = big_endian(width) + big_endian(height) + std::string("\x08\0\0\0\0", 5); // 8-bit grey
    return "\x89PNG\r\n\x1a\n" + chunk("IHDR", header) + chunk("IDAT", compressed(rows)) + chunk("IEND", "");
}

std::string grey_image_address(const grey_image& picture) {
    return "data:image/png;base64," + base64(grey_png(picture));
}

bool is_image(std::int64_t dimensions) {
    return dimensions == 64 || dimensions == 784;
}

std::string component_images(const gmm::model& m) {
    const std::int64_t d = m.dimensions();
    const int side = static_cast<int>(std::lround(std::sqrt(static_cast<double>(d))));
    const auto [low, high] = std::minmax_element(m.means().begin(), m.means().end());
    const double scale = *high > *low ? 255 / (*high - *low) : 0;
    const std::int64_t count = std::min(m.components(), largest_image_count);
    std::string out = "<div class=\"images\">";
    for (std::int64_t k = 0; k < count; ++k) {
        grey_image mean{{}, side, side};
        for (std::int64_t j = 0; j < d; ++j)
            mean.pixels.push_back(static_cast<std::uint8_t>(std::lround(255 - scale * (m.means()[k * d + j] - *low))));
        out += fmt::format(
            R"(<figure><img alt="mean of component {0}" src="{1}"/><figcaption>{0}<br/>{2:.1f} %</figcaption></figure>)",
            k, grey_image_address(mean), 100 * m.weights()[k]);
    }
    out += fmt::format("</div>\n<p class=\"note\">Means of {} as {} &#215; {} images, with their weights; white is "
                       "{:.3g}, black {:.3g}.</p>\n",
                       count == m.components() ? "all components" : fmt::format("the first {} components", count), side,
                       side, *low, *high);
    return out;
}

} // namespace elbo::report
