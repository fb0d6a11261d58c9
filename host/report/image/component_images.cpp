#include "host/report/image/component_images.hpp"
#include "host/report/image/png.hpp"

#include <algorithm>
#include <cmath>
#include <fmt/format.h>

namespace elbo::report {

namespace {

constexpr std::int64_t largest_image_count = 60;

} // namespace

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
        std::vector<std::uint8_t> pixels;
        for (std::int64_t j = 0; j < d; ++j)
            pixels.push_back(static_cast<std::uint8_t>(std::lround(255 - scale * (m.means()[k * d + j] - *low))));
        out += fmt::format(
            R"(<figure><img alt="mean of component {0}" src="{1}"/><figcaption>{0}<br/>{2:.1f} %</figcaption></figure>)",
            k, grey_image_address(pixels, side, side), 100 * m.weights()[k]);
    }
    out += fmt::format("</div>\n<p class=\"note\">Means of {} as {} &#215; {} images, with their weights; white is "
                       "{:.3g}, black {:.3g}.</p>\n",
                       count == m.components() ? "all components" : fmt::format("the first {} components", count), side,
                       side, *low, *high);
    return out;
}

} // namespace elbo::report
