// Whole starts on the device (contract/start_engine.hpp) against those of the host in float64.
#include "host/gmm/start/start.hpp"
#include "tests/support/backends.hpp"
#include "tests/support/data.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <limits>

namespace elbo::gmm {
namespace {

using namespace kernels;

/// Some rows are not usual, and weights vary by a factor of 60.
start_sample make_sample(std::int64_t rows, std::int64_t cols, std::int64_t clusters) {
    start_sample s;
    s.rows = rows, s.cols = cols;
    s.x = test::clustered(rows, cols, clusters, 4.0, 11);
    double sum = 0;
    for (std::int64_t n = 0; n < rows; ++n) {
        s.weights.push_back(0.05 + 3 * test::uniform(9, n));
        s.usual.push_back(n % 17 == 3 ? 0 : 1);
        sum += s.weights.back();
    }
    for (double& w : s.weights)
        w *= static_cast<double>(rows) / sum;
    return s;
}

double largest(const std::vector<double>& v) {
    double m = 0;
    for (double x : v)
        m = std::max(m, std::abs(x));
    return m;
}

/// A sum of the n rows in another order is off by n 2⁻⁵³ of its terms at most, n ≤ 1300 here: 1.5e-13 of a variance. A
/// factor has that times the condition of the covariance, which for these clusters with λ is below 10⁴.
constexpr double tolerance = 2e-9;

void expect_close(const std::vector<double>& got, const std::vector<double>& want, const char* what) {
    ASSERT_EQ(got.size(), want.size()) << what;
    const double scale = largest(want);
    for (std::size_t i = 0; i < got.size(); ++i)
        ASSERT_TRUE(std::abs(got[i] - want[i]) <= tolerance * scale)
            << what << " " << i << ": " << got[i] << " for " << want[i];
}

void check_start(const start_sample& s, const gmm_shape& shape, const start_choice& choice) {
    SCOPED_TRACE(std::to_string(static_cast<int>(shape.family)) + ", " + std::to_string(s.rows) + " x " +
                 std::to_string(s.cols) + ", k = " + std::to_string(shape.components));
    const std::vector<double> lambda(s.cols, 1e-3);
    const gmm_parameters want = start_parameters(context::cpu(1), s, shape, choice, lambda);
    const gmm_parameters got = start_parameters(context::cuda(), s, shape, choice, lambda);
    expect_close(got.log_weights, want.log_weights, "weight");
    expect_close(got.means, want.means, "mean");
    expect_close(got.precision_cholesky, want.precision_cholesky, "factor");
}

constexpr family families[] = {family::full, family::diagonal,      family::spherical,
                               family::tied, family::tied_diagonal, family::tied_spherical};

TEST(CudaStart, EqualsThatOfTheHost) {
    for (const family f : families)
        for (const auto& [rows, cols, k] : {std::array<std::int64_t, 3>{1300, 1, 13}, {1025, 4, 5}, {1000, 17, 3}})
            check_start(make_sample(rows, cols, k), {f, cols, k}, {});
}

TEST(CudaStart, AtTheEdgesOfTiles) {
    for (const std::int64_t cols : {31, 32, 33, 63, 65})
        check_start(make_sample(95, cols, 2), {family::full, cols, 2}, {});
    check_start(make_sample(70, 130, 2), {family::tied, 130, 2}, {}); // factored in panels
    for (const std::int64_t k : {4, 8, 9, 17, 33})
        check_start(make_sample(700, 3, k), {family::diagonal, 3, k}, {start_method::kmeans_plus_plus, k % 2 == 0});
}

TEST(CudaStart, ManyRowsInSegmentsOfACluster) {
    check_start(make_sample(5000, 3, 2), {family::full, 3, 2}, {});
}

TEST(CudaStart, RowsThatCoincideAndClustersWithoutRows) {
    // Three places for five components: two of these get no row.
    start_sample s = make_sample(1200, 6, 3);
    for (std::int64_t n = 0; n < s.rows; ++n)
        for (std::int64_t j = 0; j < s.cols; ++j)
            s.x[n * s.cols + j] = static_cast<double>(n % 3 * (j + 1) % 5);
    for (const family f : {family::full, family::diagonal})
        check_start(s, {f, 6, 5}, {});
}

TEST(CudaStart, SaysThatACovarianceIsNotFinite) {
    start_sample s = make_sample(1000, 5, 2);
    s.x[7] = std::numeric_limits<double>::infinity();
    EXPECT_THROW(start_parameters(context::cuda(), s, {family::full, 5, 3}, {}, std::vector<double>(5, 1e-3)),
                 std::exception);
}

} // namespace
} // namespace elbo::gmm
