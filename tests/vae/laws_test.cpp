// Laws that need no second implementation: linear networks and PPCA, importance bounds, the sphere, a collapsed
// network.
#include "elbo/vae/infer.hpp"
#include "elbo/vae/train.hpp"
#include "kernels/contract/vae_engine.hpp"
#include "tests/support/backends.hpp"
#include "tests/support/gaussian_truth.hpp"
#include "tests/support/io_files.hpp"
#include "tests/support/vae_data.hpp"

#include <gtest/gtest.h>

#include <cstdlib>
#include <filesystem>

namespace elbo::vae {
namespace {

using test::dense;

/// A file among the larger data sets, which are not in the repository: the folder is in ELBO_DATA_DIR.
std::optional<std::string> large_data(const std::string& name) {
    const char* folder = std::getenv("ELBO_DATA_DIR");
    const std::string path = std::string(folder ? folder : "") + "/" + name;
    return folder && std::filesystem::exists(path) ? std::optional(path) : std::nullopt;
}

/// The 64 grey values of the digits, 0 to 1.
data_source digits(const std::string& path) {
    file_options o;
    for (int j = 0; j < 64; ++j)
        o.columns.push_back(std::to_string(j));
    o.scale = 1.0 / 16;
    return data_source::file(path, o);
}

dense matrix_of(const data_source& data) {
    return {data.rows(), data.cols(), test::all_numbers(data, data.rows())};
}

data_source source_of(const dense& x) {
    return matrix_view<const double>(x.values.data(), x.rows, x.cols);
}

TEST(VaeLaws, PpcaOfTheseTestsIsThePublishedOne) {
    const auto path = large_data("optdigits/optdigits.tra");
    if (!path)
        GTEST_SKIP() << "set ELBO_DATA_DIR to a folder that holds optdigits/optdigits.tra";
    const dense train_rows = matrix_of(digits(*path)), test_rows = matrix_of(digits(test::test_data("optdigits.tes")));
    struct published {
        std::int64_t latent;
        double variance, train, test;
    };
    for (const published& p : {published{2, 0.05437201, -0.1353, -0.6523}, published{5, 0.03661059, 8.5898, 8.0208},
                               published{10, 0.02251544, 17.6559, 16.1356}}) {
        const test::ppca fit = test::fit_ppca(train_rows, p.latent);
        EXPECT_NEAR(fit.variance, p.variance, 5e-9); // the digits that are printed
        EXPECT_NEAR(fit.log_likelihood, p.train, 5e-5);
        EXPECT_NEAR(test::mean_of(test::normal_log_density(test_rows, fit.mean, fit.covariance())), p.test, 5e-5);
    }
}

TEST(VaeLaws, ALinearNetworkReachesTheMaximumLikelihoodOfPpca) {
    const data_source data = digits(test::test_data("optdigits.tes"));
    const dense x = matrix_of(data);
    const test::ppca best = test::fit_ppca(x, 2);
    train_options o;
    o.epochs = 500;
    o.batch = 100;
    o.estimator = gradient_estimator::sticking_the_landing; // no noise in the encoder's gradient at the optimum
    o.optimizer.learning_rate = 0.02;
    o.schedule.form = schedule::kind::cosine;
    const train_result r = train(context::cpu(2), test::linear_network(64, 2), data, o);
    const double reached = test::exact_bound(r.model, x);
    EXPECT_LE(reached, best.log_likelihood + 1e-9);
    EXPECT_GT(reached, best.log_likelihood - 1e-3);
    EXPECT_NEAR(std::pow(r.model.sigma().front(), 2), best.variance, 1e-3 * best.variance);
}

TEST(VaeLaws, TheGradientVanishesAtTheOptimumOfALinearNetwork) {
    const dense x = matrix_of(digits(test::test_data("optdigits.tes")));
    const test::ppca best = test::fit_ppca(x, 5);
    const model m = test::optimal_network(best);
    EXPECT_NEAR(test::exact_bound(m, x), best.log_likelihood, 1e-10) << "the bound is tight there";

    const auto engine = kernels::make_vae_engine(context::reference(), kernels::make_layout(m.architecture()));
    engine->set_parameters(m.parameters());
    kernels::vae_settings s;
    s.estimator = gradient_estimator::sticking_the_landing;
    const kernels::vae_rows rows{matrix_view<const double>(x.values.data(), x.rows, x.cols), 0, 0, x.rows, 0};
    const std::int64_t encoder_end = engine->layout.decoder[0].weights, repeats = 12;
    std::vector<double> sum(m.parameters().size(), 0.0), squares(m.parameters().size(), 0.0);
    for (std::int64_t epoch = 0; epoch < repeats; ++epoch) {
        std::vector<double> gradient;
        engine->gradient(s, 1, epoch, rows, gradient);
        // Where q is the posterior, log w does not depend on z: the encoder's gradient is 0 for every draw. Its terms
        // are of size 1/σ² · 64 = 2e3, so rounding leaves 1e-11.
        for (std::int64_t i = 0; i < encoder_end; ++i)
            ASSERT_NEAR(gradient[i], 0, 1e-9) << "parameter " << i;
        for (std::size_t i = 0; i < sum.size(); ++i) {
            sum[i] += gradient[i];
            squares[i] += gradient[i] * gradient[i];
        }
    }
    // The decoder's gradient is 0 in expectation: twelve independent draws, 385 parameters; Student's t with 11 degrees
    // of freedom is beyond 8 once in 1.5e5.
    for (std::size_t i = encoder_end; i < sum.size(); ++i) {
        const double mean = sum[i] / repeats, variance = squares[i] / repeats - mean * mean;
        EXPECT_NEAR(mean, 0, 8 * std::sqrt(variance / (repeats - 1)) + 1e-12) << "parameter " << i;
    }
}

/// A network far from trained, so that q is far from the posterior.
model rough_network(std::int64_t cols) {
    const architecture a = test::small_network(cols);
    std::vector<double> p = model(a, 2).parameters();
    for (double& v : p)
        v *= 2;
    return {a, p};
}

TEST(VaeLaws, MoreImportanceSamplesNeverLowerTheBound) {
    constexpr std::int64_t rows = 300, cols = 12;
    const std::vector<float> x = test::noisy_bits(rows, cols, 5);
    const model m = rough_network(cols);
    for (const context& ctx : test::contexts()) {
        SCOPED_TRACE(ctx.name());
        std::vector<double> before;
        for (const std::int64_t samples : {1, 5, 50, 500}) {
            evaluate_options e;
            e.seed = static_cast<std::uint64_t>(samples); // independent draws for each number
            e.importance_samples = samples;
            e.samples = 20;
            const row_bounds bounds = evaluate_rows(ctx, m, test::rows_of(x, cols), e);
            if (before.empty())
                before = bounds.elbo; // J = L_1 in expectation
            double mean = 0, square = 0;
            for (std::int64_t n = 0; n < rows; ++n) {
                const double gain = bounds.log_likelihood_bound[n] - before[n];
                mean += gain / rows;
                square += gain * gain / rows;
            }
            const double error = std::sqrt((square - mean * mean) / rows);
            EXPECT_GT(mean, -5 * error) << samples << " samples";
            if (samples == 1) {
                EXPECT_NEAR(mean, 0, 5 * error) << "L_1 is J";
            }
            if (samples == 5) {
                EXPECT_GT(mean, 5 * error) << "here the gain is no accident";
            }
            before = bounds.log_likelihood_bound;
        }
    }
}

TEST(VaeLaws, TheImportanceBoundOfALinearDecoderReachesTheLikelihood) {
    constexpr std::int64_t rows = 40, cols = 5;
    dense x{rows, cols, std::vector<double>(rows * cols)};
    for (std::int64_t i = 0; i < rows * cols; ++i)
        x.values[i] = static_cast<float>(test::normal(6, i) + 2 * test::normal(7, i / cols));
    const test::ppca truth = test::fit_ppca(x, 2);
    const model exact = test::optimal_network(truth);
    const std::vector<double> log_p = test::normal_log_density(x, truth.mean, truth.covariance());

    // A q that is wrong: twice the variance, means shrunk by a tenth.
    std::vector<double> p = exact.parameters();
    const kernels::dense_layer encoder = kernels::make_layout(exact.architecture()).encoder[0];
    for (std::int64_t l = 0; l < 2; ++l) {
        for (std::int64_t j = 0; j < cols; ++j)
            p[encoder.weights + j * 4 + l] *= 0.9;
        p[encoder.bias + l] *= 0.9;
        p[encoder.bias + 2 + l] = test::before_bound(std::log(2 * truth.variance / truth.eigenvalues[l]));
    }
    const model wrong(exact.architecture(), p);
    for (const context& ctx : test::contexts()) {
        SCOPED_TRACE(ctx.name());
        evaluate_options e;
        e.importance_samples = 1;
        // With the exact posterior every weight is p(x): one draw is enough. Rounding: float32 sums of some 30 terms up
        // to 10 where the back end works in float32.
        const row_bounds tight = evaluate_rows(ctx, exact, source_of(x), e);
        for (std::int64_t n = 0; n < rows; ++n)
            EXPECT_NEAR(tight.log_likelihood_bound[n], log_p[n], 1e-4 * (1 + std::abs(log_p[n])));
        e.importance_samples = 5000;
        const evaluation bound = evaluate(ctx, wrong, source_of(x), e);
        EXPECT_LT(bound.elbo, test::mean_of(log_p) - 0.1);
        EXPECT_LT(*bound.effective_sample_size, 4000);
        // ln of a mean of S weights whose relative variance is S/ESS − 1 = v: error √(v/S) a row, bias −v/2S.
        const double v = 5000 / *bound.effective_sample_size - 1;
        EXPECT_NEAR(*bound.log_likelihood_bound, test::mean_of(log_p), 5 * std::sqrt(2 * v / 5000 / rows) + v / 5000);
    }
}

// The sphere in the plane: x = r z/‖z‖ + m + σ ε. docs/theory.md's formula with d = 2 has I_0 alone.
double sphere_log_density(double x, double y, double r, double sigma, const double* m) {
    const double distance = std::hypot(x - m[0], y - m[1]), s2 = sigma * sigma;
    const double kappa = r * distance / s2;
    return -std::log(2 * M_PI * s2) - (distance * distance + r * r) / (2 * s2) +
           std::log(std::cyl_bessel_i(0.0, kappa));
}

struct plane_point {
    double mean[2], log_variance[2], x[2];
};

/// KL(q ‖ p(z|x)) on a grid over the plane of z, the posterior normalised on the same grid: nothing here knows p(x).
double numerical_gap(const plane_point& q, double r, double sigma, const double* m) {
    constexpr int cells = 1200;
    constexpr double reach = 6, h = 2 * reach / cells;
    double mass = 0, cross = 0, entropy = 0;
    for (int i = 0; i < cells; ++i)
        for (int k = 0; k < cells; ++k) {
            const double z[2] = {-reach + (i + 0.5) * h, -reach + (k + 0.5) * h};
            const double norm = std::hypot(z[0], z[1]);
            double log_joint = -std::log(2 * M_PI) - 0.5 * norm * norm - std::log(2 * M_PI * sigma * sigma);
            double log_q = -std::log(2 * M_PI);
            for (int j = 0; j < 2; ++j) {
                log_joint -= std::pow(q.x[j] - m[j] - r * z[j] / norm, 2) / (2 * sigma * sigma);
                log_q -= 0.5 * (q.log_variance[j] + std::pow(z[j] - q.mean[j], 2) / std::exp(q.log_variance[j]));
            }
            const double density = std::exp(log_q);
            mass += std::exp(log_joint) * h * h;
            cross += density * log_joint * h * h;
            entropy -= density * log_q * h * h;
        }
    return -entropy - cross + std::log(mass);
}

TEST(VaeLaws, TheSphereStaysBelowItsLikelihoodByTheKl) {
    constexpr std::int64_t rows = 400;
    constexpr double true_radius = 2, true_sigma = 0.4, true_centre[2] = {0.5, -1};
    std::vector<double> x(rows * 2);
    for (std::int64_t n = 0; n < rows; ++n) {
        const double angle = 2 * M_PI * test::uniform(3, n);
        x[2 * n] =
            static_cast<float>(true_centre[0] + true_radius * std::cos(angle) + true_sigma * test::normal(4, 2 * n));
        x[2 * n + 1] = static_cast<float>(true_centre[1] + true_radius * std::sin(angle) +
                                          true_sigma * test::normal(4, 2 * n + 1));
    }
    const matrix_view<const double> data(x.data(), rows, 2);
    architecture a;
    a.dimensions = a.latent = 2;
    a.encoder = {20};
    a.decoder = {};
    a.decoder_form = decoder_kind::sphere;
    a.likelihood.family = likelihood_family::gaussian;
    a.likelihood.scale = gaussian_scale::learned;
    a.likelihood.sigma = 0.3; // from a large σ the network settles at r = 0, where z is ignored
    train_options o;
    o.kl_warm_up_epochs = 20;
    o.epochs = 150;
    o.batch = 20;
    o.optimizer.learning_rate = 0.01;
    o.schedule.form = schedule::kind::cosine;
    const train_result r = train(context::cpu(2), a, data, o);

    const kernels::vae_layout layout = kernels::make_layout(a);
    const double radius = r.model.parameters()[layout.sphere_radius], sigma = r.model.sigma().front();
    const double* centre = &r.model.parameters()[layout.sphere_centre];
    EXPECT_NEAR(std::abs(radius), true_radius, 0.1);
    EXPECT_NEAR(centre[0], true_centre[0], 0.15);
    EXPECT_NEAR(centre[1], true_centre[1], 0.15);

    evaluate_options e;
    e.samples = 4000;
    const row_bounds bounds = evaluate_rows(context::cpu(2), r.model, data, e);
    const latents z = encode(context::cpu(2), r.model, data);
    double bound = 0, log_p = 0;
    for (std::int64_t n = 0; n < rows; ++n) {
        bound += bounds.elbo[n] / rows;
        log_p += sphere_log_density(x[2 * n], x[2 * n + 1], radius, sigma, centre) / rows;
    }
    EXPECT_LT(bound, log_p);
    for (std::int64_t n = 0; n < 5; ++n) {
        plane_point q{};
        for (int j = 0; j < 2; ++j) {
            q.mean[j] = z.mean[2 * n + j];
            q.log_variance[j] = z.log_variance[2 * n + j];
            q.x[j] = x[2 * n + j];
        }
        const double exact = sphere_log_density(q.x[0], q.x[1], radius, sigma, centre);
        // 4000 draws of log p(x|z), whose deviation is below 2 here: 5 standard errors are 0.16. The grid of width 0.01
        // adds what the jump of z/‖z‖ at 0 costs: one cell, 1e-4.
        EXPECT_NEAR(bounds.elbo[n] + numerical_gap(q, radius, sigma, centre), exact, 0.16) << "row " << n;
    }
}

// A decoder that hears nothing of z is a row of independent pixels, whose best log-likelihood is known.
TEST(VaeLaws, ACollapsedNetworkIsIndependentPixels) {
    const auto train_file = large_data("binarized-mnist/binarized-mnist-train-images-idx3-ubyte.gz");
    const auto test_file = large_data("binarized-mnist/binarized-mnist-test-images-idx3-ubyte.gz");
    if (!train_file || !test_file)
        GTEST_SKIP() << "set ELBO_DATA_DIR to a folder that holds binarized-mnist";
    architecture a;
    a.dimensions = 784;
    a.latent = 1;
    a.encoder = a.decoder = {};
    train_options o;
    o.epochs = 2;
    o.batch = 250;
    o.optimizer.learning_rate = 3e-3;
    o.beta = 1000; // nothing is worth a thousand times its KL
    o.schedule.form = schedule::kind::cosine;
    const train_result r = train(context::cpu(2), a, data_source::file(*train_file), o);
    const evaluation e = evaluate(context::cpu(2), r.model, data_source::file(*test_file));
    EXPECT_EQ(e.active_units, 0);
    EXPECT_LT(e.kl, 0.01);
    // The published −205.80; pixels that are never set in training cost a little more or less with their clamping.
    EXPECT_NEAR(e.elbo, -205.80, 0.05);
}

} // namespace
} // namespace elbo::vae
