// Colours and marker shapes of the components. Okabe and Ito's palette (jfly.uni-koeln.de/color) without its yellow,
// which is too pale on white: told apart by readers with any common colour vision, and each with its own shape.
#pragma once

#include <array>
#include <cstdint>
#include <string_view>

namespace elbo::report {

enum class marker { circle, square, triangle, diamond, cross, plus, triangle_down };

struct component_style {
    std::string_view colour;
    marker shape;
};

/// Style of component k: the colours repeat after seven, then with other shapes, so that 49 styles differ.
inline component_style style_of(std::int64_t k) {
    constexpr std::array<std::string_view, 7> colours{"#0072b2", "#d55e00", "#009e73", "#cc79a7",
                                                      "#e69f00", "#56b4e9", "#4d4d4d"};
    constexpr std::int64_t count = colours.size();
    return {colours[k % count], static_cast<marker>((k + k / count) % count)};
}

} // namespace elbo::report
