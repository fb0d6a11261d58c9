// The plane that a mixture is seen in, and the contours of its density.
#include "host/report/chart/charts.hpp"

#include "elbo/gmm/model.hpp"

#include <cmath>
#include <gtest/gtest.h>
#include <numbers>

namespace {

using namespace elbo;
using namespace elbo::report;

double standard_normal(double x, double y) {
    return std::exp(-(x * x + y * y) / 2) / (2 * std::numbers::pi);
}

double area(const polygon& p) {
    double twice = 0;
    for (std::size_t i = 0; i < p.size(); ++i) {
        const auto &a = p[i], &b = p[(i + 1) % p.size()];
        twice += a[0] * b[1] - b[0] * a[1];
    }
    return twice / 2;
}

TEST(ReportContours, OfAGaussianIsACircleOfTheRightMass) {
    const density_grid grid = sample_density({-6, 6}, {-6, 6}, 241, 241, standard_normal);
    for (const double mass : {0.25, 0.5, 0.95}) {
        const auto curves = contour(grid, level_of_mass(grid, mass));
        ASSERT_EQ(curves.size(), 1u);
        // P(r² < q) = 1 - exp(-q/2). The level is one of 241² values: 20 points to a unit of length, so the radius is
        // known to about half a step, 0.025.
        const double radius = std::sqrt(-2 * std::log(1 - mass));
        for (const auto& at : curves[0])
            EXPECT_NEAR(std::hypot(at[0], at[1]), radius, 0.025);
        EXPECT_GT(area(curves[0]), 0) << "the region lies on the left of its boundary";
    }
}

TEST(ReportContours, ARingHasTwoBoundariesThatCancelInside) {
    const auto ring = [](double x, double y) { return std::exp(-std::pow(std::hypot(x, y) - 2, 2) * 4); };
    const density_grid grid = sample_density({-4, 4}, {-4, 4}, 161, 161, ring);
    const auto curves = contour(grid, 0.5);
    ASSERT_EQ(curves.size(), 2u);
    // exp(-4 e²) = 1/2 at e = 0.416: the area between the circles is π (2.416² - 1.584²) = 10.46. The polygon of
    // interpolated crossings is within a step (0.05) times the circumference times 1 % of curvature: below 0.1.
    EXPECT_NEAR(area(curves[0]) + area(curves[1]), 10.46, 0.1);
}

TEST(ReportContours, CloseAtTheEdgeOfTheGrid) {
    const density_grid grid = sample_density({0, 6}, {0, 6}, 61, 61, standard_normal);
    const auto curves = contour(grid, standard_normal(1, 0));
    ASSERT_EQ(curves.size(), 1u);
    EXPECT_NEAR(area(curves[0]), std::numbers::pi / 4, 0.3); // the quarter disc, and half a step beyond its two sides
}

TEST(ReportContours, SaddlesKeepRegionsApartOrJoinThem) {
    const density_grid grid{{0, 1}, {0, 1}, 2, 2, {1, 0, 0, 1}};
    EXPECT_EQ(contour(grid, 0.6).size(), 2u); // the middle, 0.5, is below
    EXPECT_EQ(contour(grid, 0.4).size(), 1u);
}

TEST(ReportPlane, OfTwoColumnsIsTheColumns) {
    const auto m =
        gmm::model::from_covariances(gmm::family::full, 2, {0.25, 0.75}, {1, 2, 3, 4}, {2, 1, 1, 3, 1, 0, 0, 1});
    const plane_view view = make_plane(m, {"height", "mass"});
    EXPECT_EQ(view.titles[0], "height");
    EXPECT_EQ(view.titles[1], "mass");
    EXPECT_EQ(view.components[0].x, 1);
    EXPECT_EQ(view.components[0].y, 2);
    EXPECT_NEAR(view.components[0].xx, 2, 1e-14);
    EXPECT_NEAR(view.components[0].xy, 1, 1e-14);
    EXPECT_NEAR(view.components[0].yy, 3, 1e-14);
    EXPECT_EQ(make_plane(m, {}).titles[1], "column 1");
}

TEST(ReportPlane, OfMoreColumnsIsTheFirstTwoPrincipalComponents) {
    // Total covariance diag(1, 9 + 16, 4): two means at distance 4 either way in the second column.
    const auto m =
        gmm::model::from_covariances(gmm::family::tied_diagonal, 3, {0.5, 0.5}, {0, -4, 0, 0, 4, 0}, {1, 9, 4});
    const plane_view view = make_plane(m, {});
    EXPECT_NEAR(view.axes[0][1], 1, 1e-14);
    EXPECT_NEAR(view.axes[1][2], 1, 1e-14);
    EXPECT_EQ(view.titles[0], "first principal component (83 % of the variance)"); // 25 of 30
    EXPECT_NEAR(view.components[0].x, -4, 1e-13);
    EXPECT_NEAR(view.components[1].x, 4, 1e-13);
    EXPECT_NEAR(view.components[0].xx, 9, 1e-13);
    EXPECT_NEAR(view.components[0].yy, 4, 1e-13);
    const auto at = view.project(std::vector<double>{7, 1, 2});
    EXPECT_NEAR(at[0], 1, 1e-13);
    EXPECT_NEAR(at[1], 2, 1e-13);
}

TEST(ReportPlane, EllipseLiesAtItsMahalanobisDistance) {
    const plane_gaussian g{1, 3, -1, 4, 1.5, 2};
    const double determinant = 4 * 2 - 1.5 * 1.5;
    for (const auto& at : g.ellipse(2, 36)) {
        const double dx = at[0] - 3, dy = at[1] + 1;
        EXPECT_NEAR((2 * dx * dx - 3 * dx * dy + 4 * dy * dy) / determinant, 4, 1e-12);
    }
}

TEST(ReportPlane, DensityIntegratesToOne) {
    const auto m = gmm::model::from_covariances(gmm::family::spherical, 2, {0.3, 0.7}, {-1, 0, 2, 1}, {0.5, 1});
    const plane_view view = make_plane(m, {});
    const density_grid grid =
        sample_density({-8, 10}, {-8, 10}, 361, 361, [&](double x, double y) { return view.density(x, y); });
    double sum = 0;
    for (const double value : grid.values)
        sum += value;
    EXPECT_NEAR(sum * 0.05 * 0.05, 1,
                1e-9); // the trapezoidal rule is exact to rounding for functions that vanish at the ends
}

} // namespace
