// Whole starts on the device (contract/start_engine.hpp) against those of the host in float64.
#include "bench/mixture/start_prediction.hpp"
#include "elbo/gmm/fit.hpp"
#include "elbo/interop.hpp"
#include "host/gmm/start/start.hpp"
#include "kernels/contract/context_state.hpp"
#include "kernels/contract/start_engine.hpp"
#include "kernels/cuda/core/device_buffer.hpp"
#include "kernels/math/philox.hpp"
#include "tests/support/backends.hpp"
#include "tests/support/data.hpp"
#include "tests/support/emulator_counters.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <limits>
#include <utility>

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
    // Factored in panels, by the blocks of a cluster.
    check_start(make_sample(70, 130, 2), {family::tied, 130, 2}, {});
    for (const std::int64_t cols : {129, 160, 191})
        check_start(make_sample(cols + 90, cols, 2), {family::full, cols, 2}, {});
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

/// Rows of type T, five numbers apart, on the device and on the host; every seventh has a value that is not usual.
template <class T>
void check_draw(std::int64_t rows, double share) {
    SCOPED_TRACE(std::to_string(rows) + " rows, share " + std::to_string(share));
    constexpr std::int64_t cols = 3, stride = 5;
    const context ctx = context::cuda();
    std::vector<T> x(rows * stride);
    for (std::size_t i = 0; i < x.size(); ++i)
        x[i] = static_cast<T>(i % (7 * stride) == 2 ? 1e6 : 3 * test::uniform(2, i));
    const cuda::device_buffer<T> on_device(ctx.state().cuda, "test", std::ssize(x));
    cuda::copy_async(*ctx.state().cuda, on_device.data(), x.data(), std::ssize(x));
    const frame f{{0.5, 1, 2}, {0.5, 3, 0.25}};
    const std::vector<double> lower(cols, -10), upper(cols, 10);
    const auto engine = make_start_engine(ctx, {family::full, cols, 2});
    const std::uint64_t seed = 77;

    std::vector<double> want, usual;
    for (std::int64_t n = 0; n < rows; ++n) {
        const philox_block words = random_block(seed, random_purpose::row_choice, n);
        if (share < 1 && uniform_double(words.word[0], words.word[1]) >= share)
            continue;
        usual.push_back(n % 7 == 0 ? 0 : 1);
        for (std::int64_t j = 0; j < cols; ++j)
            want.push_back((static_cast<double>(x[n * stride + j]) - f.centre[j]) / f.scale[j]);
    }
    const any_matrix_view there = device_matrix<const T>(on_device.data(), rows, cols, stride);
    const any_matrix_view here = matrix_view<const T>(x.data(), rows, cols, stride, memory_space::host);
    for (const auto& [view, ranges] : {std::pair(there, false), {there, true}, {here, false}, {here, true}}) {
        const std::span<const double> none;
        const std::int64_t drawn =
            engine->draw({view, f, share, seed, ranges ? std::span(lower) : none, ranges ? std::span(upper) : none});
        ASSERT_EQ(drawn, std::ssize(usual));
        std::vector<double> got(drawn * cols), got_usual(drawn);
        if (drawn > 0)
            engine->drawn(got, got_usual);
        EXPECT_EQ(got, want);
        const bool some = ranges && std::ranges::count(usual, 1.0) > 0;
        EXPECT_EQ(got_usual, some ? usual : std::vector<double>(drawn, 1));
    }
}

TEST(CudaStart, DrawsTheRowsThatTheHostDraws) {
    for (const std::int64_t rows : {1, 16, 4095, 4097, 9000}) // a thread has 16 rows, a block 4096
        for (const double share : {0.3, 1.0})
            check_draw<float>(rows, share);
    check_draw<double>(5000, 0.9);
    check_draw<float>(45000, 1);   // more than are gathered at a time
    check_draw<double>(300, 1e-9); // none
}

TEST(CudaStart, RowsOfTheDeviceBeginWhereThoseOfTheHostDo) {
    const context ctx = context::cuda();
    const std::int64_t rows = 2500, cols = 4;
    const std::vector<float> x = test::as<float>(test::clustered(rows, cols, 3, 4.0, 5));
    const cuda::device_buffer<float> on_device(ctx.state().cuda, "test", rows * cols);
    cuda::copy_async(*ctx.state().cuda, on_device.data(), x.data(), rows * cols);
    const data_source here(matrix_view<const float>(x.data(), rows, cols));
    const data_source there(device_matrix<const float>(on_device.data(), rows, cols));
    for (const std::int64_t restarts : {1, 4}) {
        fit_options options{.components = 3, .restarts = restarts, .max_iterations = 2};
        EXPECT_EQ(fit(ctx, there, options).model, fit(ctx, here, options).model) << restarts;
    }
}

constexpr const char* counted_start = "CudaStart.DISABLED_OneStart";
constexpr std::int64_t counted_components = 8;

TEST(CudaStart, DISABLED_OneStart) {
    const start_sample s = make_sample(8200, 4, counted_components); // large enough for one run in each coordinates
    start_parameters(context::cuda(), s, {family::full, 4, counted_components}, {}, std::vector<double>(4, 1e-3));
}

// docs/kernels.md section 6, "Starts".
TEST(CudaStart, WorkIsThatOfThePrediction) {
    if (!test::emulated())
        GTEST_SKIP() << "counters come from the emulator";
    const bench::start_shape s{{family::full, 4, counted_components}, 8200, 8200, 2, false};
    const nlohmann::json kernels = test::count_elsewhere(counted_start, "ELBO_COUNTED_START", "");
    EXPECT_EQ(test::sum_counters(kernels, "").launches, bench::start_launches(s.ways));
    // Every step is counted with as many candidates, in tiles of up to 512 rows.
    const auto ways = static_cast<double>(s.ways), k = static_cast<double>(counted_components);
    const double choices = test::sum_counters(kernels, "::choose_centres").fp64 / (ways * k);
    EXPECT_GE(choices, 0.9 * bench::choice_operations(s));
    EXPECT_LE(choices, 1.1 * bench::choice_operations(s));
    const double iterations =
        test::sum_counters(kernels, "::move_centres").fp64 / (ways * bench::assignment_operations(s));
    EXPECT_GE(iterations, 2);
    EXPECT_LE(iterations, 1.5 * bench::most_lloyd_iterations);
    std::printf("%.2f of the predicted operations of a centre, %.1f iterations\n",
                choices / bench::choice_operations(s), iterations);
}

TEST(CudaStart, SaysThatACovarianceIsNotFinite) {
    start_sample s = make_sample(1000, 5, 2);
    s.x[7] = std::numeric_limits<double>::infinity();
    EXPECT_THROW(start_parameters(context::cuda(), s, {family::full, 5, 3}, {}, std::vector<double>(5, 1e-3)),
                 std::exception);
}

} // namespace
} // namespace elbo::gmm
