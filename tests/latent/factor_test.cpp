// Linear-Gaussian models against exact optima, published and computed ones, and against their definition.
#include "elbo/error.hpp"
#include "elbo/gmm/infer.hpp"
#include "elbo/latent/factors.hpp"
#include "host/latent/factors/eigen.hpp"
#include "tests/support/backends.hpp"
#include "tests/support/factor_cases.hpp"
#include "tests/support/gaussian_truth.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <atomic>
#include <cmath>
#include <cstdlib>
#include <filesystem>
#include <numeric>
#include <unistd.h>

namespace elbo::latent {
namespace {

/// Columns of optdigits, grey values 0 ... 1.
data_source digits(const std::vector<int>& columns, const std::string& path = ELBO_TEST_DATA "/optdigits.tes") {
    file_options options;
    options.scale = 1.0 / 16;
    for (const int j : columns)
        options.columns.push_back(std::to_string(j));
    return data_source::file(path, options);
}

std::vector<int> all_pixels() {
    std::vector<int> columns(64);
    std::iota(columns.begin(), columns.end(), 0);
    return columns;
}

test::dense to_dense(const data_source& data) {
    test::dense result{data.rows(), data.cols(), {}};
    const auto reader = data.read(data.rows());
    const any_matrix_view all = reader->next();
    for (std::int64_t i = 0; i < all.rows; ++i)
        for (std::int64_t j = 0; j < all.cols; ++j)
            result.values.push_back(all.type == element_type::float32 ? all.as<float>()(i, j) : all.as<double>()(i, j));
    return result;
}

TEST(LatentFactors, PpcaIsTheExactOptimumByEigenvaluesAndByEm) {
    const data_source data = digits(all_pixels());
    const test::dense x = to_dense(data);
    for (const std::int64_t latent : {2, 5}) {
        const test::ppca truth = test::fit_ppca(x, latent);
        for (const context& ctx : test::contexts()) {
            SCOPED_TRACE(ctx.name() + " L=" + std::to_string(latent));
            factor_options options;
            options.latent = latent;
            options.method = factor_method::eigen;
            const factor_result exact = fit(ctx, data, options);
            // Both are direct solutions in float64 whose sums of 64 terms of order one differ by rounding alone.
            EXPECT_NEAR(exact.log_likelihood, truth.log_likelihood, 1e-10);
            EXPECT_NEAR(exact.model.noise()[0], truth.variance, 1e-12);
            EXPECT_TRUE(exact.events.empty());
            options.method = factor_method::em;
            options.tolerance = 1e-10;
            const factor_result em = fit(ctx, data, options);
            EXPECT_EQ(em.stopped, gmm::stop_reason::converged);
            EXPECT_NEAR(em.log_likelihood, exact.log_likelihood, 1e-8);
            test::expect_chain(em);
            EXPECT_EQ(em.model.parameters(), 64 + 64 * latent + 1 - latent * (latent - 1) / 2);
            // The same subspace: A Aᵀ does not depend on the rotation. A likelihood within 1e-10 of its maximum leaves
            // about its root of freedom in the parameters.
            const std::vector<double> c = em.model.covariance(0), want = truth.covariance();
            for (std::size_t i = 0; i < c.size(); ++i)
                EXPECT_NEAR(c[i], want[i], 1e-4);
        }
    }
}

TEST(LatentFactors, ReachesThePublishedPpcaOfOptdigits) {
    const char* folder = std::getenv("ELBO_DATA_DIR");
    const std::string train = folder ? std::string(folder) + "/optdigits/optdigits.tra" : "";
    if (!folder || !std::filesystem::exists(train))
        GTEST_SKIP() << "set ELBO_DATA_DIR to a folder that holds optdigits/optdigits.tra";
    struct published {
        std::int64_t latent;
        double noise, train, test;
    };
    for (const published& p : {published{2, 0.05437201, -0.1353, -0.6523}, published{5, 0.03661059, 8.5898, 8.0208},
                               published{10, 0.02251544, 17.6559, 16.1356}})
        for (const factor_method method : {factor_method::em, factor_method::eigen}) {
            const context ctx = context::cpu(2);
            factor_options options;
            options.latent = p.latent;
            options.method = method;
            options.tolerance = 1e-12; // the parameters are right to about its root
            const factor_result r = fit(ctx, digits(all_pixels(), train), options);
            EXPECT_NEAR(r.model.noise()[0], p.noise, 1e-6);
            EXPECT_NEAR(r.log_likelihood, p.train, 6e-5); // half of the last printed digit
            EXPECT_NEAR(score(ctx, r.model, digits(all_pixels())).log_likelihood, p.test, 6e-5);
        }
}

TEST(LatentFactors, ReachesThePublishedPpcaOfMnist) {
    const char* folder = std::getenv("ELBO_DATA_DIR");
    const std::string data = folder ? std::string(folder) + "/mnist/" : "";
    if (!folder || !std::filesystem::exists(data + "train-images-idx3-ubyte.gz"))
        GTEST_SKIP() << "set ELBO_DATA_DIR to a folder that holds mnist/train-images-idx3-ubyte.gz";
    file_options grey;
    grey.scale = 1.0 / 255;
    const context ctx = context::cpu();
    factor_options options;
    options.latent = 10;
    options.tolerance = 1e-7;
    const factor_result r = fit(ctx, data_source::file(data + "train-images-idx3-ubyte.gz", grey), options);
    EXPECT_NEAR(r.model.noise()[0], 0.03486734, 1e-7); // about the root of the tolerance, relative
    EXPECT_NEAR(r.log_likelihood, 182.1547, 6e-5);     // half of the last printed digit
    const data_source test = data_source::file(data + "t10k-images-idx3-ubyte.gz", grey);
    EXPECT_NEAR(score(ctx, r.model, test).log_likelihood, 186.0241,
                1e-4); // not at its maximum: first order in the root
}

TEST(LatentFactors, FactorAnalysisReachesTheOptimumOfScikitLearn) {
    // sklearn.decomposition.FactorAnalysis of scikit-learn 1.9.1, svd_method="lapack", tol=1e-10 on the total.
    struct computed {
        std::vector<int> columns;
        double log_likelihood;
    };
    for (const computed& c : {computed{{2, 10, 13, 20, 27, 30, 37, 43, 51, 58}, -1.5635502276521012},
                              computed{{4, 11, 14, 18, 21, 26, 33, 38, 44, 46, 53}, -1.3041461335978037}})
        for (const context& ctx : test::contexts()) {
            SCOPED_TRACE(ctx.name());
            factor_options options;
            options.kind = factor_kind::factor_analysis;
            options.latent = 2;
            options.tolerance = 1e-11;
            const factor_result r = fit(ctx, digits(c.columns), options);
            EXPECT_EQ(r.stopped, gmm::stop_reason::converged);
            // The geometric rest that the rule allows is 1e-11; as much again for the other program's.
            EXPECT_NEAR(r.log_likelihood, c.log_likelihood, 1e-9);
            EXPECT_TRUE(r.events.empty());
            test::expect_chain(r);
        }
}

TEST(LatentFactors, DensitiesAndPosteriorsAreThoseOfTheDenseGaussians) {
    for (const factor_model& m : {test::random_model(factor_kind::ppca, 5, 2, 1, false, 3),
                                  test::random_model(factor_kind::factor_analysis, 6, 5, 1, false, 4),
                                  test::random_model(factor_kind::factor_mixture, 7, 3, 4, false, 5),
                                  test::random_model(factor_kind::factor_mixture, 4, 4, 3, true, 6)}) {
        const std::int64_t d = m.dimensions(), L = m.latent(), K = m.components(), n = 60;
        const std::vector<double> x = test::rows_of(m, n, 8);
        const gmm::model dense = to_mixture(m);
        for (const context& ctx : test::contexts()) {
            const factor_posterior p = posterior(ctx, m, test::view(x, d));
            const std::vector<double> density = gmm::log_density(ctx, dense, test::view(x, d)),
                                      r = gmm::responsibilities(ctx, dense, test::view(x, d));
            EXPECT_EQ(p.log_density, log_density(ctx, m, test::view(x, d)));
            // Conditions of these covariances are below 10³: 1e-16 · 10³ · d² terms. Mixtures drop what is below 2⁻²⁴.
            for (std::int64_t i = 0; i < n; ++i)
                EXPECT_NEAR(p.log_density[i], density[i], K == 1 ? 1e-10 : 1e-7);
            for (std::int64_t i = 0; i < n * K; ++i)
                EXPECT_NEAR(p.responsibilities[i], r[i], 1e-7);
            // E[z | x, k] = Aᵀ (A Aᵀ + Ψ)⁻¹ (x − μ), with the dense inverse U Uᵀ.
            for (std::int64_t i = 0; i < n; ++i)
                for (std::int64_t k = 0; k < K; ++k)
                    for (std::int64_t l = 0; l < L; ++l) {
                        const double* u = &dense.precision_cholesky()[k * d * d];
                        double want = 0;
                        for (std::int64_t c = 0; c < d; ++c) {
                            double left = 0, right = 0;
                            for (std::int64_t j = 0; j <= c; ++j) {
                                left += m.loadings()[(k * d + j) * L + l] * u[j * d + c];
                                right += u[j * d + c] * (x[i * d + j] - m.means()[k * d + j]);
                            }
                            want += left * right;
                        }
                        EXPECT_NEAR(p.means[(i * K + k) * L + l], want, 1e-10);
                    }
        }
    }
}

TEST(LatentFactors, PosteriorCovarianceIsTheInverseOfM) {
    const factor_model m = test::random_model(factor_kind::factor_mixture, 6, 3, 2, true, 12);
    for (std::int64_t k = 0; k < 2; ++k) {
        const std::vector<double> covariance = m.posterior_covariance(k), noise = m.noise_of(k);
        for (int a = 0; a < 3; ++a)
            for (int b = 0; b < 3; ++b) {
                double product = 0; // (M⁻¹ M)_ab
                for (int c = 0; c < 3; ++c) {
                    double element = c == b;
                    for (int j = 0; j < 6; ++j)
                        element += m.loadings()[(k * 6 + j) * 3 + c] * m.loadings()[(k * 6 + j) * 3 + b] / noise[j];
                    product += covariance[a * 3 + c] * element;
                }
                EXPECT_NEAR(product, a == b, 1e-12);
            }
    }
}

TEST(LatentFactors, AMixtureFindsTheComponentsItsDataCameFrom) {
    const factor_model truth = test::random_model(factor_kind::factor_mixture, 8, 2, 3, false, 33, 6);
    const std::vector<double> x = test::rows_of(truth, 3000, 9);
    for (const context& ctx : test::contexts()) {
        factor_options options;
        options.kind = factor_kind::factor_mixture;
        options.latent = 2;
        options.components = 3;
        const factor_result r = fit(ctx, test::view(x, 8), options);
        // Maximum likelihood is above the truth, on average by parameters / (2 n) = 71 / 6000.
        const double best = score(ctx, truth, test::view(x, 8)).log_likelihood;
        EXPECT_GT(r.log_likelihood, best);
        EXPECT_LT(r.log_likelihood, best + 4 * 71.0 / 6000);
        EXPECT_EQ(r.model.parameters(), 2 + 24 + 3 * (16 - 1) + 8);
    }
}

TEST(LatentFactors, EveryWayToTheEigenvaluesIsTheSame) {
    // More rows than columns, and fewer: then the covariance has the rank n − 1.
    for (const auto& [rows, cols] : {std::pair{200, 30}, std::pair{25, 40}}) {
        const std::vector<double> x =
            test::rows_of(test::random_model(factor_kind::ppca, cols, 3, 1, false, 6), rows, 4);
        const data_source data = test::view(x, cols);
        const context ctx = context::cpu(2);
        std::vector<factor_model> models;
        std::vector<double> likelihoods;
        for (const eigen_way way : {eigen_way::matrix, eigen_way::gram, eigen_way::subspace}) {
            factor_rows input(ctx, data, {});
            const gmm::data_summary& s = input.summary();
            input.load(factor_frame(factor_kind::ppca, s.mean, s.variance), {cols, 1, eigen_columns(way, cols, 3)}, 0);
            const eigen_solution solution = solve_by_eigen(input, way, 3, 1e-9, 1e-12, 1000, 1);
            EXPECT_TRUE(solution.converged);
            models.push_back(from_frame(solution.values, input.frame()));
            likelihoods.push_back(score(ctx, models.back(), data).log_likelihood);
        }
        // Direct solutions agree to rounding; the iteration to its tolerance, and so to its root in the covariance.
        EXPECT_NEAR(likelihoods[1], likelihoods[0], 1e-11);
        EXPECT_NEAR(likelihoods[2], likelihoods[0], 1e-9);
        const std::vector<double> want = models[0].covariance(0);
        for (std::size_t i = 0; i < want.size(); ++i) {
            EXPECT_NEAR(models[1].covariance(0)[i], want[i], 1e-10);
            EXPECT_NEAR(models[2].covariance(0)[i], want[i], 1e-4);
        }
    }
}

TEST(LatentFactors, ReconstructionsAreTheRowsWithoutTheirNoise) {
    const factor_model m = test::random_model(factor_kind::factor_mixture, 6, 2, 2, false, 71, 8);
    const factor_sample s = sample(context::cpu(2), m, 500, 3);
    for (const context& ctx : test::contexts()) {
        const std::vector<double> got = reconstruct(ctx, m, test::view(s.x, 6));
        const factor_posterior p = posterior(ctx, m, test::view(s.x, 6));
        for (std::int64_t i = 0; i < 500; ++i)
            for (std::int64_t j = 0; j < 6; ++j) {
                double want = 0;
                for (std::int64_t k = 0; k < 2; ++k) {
                    double each = m.means()[k * 6 + j];
                    for (std::int64_t l = 0; l < 2; ++l)
                        each += m.loadings()[(k * 6 + j) * 2 + l] * p.means[(i * 2 + k) * 2 + l];
                    want += p.responsibilities[i * 2 + k] * each;
                }
                EXPECT_NEAR(got[i * 6 + j], want, 1e-12);
            }
    }
}

TEST(LatentFactors, ResultsLargerThanTheirRowsComeInParts) {
    // 2051 numbers for each of more than 4096 rows are more than are held at a time.
    const factor_model m = test::random_model(factor_kind::factor_mixture, 40, 40, 50, false, 73);
    const std::vector<double> x = test::rows_of(m, 4200, 3), tail(x.begin() + 4096 * 40, x.end());
    const context ctx = context::cpu(2);
    const factor_posterior all = posterior(ctx, m, test::view(x, 40)), last = posterior(ctx, m, test::view(tail, 40));
    EXPECT_TRUE(std::equal(last.log_density.begin(), last.log_density.end(), all.log_density.begin() + 4096));
    EXPECT_TRUE(std::equal(last.means.begin(), last.means.end(), all.means.begin() + 4096 * 2000));
}

TEST(LatentFactors, NoRowsAreReadWhileResultsAreTaken) {
    // What takes the results may use files, or what a generator uses, so the next batch waits.
    const std::int64_t columns = 600, rows = 3 * 4096; // three batches
    std::atomic<std::int64_t> made = 0;
    const data_source source =
        data_source::generator(rows, columns, [&made](std::int64_t first, std::int64_t count, float* out) {
            std::fill_n(out, count * columns, 0.5F);
            made = first + count;
        });
    const factor_model m = test::random_model(factor_kind::ppca, columns, 1, 1, false, 5);
    std::int64_t batches = 0;
    infer(context::cpu(2), m, source, [&](const factor_batch& b) {
        ++batches;
        EXPECT_EQ(made, b.first_row + b.rows);
    });
    EXPECT_EQ(batches, 3);
}

TEST(LatentFactors, TheWayToTheEigenvaluesFollowsTheShapeOfTheData) {
    EXPECT_EQ(choose_eigen_way(100000, 1024, 10), eigen_way::matrix);
    EXPECT_EQ(choose_eigen_way(50, 10000, 4), eigen_way::gram);
    EXPECT_EQ(choose_eigen_way(5000, 10000, 4), eigen_way::subspace); // the Gram matrix would be large
    EXPECT_EQ(choose_eigen_way(100000, 10000, 4), eigen_way::subspace);
    EXPECT_EQ(choose_eigen_way(100000, 1100, 1000), eigen_way::matrix); // all columns would be in the subspace
}

TEST(LatentFactors, SamplesHaveTheMomentsOfTheModelAndComeInParts) {
    const factor_model m = test::random_model(factor_kind::factor_analysis, 3, 2, 1, false, 81);
    const std::int64_t n = 40000;
    const factor_sample all = sample(context::cpu(2), m, n, 5), part = sample_rows(m, 100, 50, 5);
    EXPECT_TRUE(std::equal(part.x.begin(), part.x.end(), all.x.begin() + 300));
    EXPECT_TRUE(std::equal(part.z.begin(), part.z.end(), all.z.begin() + 200));
    EXPECT_EQ(sample(context::reference(), m, 10, 5).x, sample(context::cpu(1), m, 10, 5).x);
    const std::vector<double> covariance = m.covariance(0);
    for (int i = 0; i < 3; ++i)
        for (int j = 0; j < 3; ++j) {
            double sum = 0;
            for (std::int64_t r = 0; r < n; ++r)
                sum += (all.x[3 * r + i] - m.means()[i]) * (all.x[3 * r + j] - m.means()[j]);
            // Six deviations of a mean of n products.
            const double deviation =
                std::sqrt((covariance[4 * i] * covariance[4 * j] + covariance[3 * i + j] * covariance[3 * i + j]) /
                          static_cast<double>(n));
            EXPECT_NEAR(sum / static_cast<double>(n), covariance[3 * i + j], 6 * deviation);
        }
    for (int l = 0; l < 2; ++l) {
        double sum = 0;
        for (std::int64_t r = 0; r < n; ++r)
            sum += all.z[2 * r + l] * all.z[2 * r + l];
        EXPECT_NEAR(sum / static_cast<double>(n), 1, 6 * std::sqrt(2.0 / static_cast<double>(n)));
    }
}

TEST(LatentFactors, ModelsSurviveTheirFiles) {
    const auto folder = std::filesystem::temp_directory_path();
    for (const factor_model& m : {test::random_model(factor_kind::ppca, 3, 2, 1, false, 91),
                                  test::random_model(factor_kind::factor_analysis, 4, 1, 1, false, 92),
                                  test::random_model(factor_kind::factor_mixture, 4, 2, 3, false, 93),
                                  test::random_model(factor_kind::factor_mixture, 2, 2, 2, true, 94)})
        for (const char* ending : {".safetensors", ".json"}) {
            const std::string path = (folder / ("elbo_factors_" + std::to_string(getpid()) + "_" +
                                                std::string(to_string(m.kind())) + ending))
                                         .string();
            save(m, path);
            EXPECT_EQ(load_factors(path), m) << path;
            EXPECT_THROW(gmm::load(path), file_error);
            std::filesystem::remove(path);
        }
}

} // namespace
} // namespace elbo::latent
