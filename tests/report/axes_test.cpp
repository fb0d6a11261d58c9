// Ticks, scales and markers of the charts.
#include "host/report/chart/charts.hpp"

#include <cmath>
#include <gtest/gtest.h>
#include <set>

namespace {

using namespace elbo::report;

TEST(ReportTicks, AreRoundNumbersInsideTheRange) {
    const ticks t = linear_ticks({0.13, 0.97}, 5);
    EXPECT_EQ(t.labels, (std::vector<std::string>{"0.2", "0.4", "0.6", "0.8"}));
    EXPECT_EQ(linear_ticks({-1, 1}, 4).labels, (std::vector<std::string>{"-1.0", "-0.5", "0.0", "0.5", "1.0"}));
    EXPECT_EQ(linear_ticks({40, 99}, 6).labels, (std::vector<std::string>{"40", "50", "60", "70", "80", "90"}));
}

TEST(ReportTicks, FitAnyRange) {
    for (const double width : {1e-12, 3e-7, 0.02, 1.0, 42.0, 7e5, 3e12})
        for (const double low : {0.0, -0.37 * width, 11 * width}) {
            const ticks t = linear_ticks({low, low + width}, 6);
            ASSERT_EQ(t.values.size(), t.labels.size());
            EXPECT_GE(t.values.size(), 3u) << low << " + " << width;
            EXPECT_LE(t.values.size(), 8u) << low << " + " << width;
            const std::set<std::string> distinct(t.labels.begin(), t.labels.end());
            EXPECT_EQ(distinct.size(), t.labels.size()) << "labels repeat: " << t.labels[0];
            for (std::size_t i = 0; i < t.values.size(); ++i) {
                EXPECT_GE(t.values[i], low - 1e-6 * width);
                EXPECT_LE(t.values[i], low + width * (1 + 1e-6));
                // A label is its value to within a hundredth of the range.
                EXPECT_NEAR(std::stod(t.labels[i]), t.values[i], 0.01 * width);
            }
        }
}

TEST(ReportTicks, CountIterationsInWholeNumbers) {
    EXPECT_EQ(whole_ticks({-0.1, 2.1}, 7).labels, (std::vector<std::string>{"0", "1", "2"}));
}

TEST(ReportTicks, MarkDecades) {
    EXPECT_EQ(decade_ticks({-4.2, -0.5}, 4).labels, (std::vector<std::string>{"1e-4", "1e-3", "1e-2", "1e-1"}));
}

TEST(ReportTicks, PaddingOpensAnEmptyRange) {
    const interval same = padded({5, 5}, 0.1);
    EXPECT_LT(same.low, 5);
    EXPECT_GT(same.high, 5);
    const interval wide = padded({0, 10}, 0.1);
    EXPECT_DOUBLE_EQ(wide.low, -1);
    EXPECT_DOUBLE_EQ(wide.high, 11);
}

TEST(ReportChart, MapsTheCornersOfTheDataToTheFrame) {
    const chart c({0, 10}, {-1, 1}, {.width = 200, .height = 100, .left = 50, .right = 10, .top = 5, .bottom = 25});
    EXPECT_DOUBLE_EQ(c.x_of(0), 50);
    EXPECT_DOUBLE_EQ(c.x_of(10), 190);
    EXPECT_DOUBLE_EQ(c.y_of(-1), 75); // downwards in the picture
    EXPECT_DOUBLE_EQ(c.y_of(1), 5);
}

TEST(ReportChart, LongLabelsHaveRoom) {
    const interval range{1000000.0, 1000000.9};
    const ticks across = ticks_across(range, 8, 700);
    EXPECT_GE(across.values.size(), 2u);
    EXPECT_LE(static_cast<double>(across.values.size()) * label_width(across), 700);
    const ticks up = linear_ticks(range, 7);
    const chart::layout plain, wide = plain.with_labels(up);
    EXPECT_GT(wide.left, label_width(up));
    EXPECT_EQ(plain.with_labels(linear_ticks({0, 1}, 5)).left, plain.left);
}

TEST(ReportChart, NamesAreTextAndNotMarkup) {
    chart c({0, 1}, {0, 1}, {});
    c.axes(linear_ticks({0, 1}, 5), linear_ticks({0, 1}, 5), "a < b & \"c\"", "y");
    const std::string svg = c.svg("id", "picture");
    EXPECT_NE(svg.find("a &lt; b &amp; &quot;c&quot;"), std::string::npos);
    EXPECT_EQ(svg.find("a < b"), std::string::npos);
}

TEST(ReportPalette, TheFirst49ComponentsDifferInColourOrShape) {
    std::set<std::pair<std::string_view, marker>> styles;
    for (int k = 0; k < 49; ++k)
        styles.emplace(style_of(k).colour, style_of(k).shape);
    EXPECT_EQ(styles.size(), 49u);
}

} // namespace
