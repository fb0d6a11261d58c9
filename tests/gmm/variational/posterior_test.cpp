// The posterior as a value and on disk, its predictive distribution, and what is refused.
#include "elbo/error.hpp"
#include "elbo/gmm/variational.hpp"
#include "tests/support/data.hpp"
#include "tests/support/gmm/cases.hpp"
#include "tests/support/sources.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <filesystem>
#include <fstream>
#include <functional>
#include <limits>
#include <numeric>

namespace elbo::gmm {
namespace {

using test::view;

constexpr weights_model both_models[] = {weights_model::dirichlet, weights_model::stick_breaking};

variational_result small_fit(family f, weights_model w, std::int64_t components, const std::vector<double>& x,
                             std::int64_t d) {
    variational_options o;
    o.components = components;
    o.shape = f;
    o.weights_prior = w;
    o.max_iterations = 10;
    return fit_variational(context::reference(), view(x, d), o);
}

TEST(VariationalPosterior, PredictsAsTheEvidenceGrows) {
    // With one component p(x_{n+1} | x_1 ... x_n) is the ratio of two evidences, each of which is exact.
    constexpr std::int64_t d = 3, n = 30;
    const std::vector<double> x = test::clustered(n + 1, d, 2, 2, 4);
    const std::vector<double> seen(x.begin(), x.end() - d), next(x.end() - d, x.end());
    for (const family f : test::all_families) {
        SCOPED_TRACE(to_string(f));
        const auto q = small_fit(f, weights_model::dirichlet, 1, seen, d);
        variational_options o;
        o.shape = f;
        o.prior = q.posterior.values().prior;
        const auto more = fit_variational(context::reference(), view(x, d), o);
        const double density = log_density(context::reference(), q.posterior, view(next, d))[0];
        EXPECT_NEAR(density, more.total_bound - q.total_bound, 1e-9);
    }
}

TEST(VariationalPosterior, PredictiveDensityIntegratesToOneAndIsSampled) {
    const std::vector<double> x = test::clustered(60, 1, 2, 4, 8);
    const auto q = small_fit(family::full, weights_model::stick_breaking, 3, x, 1).posterior;
    constexpr int steps = 40000;
    constexpr double low = -200, width = 400.0 / steps;
    std::vector<double> grid(steps + 1), cumulative(steps + 1, 0);
    for (int i = 0; i <= steps; ++i)
        grid[i] = low + width * i;
    const std::vector<double> density = log_density(context::reference(), q, view(grid, 1));
    for (int i = 1; i <= steps; ++i)
        cumulative[i] = cumulative[i - 1] + 0.5 * width * (std::exp(density[i - 1]) + std::exp(density[i]));
    // The tails beyond 200 fall as a power: an empty component has t distribution with two degrees of freedom.
    EXPECT_NEAR(cumulative[steps], 1, 1e-3);
    constexpr std::int64_t n = 20000;
    std::vector<double> drawn = sample(context::reference(), q, n, 5).x;
    std::ranges::sort(drawn);
    double apart = 0; // Kolmogorov and Smirnov
    for (std::int64_t i = 0; i < n; ++i) {
        const auto at = std::clamp<std::int64_t>(std::lround((drawn[i] - low) / width), 0, steps);
        apart = std::max(apart, std::abs(cumulative[at] - (static_cast<double>(i) + 0.5) / n));
    }
    EXPECT_LT(apart, 1.63 / std::sqrt(static_cast<double>(n)) + 1e-3); // the 1 % quantile, and the tails
}

TEST(VariationalPosterior, DensityBeyondTheRangeOfSquaresIsZero) {
    const std::vector<double> x = test::clustered(60, 2, 2, 4, 8);
    for (const family f : test::all_families) {
        const auto q = small_fit(f, weights_model::dirichlet, 2, x, 2).posterior;
        const std::vector<double> far = {1e200, -1e200, 0, 0}; // the squares of the first row are infinite
        const std::vector<double> density = log_density(context::reference(), q, view(far, 2));
        EXPECT_EQ(density[0], -std::numeric_limits<double>::infinity()) << to_string(f);
        EXPECT_TRUE(std::isfinite(density[1])) << to_string(f);
    }
}

TEST(VariationalPosterior, SamplesHaveTheMomentsOfTheStudentT) {
    constexpr std::int64_t d = 2, n = 40000;
    const std::vector<double> x = test::clustered(40, d, 1, 3, 6);
    for (const family f : test::all_families) {
        SCOPED_TRACE(to_string(f));
        const variational_posterior q = small_fit(f, weights_model::dirichlet, 1, x, d).posterior;
        const double beta = q.values().mean_precisions[0], nu = q.values().degrees_of_freedom[0];
        const double degrees = f == family::full || f == family::tied ? nu + 1 - d : nu;
        const std::vector<double> plug_in = q.model().covariance(0);
        const sample_result s = sample(context::reference(), q, n, 3);
        EXPECT_EQ(s.x, sample(context::reference(), q, n, 3).x);
        for (std::int64_t i = 0; i < d; ++i)
            for (std::int64_t j = 0; j < d; ++j) {
                double sum = 0;
                for (std::int64_t row = 0; row < n; ++row)
                    sum += (s.x[row * d + i] - q.values().means[i]) * (s.x[row * d + j] - q.values().means[j]);
                // E (x − m)(x − m)ᵀ = (1 + β) ν / (β (degrees − 2)) E[Λ]⁻¹. Standard error of a mean of products:
                // √(2/n) of the variances, some more for the tails of about 40 degrees of freedom; five of them.
                const double want = (1 + beta) * nu / (beta * (degrees - 2)) * plug_in[i * d + j];
                EXPECT_NEAR(sum / n, want, 6 * std::sqrt(2.0 / n) * std::sqrt(plug_in[i * d + i] * plug_in[j * d + j]));
            }
    }
}

TEST(VariationalPosterior, SurvivesAFileToTheBit) {
    constexpr std::int64_t d = 3;
    const std::vector<double> x = test::clustered(80, d, 2, 4, 2);
    const auto folder = std::filesystem::temp_directory_path() / ("elbo_posterior_" + std::to_string(getpid()));
    std::filesystem::create_directory(folder);
    for (const family f : test::all_families)
        for (const weights_model w : both_models)
            for (const std::int64_t k : {1, 3})
                for (const char* ending : {".safetensors", ".json"}) {
                    const std::string path = (folder / ("q" + std::string(ending))).string();
                    const variational_posterior q = small_fit(f, w, k, x, d).posterior;
                    save(q, path, {"a", "b", "c"});
                    EXPECT_EQ(load_posterior(path), q) << to_string(f) << " " << to_string(w) << " k=" << k << ending;
                    EXPECT_THROW(load(path), file_error);
                }
    save(small_fit(family::full, weights_model::dirichlet, 2, x, d).model, (folder / "m.json").string());
    EXPECT_THROW(load_posterior((folder / "m.json").string()), file_error);
    EXPECT_THROW(load_posterior((folder / "none.json").string()), file_error);
    const variational_posterior q = small_fit(family::full, weights_model::dirichlet, 2, x, d).posterior;
    EXPECT_THROW(save(q, (folder / "q.csv").string()), invalid_argument);
    EXPECT_THROW(save(q, (folder / "q.json").string(), {"a"}), invalid_argument);
    // A file that breaks a rule of the values is at fault itself.
    save(q, (folder / "q.json").string());
    std::ifstream in(folder / "q.json");
    std::string text((std::istreambuf_iterator<char>(in)), std::istreambuf_iterator<char>());
    const std::string key = "\"prior_mean_precision\": [";
    text.insert(text.find(key) + key.size(), "-");
    std::ofstream(folder / "q.json") << text;
    EXPECT_THROW(load_posterior((folder / "q.json").string()), file_error);
    std::filesystem::remove_all(folder);
}

TEST(VariationalPosterior, DropsEmptyComponentsOnRequest) {
    constexpr std::int64_t d = 2;
    const std::vector<double> x = test::clustered(300, d, 2, 8, 1);
    for (const family f : test::all_families)
        for (const weights_model w : both_models) {
            SCOPED_TRACE(std::string(to_string(f)) + " " + std::string(to_string(w)));
            variational_options o;
            o.components = 5;
            o.shape = f;
            o.weights_prior = w;
            o.prior.concentration = 1e-3;
            o.max_iterations = 200;
            const auto q = fit_variational(context::reference(), view(x, d), o).posterior;
            const auto kept = q.effective_components(1);
            ASSERT_LT(kept.size(), 5u);
            const auto small = q.without_empty(1);
            ASSERT_EQ(small.components(), static_cast<std::int64_t>(kept.size()));
            for (std::size_t i = 0; i < kept.size(); ++i) {
                EXPECT_EQ(small.values().means[i * d], q.values().means[kept[i] * d]);
                // What was dropped had less than 1 of 300 samples each.
                EXPECT_NEAR(small.expected_weights()[i], q.expected_weights()[kept[i]], 3 / 300.0);
            }
            const auto weights = small.expected_weights();
            EXPECT_NEAR(std::accumulate(weights.begin(), weights.end(), 0.0), 1, 1e-14);
            EXPECT_THROW(q.without_empty(1e9), invalid_argument);
        }
}

TEST(VariationalPosterior, TakesWhatIsGivenOfThePrior) {
    constexpr std::int64_t d = 2;
    const std::vector<double> x = test::clustered(50, d, 1, 3, 6);
    variational_options o;
    o.prior.mean = {{0.1, 0.7}};
    o.prior.scale = {{1.3, 0.1, 0.1, 2.7}};
    const auto q = fit_variational(context::reference(), view(x, d), o).posterior.values();
    EXPECT_EQ(*q.prior.mean, *o.prior.mean);
    EXPECT_EQ(*q.prior.scale, *o.prior.scale);
    EXPECT_EQ(*q.prior.concentration, 1);
    EXPECT_EQ(*q.prior.degrees_of_freedom, 2);
    o.prior = {};
    const auto p = fit_variational(context::reference(), view(x, d), o).posterior.values().prior;
    for (std::int64_t j = 0; j < d; ++j) {
        double mean = 0, square = 0;
        for (std::int64_t n = 0; n < 50; ++n)
            mean += x[n * d + j] / 50;
        for (std::int64_t n = 0; n < 50; ++n)
            square += (x[n * d + j] - mean) * (x[n * d + j] - mean) / 50;
        EXPECT_NEAR((*p.mean)[j], mean, 1e-12);
        EXPECT_NEAR((*p.scale)[j * d + j], square * (1 + 1e-6), 1e-12 * square);
    }
}

TEST(VariationalPosterior, StaysFiniteWithConstantColumnsAndRepeatedRows) {
    constexpr std::int64_t d = 3;
    std::vector<double> x;
    for (int n = 0; n < 40; ++n)
        x.insert(x.end(), {static_cast<double>(n % 4), 2.5, static_cast<double>(n % 4) * 2});
    for (const family f : test::all_families) {
        SCOPED_TRACE(to_string(f));
        const auto r = small_fit(f, weights_model::dirichlet, 4, x, d);
        for (const double v : r.model.precision_cholesky())
            EXPECT_TRUE(std::isfinite(v));
        for (std::size_t t = 1; t < r.trace.size(); ++t)
            EXPECT_GE(r.trace[t].bound, r.trace[t - 1].bound - 1e-7);
    }
}

/// Throws invalid_argument whose message has `text` in it.
void expect_refused(const std::string& text, const std::function<void()>& action) {
    try {
        action();
        ADD_FAILURE() << "not refused: " << text;
    } catch (const invalid_argument& e) {
        EXPECT_NE(std::string(e.what()).find(text), std::string::npos) << e.what();
    }
}

TEST(VariationalPosterior, RefusesBadOptions) {
    constexpr double nan = std::numeric_limits<double>::quiet_NaN();
    const std::vector<double> x = test::clustered(50, 2, 1, 3, 6);
    const auto refuses = [&](const std::string& text, const std::function<void(variational_options&)>& change) {
        variational_options o;
        o.components = 2;
        change(o);
        expect_refused(text, [&] { fit_variational(context::reference(), view(x, 2), o); });
    };
    refuses("prior.concentration = 0", [](auto& o) { o.prior.concentration = 0; });
    refuses("prior.concentration = nan", [&](auto& o) { o.prior.concentration = nan; });
    refuses("prior.mean_precision = -1", [](auto& o) { o.prior.mean_precision = -1; });
    refuses("prior.mean has 3 numbers: expected d = 2", [](auto& o) { o.prior.mean = {{1, 2, 3}}; });
    refuses("prior.mean[1] = nan", [&](auto& o) { o.prior.mean = {{1, nan}}; });
    refuses("prior.degrees_of_freedom = 1: expected a finite number above 1",
            [](auto& o) { o.prior.degrees_of_freedom = 1; });
    refuses("prior.degrees_of_freedom = 0", [](auto& o) {
        o.shape = family::diagonal;
        o.prior.degrees_of_freedom = 0;
    });
    refuses("prior.scale has 1 numbers: expected d x d = 4", [](auto& o) { o.prior.scale = {{1}}; });
    refuses("prior.scale has 4 numbers: expected d = 2", [](auto& o) {
        o.shape = family::tied_diagonal;
        o.prior.scale = {{1, 0, 0, 1}};
    });
    refuses("prior.scale: ", [](auto& o) { o.prior.scale = {{1, 2, 2, 1}}; });
    refuses("components = 0", [](auto& o) { o.components = 0; });
    refuses("components = 100", [](auto& o) { o.components = 100; });
    refuses("restarts = 0", [](auto& o) { o.restarts = 0; });
    refuses("max_iterations = 0", [](auto& o) { o.max_iterations = 0; });
    refuses("tolerance = -1", [](auto& o) { o.tolerance = -1; });
    refuses("weights", [](auto& o) { o.weights = std::vector<double>{1, 2}; });
    refuses("start_model", [](auto& o) { o.start_model = model::from_covariances(family::full, 1, {1}, {0}, {1}); });
    expect_refused("sideways", [] { weights_model_from_string("sideways"); });
}

TEST(VariationalPosterior, RefusesBadValues) {
    const std::vector<double> x = test::clustered(50, 2, 1, 3, 6);
    const auto good = small_fit(family::full, weights_model::dirichlet, 2, x, 2).posterior;
    const auto refuses = [&](const std::string& text,
                             const std::function<void(variational_posterior::parameters&)>& change) {
        auto p = good.values();
        change(p);
        expect_refused(text, [&] { variational_posterior q(p); });
    };
    refuses("dimensions = 0", [](auto& p) { p.dimensions = 0; });
    refuses("prior is incomplete", [](auto& p) { p.prior.scale.reset(); });
    refuses("concentrations has 1", [](auto& p) { p.concentrations.pop_back(); });
    refuses("concentrations[0] = -1", [](auto& p) { p.concentrations[0] = -1; });
    refuses("mean_precisions[1] = 0", [](auto& p) { p.mean_precisions[1] = 0; });
    refuses("degrees_of_freedom[0] = 0.5", [](auto& p) { p.degrees_of_freedom[0] = 0.5; });
    refuses("means has", [](auto& p) { p.means.pop_back(); });
    refuses("precision_cholesky of component 0", [](auto& p) { p.precision_cholesky[0] = -1; });
    expect_refused("n = -1", [&] { sample(context::reference(), good, -1, 0); });
    const std::vector<double> other(6, 0.0);
    expect_refused("expected 2, the dimensions", [&] { log_density(context::reference(), good, view(other, 3)); });
    const std::vector<double> broken = {0, 0, 1, std::numeric_limits<double>::infinity()};
    expect_refused("row 1, column 1", [&] { log_density(context::reference(), good, view(broken, 2)); });
}

TEST(VariationalPosterior, CallbacksEndAFit) {
    const std::vector<double> x = test::clustered(50, 2, 2, 3, 6);
    variational_options o;
    o.components = 2;
    o.restarts = 3;
    o.callback = [](const variational_progress& now) { return now.record.iteration < 2; };
    const auto r = fit_variational(context::reference(), view(x, 2), o);
    EXPECT_EQ(r.stopped, stop_reason::interrupted);
    EXPECT_EQ(r.iterations, 3);
    o.callback = {};
    const auto best = fit_variational(context::reference(), view(x, 2), o);
    o.restarts = 1;
    EXPECT_GE(best.bound, fit_variational(context::reference(), view(x, 2), o).bound);
}

} // namespace
} // namespace elbo::gmm
