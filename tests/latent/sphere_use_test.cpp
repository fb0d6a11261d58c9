// The sphere model in use: samples, files, callbacks, bad input.
#include "elbo/error.hpp"
#include "elbo/latent/sphere.hpp"
#include "host/latent/file.hpp"
#include "tests/support/io_files.hpp"

#include <gtest/gtest.h>

#include <cmath>
#include <limits>
#include <numeric>

namespace elbo::latent {
namespace {

const context ctx = context::cpu(2);

data_source rows_of(const std::vector<double>& x, std::int64_t d) {
    return matrix_view<const double>(x.data(), static_cast<std::int64_t>(x.size()) / d, d);
}

TEST(LatentSphere, SamplesAreOfTheModelAndComeInParts) {
    constexpr std::int64_t d = 3, rows = 20000;
    const sphere_model m({{0.5, -2, 3}, 2, 0.25});
    const sphere_sample s = sample(ctx, m, rows, 9);
    std::vector<double> error;
    for (std::int64_t n = 0; n < rows; ++n) {
        double square = 0;
        for (std::int64_t j = 0; j < d; ++j)
            square += s.u[n * d + j] * s.u[n * d + j];
        ASSERT_NEAR(square, 1, 1e-14);
        for (std::int64_t j = 0; j < d; ++j)
            error.push_back(std::pow(s.x[n * d + j] - m.centre()[j] - 2 * s.u[n * d + j], 2));
    }
    // Five standard errors: of σ² from 3n squares, and of ⟨u⟩ with variance 1/d.
    EXPECT_NEAR(std::accumulate(error.begin(), error.end(), 0.0) / (d * rows), 0.25,
                5 * 0.25 * std::sqrt(2.0 / (d * rows)));
    for (std::int64_t j = 0; j < d; ++j) {
        double sum = 0;
        for (std::int64_t n = 0; n < rows; ++n)
            sum += s.u[n * d + j] / rows;
        EXPECT_NEAR(sum, 0, 5 * std::sqrt(1.0 / (d * rows)));
    }
    const sphere_sample part = sample_rows(m, 100, 50, 9);
    EXPECT_EQ(part.x, std::vector<double>(s.x.begin() + 100 * d, s.x.begin() + 150 * d));
    const std::vector<double> means = posterior(ctx, m, rows_of(part.x, d)).means;
    const std::vector<double> clean = reconstruct(ctx, m, rows_of(part.x, d));
    for (std::size_t i = 0; i < means.size(); ++i)
        EXPECT_NEAR(clean[i], m.centre()[i % d] + 2 * means[i], 1e-14);
}

TEST(LatentSphere, SaysWhatIsWrong) {
    const std::vector<double> x{1, 2, 3, 4};
    const auto wrong = [&](auto change) {
        sphere_options o;
        change(o);
        return o;
    };
    const double nan = std::numeric_limits<double>::quiet_NaN();
    const std::vector<double> negative{1, -1}, nothing{0, 0}, one{1};
    for (const sphere_options& o :
         {wrong([](auto& o) { o.restarts = 0; }), wrong([](auto& o) { o.max_iterations = 0; }),
          wrong([](auto& o) { o.tolerance = -1; }), wrong([](auto& o) { o.noise_floor = 0; }),
          wrong([&](auto& o) { o.noise_floor = nan; }), wrong([](auto& o) { o.memory_limit = -1; }), wrong([](auto& o) {
              o.start_model = sphere_model({{1, 2, 3}, 1, 1});
          }),
          wrong([&](auto& o) { o.weights = negative; }), wrong([&](auto& o) { o.weights = nothing; }),
          wrong([&](auto& o) { o.weights = one; })})
        EXPECT_THROW(fit(ctx, rows_of(x, 2), o), invalid_argument);
    const std::vector<double> bad{1, 2, nan, 4};
    EXPECT_THROW(fit(ctx, rows_of(bad, 2), sphere_options{}), invalid_argument);
    const sphere_model m({{1, 2}, 1, 1});
    EXPECT_THROW(log_density(ctx, m, rows_of(bad, 2)), invalid_argument);
    EXPECT_THROW(log_density(ctx, m, rows_of(x, 4)), invalid_argument);
    EXPECT_THROW(score(ctx, m, rows_of(x, 4)), invalid_argument);
    EXPECT_THROW(sample(ctx, m, -1, 0), invalid_argument);
    for (const sphere_parameters& p :
         {sphere_parameters{{}, 1, 1}, sphere_parameters{{nan}, 1, 1}, sphere_parameters{{1}, -1, 1},
          sphere_parameters{{1}, nan, 1}, sphere_parameters{{1}, 1, 0}, sphere_parameters{{1}, 1, 1e-26}})
        EXPECT_THROW(sphere_model{p}, invalid_argument);
}

TEST(LatentSphere, FilesKeepEveryBit) {
    const test::temporary_folder folder;
    const sphere_model m({{1.0 / 3, -1e-150, 2e150}, 0.1, 1e-3});
    for (const std::string name : {"m.safetensors", "m.json"}) {
        save(m, folder.path(name), {"a", "b", "c"});
        EXPECT_EQ(load_sphere(folder.path(name)), m);
        const saved_sphere saved = load_saved_sphere(folder.path(name));
        EXPECT_EQ(saved.column_names, (std::vector<std::string>{"a", "b", "c"}));
    }
    EXPECT_THROW(save(m, folder.path("m.csv")), invalid_argument);
    EXPECT_THROW(save(m, folder.path("n.json"), {"a"}), invalid_argument);
    EXPECT_EQ(folder.files(), 2u);
}

TEST(LatentSphere, FilesThatAreNone) {
    const test::temporary_folder folder;
    const std::string head = R"({"format": "elbo.sphere", "version": 1, "dimensions": )";
    for (const std::string& text :
         {std::string("[]"), head + "0}", head + R"(2, "centre": [1], "radius": 1, "noise": 1})",
          head + R"(1, "centre": [1], "radius": -1, "noise": 1})", head + R"(1, "centre": [1], "noise": 1})",
          head + R"(1, "centre": [1], "radius": 1, "noise": 0})",
          head + R"(1, "column_names": ["a", "b"], "centre": [1], "radius": 1, "noise": 1})",
          std::string(R"({"format": "elbo.sphere", "version": 9, "dimensions": 1})"),
          std::string(R"({"format": "elbo.gmm", "version": 1, "dimensions": 1})")}) {
        const std::string path = folder.write("bad.json", text);
        test::expect_error<file_error>([&] { load_sphere(path); }, {"bad.json"});
    }
    EXPECT_THROW(load_sphere(folder.path("missing.safetensors")), file_error);
}

TEST(LatentSphere, ACallbackEndsTheFit) {
    const std::vector<double> x = sample(ctx, sphere_model({{1, 2}, 1, 0.09}), 100, 1).x;
    sphere_options o;
    o.callback = [](const gmm::progress& p) { return p.record.iteration < 2; };
    const sphere_result r = fit(ctx, rows_of(x, 2), o);
    EXPECT_EQ(r.stopped, gmm::stop_reason::interrupted);
    EXPECT_EQ(r.iterations, 3);
}

} // namespace
} // namespace elbo::latent
