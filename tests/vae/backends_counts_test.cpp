// Autoencoders of counts: what a decoder without inputs must reach, rows that are no counts, files, samples.
#include "elbo/error.hpp"
#include "elbo/vae/infer.hpp"
#include "elbo/vae/train.hpp"
#include "kernels/contract/vae_engine.hpp"
#include "kernels/math/likelihood/families.hpp"
#include "kernels/math/special_functions.hpp"
#include "tests/support/backends.hpp"
#include "tests/support/io_files.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <numeric>
#include <string>
#include <vector>

namespace elbo::vae {
namespace {

constexpr std::int64_t rows = 400, columns = 5;

/// Independent counts of the likelihood itself, with another mean in each column.
std::vector<float> independent_counts(likelihood_family family, double theta) {
    const kernels::noise_key key = kernels::make_noise_key(3, kernels::noise_purpose::sample_observation, 0);
    const double means[columns] = {0.05, 0.7, 3, 12, 80};
    std::vector<float> x;
    for (std::int64_t n = 0; n < rows; ++n) {
        std::vector<float> row(means, means + columns);
        const std::vector<double> own{theta};
        kernels::with_likelihood(family, [&](auto of) {
            of.draw({key, static_cast<std::uint64_t>(n)}, likelihood{}, own, row);
        });
        x.insert(x.end(), row.begin(), row.end());
    }
    return x;
}

std::vector<double> column(const std::vector<float>& x, std::int64_t j) {
    std::vector<double> result;
    for (std::int64_t n = 0; n < rows; ++n)
        result.push_back(static_cast<double>(x[n * columns + j]));
    return result;
}

double mean_of(const std::vector<double>& x) {
    return std::accumulate(x.begin(), x.end(), 0.0) / static_cast<double>(x.size());
}

/// Mean of ln p over a column by the textbook formula.
double poisson_log_likelihood(const std::vector<double>& x, double mean) {
    double sum = 0;
    for (double value : x)
        sum += value * std::log(mean) - mean - std::lgamma(value + 1);
    return sum / static_cast<double>(x.size());
}

/// That of the negative binomial distribution at the θ where the derivative vanishes, the mean being that of the
/// column.
double dispersed_log_likelihood(const std::vector<double>& x, double& theta) {
    const double mean = mean_of(x);
    const auto slope = [&](double t) {
        double sum = 0;
        for (double value : x)
            sum += kernels::digamma(value + t) - kernels::digamma(t) + std::log(t / (t + mean)) + 1 -
                   (value + t) / (mean + t);
        return sum;
    };
    double low = 1e-6, high = 1e6;
    for (int i = 0; i < 200; ++i)
        (slope(std::sqrt(low * high)) > 0 ? low : high) = std::sqrt(low * high);
    theta = low;
    double sum = 0;
    for (double value : x)
        sum += std::lgamma(value + theta) - std::lgamma(theta) - std::lgamma(value + 1) +
               theta * std::log(theta / (theta + mean)) + value * std::log(mean / (theta + mean));
    return sum / static_cast<double>(x.size());
}

architecture without_inputs(likelihood_family family, count_mean mean) {
    architecture a;
    a.dimensions = columns;
    a.latent = 1;
    a.encoder = a.decoder = {};
    a.likelihood.family = family;
    a.likelihood.count_mean = mean;
    return a;
}

/// All 0 but the bias of the decoder, which is that of means 1.6 times too large.
std::vector<double> beginning(const architecture& a, const std::vector<float>& x) {
    std::vector<double> means;
    for (std::int64_t j = 0; j < columns; ++j)
        means.push_back(1.6 * mean_of(column(x, j)));
    std::vector<double> p = model(a, 0, means).parameters();
    const std::int64_t bias = kernels::make_layout(a).decoder.back().bias;
    std::fill_n(p.begin(), bias, 0.0);
    return p;
}

/// Where the maximum can be reached in time: interpreted kernels are compared with the reference gradient by gradient
/// (kernels/vae/backends_engine_test.cpp).
std::vector<context> fast_contexts() {
    std::vector<context> result = test::contexts_under_test();
    if (test::slow_device())
        std::erase_if(result, [](const context& c) { return c.where() == backend::cuda; });
    return result;
}

/// Gradient ascent on the bias of the decoder and the likelihood's own parameters alone; the weights stay 0, so that
/// q(z|x) is the prior and the decoder sees nothing. Returns the objective, the mean log-likelihood of a row.
double ascend(kernels::vae_engine& engine, const std::vector<float>& x, std::vector<double>& p) {
    const kernels::vae_rows all{matrix_view<const float>(x.data(), rows, columns), 0, 0, rows, 0};
    engine.reserve({.batch = rows});
    const std::int64_t first = engine.layout.decoder.back().bias;
    std::vector<double> squares(p.size(), 0), gradient;
    double objective = 0;
    for (int step = 0; step < 2000; ++step) {
        engine.set_parameters(p);
        objective = engine.gradient({}, 1, 0, all, gradient).objective / rows;
        for (std::size_t i = static_cast<std::size_t>(first); i < p.size(); ++i) { // RMSprop whose rate falls
            squares[i] = 0.9 * squares[i] + 0.1 * gradient[i] * gradient[i];
            p[i] += 0.3 * std::pow(0.995, step) * gradient[i] / (std::sqrt(squares[i]) + 1e-12);
        }
    }
    return objective;
}

TEST(VaeCounts, DecoderWithoutInputsReachesTheMaximumOfPoisson) {
    const auto x = independent_counts(likelihood_family::poisson, 1);
    double best = 0;
    for (std::int64_t j = 0; j < columns; ++j)
        best += poisson_log_likelihood(column(x, j), mean_of(column(x, j)));
    for (const context& ctx : fast_contexts())
        for (count_mean form : {count_mean::softplus, count_mean::exponential}) {
            SCOPED_TRACE(ctx.name());
            const architecture a = without_inputs(likelihood_family::poisson, form);
            const auto engine = kernels::make_vae_engine(ctx, kernels::make_layout(a));
            std::vector<double> p = beginning(a, x);
            const double reached = ascend(*engine, x, p);
            EXPECT_NEAR(reached, best, 1e-5 * std::abs(best));
            const std::vector<float> z{0};
            const auto means = decode(ctx, model(a, p), matrix_view<const float>(z.data(), 1, 1));
            for (std::int64_t j = 0; j < columns; ++j)
                EXPECT_NEAR(means[j] / mean_of(column(x, j)), 1, 1e-2);
        }
}

TEST(VaeCounts, DecoderWithoutInputsReachesTheMaximumOfNegativeBinomial) {
    const auto x = independent_counts(likelihood_family::negative_binomial, 1.5);
    double best = 0;
    std::vector<double> thetas(columns);
    for (std::int64_t j = 0; j < columns; ++j)
        best += dispersed_log_likelihood(column(x, j), thetas[j]);
    for (const context& ctx : fast_contexts()) {
        SCOPED_TRACE(ctx.name());
        architecture a = without_inputs(likelihood_family::negative_binomial, count_mean::softplus);
        const auto engine = kernels::make_vae_engine(ctx, kernels::make_layout(a));
        std::vector<double> p = beginning(a, x);
        EXPECT_NEAR(ascend(*engine, x, p), best, 1e-5 * std::abs(best));
        const std::vector<double> reached = model(a, p).own_parameter();
        ASSERT_EQ(reached.size(), thetas.size());
        for (std::int64_t j = 1; j < columns; ++j) // of the rarest counts θ is hardly known
            EXPECT_NEAR(reached[j] / thetas[j], 1, 0.05) << j;
        // One θ for all columns lies between them, and reaches less.
        a.likelihood.dispersion = parameter_source::learned;
        const auto one = kernels::make_vae_engine(ctx, kernels::make_layout(a));
        p = beginning(a, x);
        EXPECT_LT(ascend(*one, x, p), best);
        const double theta = model(a, p).own_parameter().front();
        EXPECT_GT(theta, *std::min_element(thetas.begin() + 1, thetas.end()));
        EXPECT_LT(theta, *std::max_element(thetas.begin() + 1, thetas.end()));
    }
}

std::string message_of(const std::vector<float>& x) {
    architecture a = without_inputs(likelihood_family::poisson, count_mean::softplus);
    try {
        train(context::reference(), a, matrix_view<const float>(x.data(), 3, columns), {.epochs = 1, .batch = 3});
    } catch (const invalid_argument& e) {
        return e.what();
    }
    return "";
}

TEST(VaeCounts, RowsThatAreNoCounts) {
    for (float bad : {-1.0f, 0.5f, 16777218.0f}) {
        std::vector<float> x(3 * columns, 2.0f);
        x[1 * columns + 3] = bad;
        const std::string message = message_of(x);
        EXPECT_NE(message.find("row 1, column 3 is"), std::string::npos) << message;
        EXPECT_NE(message.find("expected a whole number from 0 to 16777216 for the poisson likelihood"),
                  std::string::npos)
            << message;
    }
    EXPECT_EQ(message_of(std::vector<float>(3 * columns, 2.0f)), "");
}

architecture of_cells(likelihood_family family) {
    architecture a = without_inputs(family, count_mean::exponential);
    a.encoder = a.decoder = {4};
    a.likelihood.library_size = true;
    a.encoder_input = encoder_input::log1p;
    return a;
}

TEST(VaeCounts, FilesKeepWhatIsUsed) {
    const test::temporary_folder folder;
    for (const char* name : {"m.safetensors", "m.json"}) {
        for (likelihood_family family : {likelihood_family::poisson, likelihood_family::negative_binomial}) {
            architecture a = of_cells(family);
            if (family == likelihood_family::negative_binomial)
                a.likelihood.theta = 7;
            const model m(a, 1);
            m.save(folder.path(name));
            const model back = model::load(folder.path(name));
            EXPECT_EQ(back.architecture(), m.architecture());
            EXPECT_EQ(back.parameters(), m.parameters());
            EXPECT_TRUE(back.architecture().likelihood.library_size);
            EXPECT_EQ(back.architecture().encoder_input, encoder_input::log1p);
        }
    }
}

TEST(VaeCounts, MembersThatPlayNoPart) {
    architecture a = without_inputs(likelihood_family::gaussian, count_mean::exponential);
    EXPECT_THROW(a.check(), invalid_argument);
    a.likelihood.count_mean = count_mean::softplus;
    a.check();
    a.likelihood.library_size = true;
    EXPECT_THROW(a.check(), invalid_argument);
    a.likelihood.library_size = false;
    a.encoder_input = encoder_input::log1p;
    EXPECT_THROW(a.check(), invalid_argument);
}

TEST(VaeCounts, MeansGoWithTheSumOfTheRow) {
    // Twice the counts: a decoder that sees nothing gives twice the means, and samples add up to what is asked for.
    for (const context& ctx : test::contexts_under_test()) {
        SCOPED_TRACE(ctx.name());
        architecture a = without_inputs(likelihood_family::poisson, count_mean::exponential);
        a.likelihood.library_size = true;
        std::vector<double> p(static_cast<std::size_t>(a.parameters()), 0.0);
        const std::int64_t bias = kernels::make_layout(a).decoder.back().bias;
        for (std::int64_t j = 0; j < columns; ++j)
            p[bias + j] = std::log((static_cast<double>(j) + 1) / 15);
        const model m(a, p);
        const std::vector<float> x{3, 0, 2, 5, 0, 6, 0, 4, 10, 0};
        const auto means = reconstruct(ctx, m, matrix_view<const float>(x.data(), 2, columns));
        for (std::int64_t j = 0; j < columns; ++j) {
            EXPECT_NEAR(static_cast<double>(means[j]), 10 * (static_cast<double>(j) + 1) / 15, 1e-5);
            EXPECT_NEAR(static_cast<double>(means[columns + j]), 2 * static_cast<double>(means[j]), 1e-5);
        }
        const auto drawn = sample(ctx, m, 500, {.seed = 4, .row_sum = 200});
        const double total = std::accumulate(drawn.begin(), drawn.end(), 0.0);
        EXPECT_NEAR(total / 500, 200, 5 * std::sqrt(200.0 / 500));
        EXPECT_THROW(sample(ctx, m, 1, {.row_sum = -1}), invalid_argument);
    }
}

} // namespace
} // namespace elbo::vae
