// Fits of real data sets that are too large for the project itself. They lie in the folder that ELBO_DATA_DIR names;
// where it is absent the tests say so and are skipped.
#include "elbo/gmm/fit.hpp"
#include "elbo/gmm/infer.hpp"

#include <gtest/gtest.h>

#include <cmath>
#include <cstdlib>
#include <filesystem>
#include <optional>

namespace elbo::gmm {
namespace {

struct data_set {
    const char* path;
    std::vector<std::string> columns; ///< numbers from 0, without the class
    /// Nats a sample between float32 and float64 after the same iterations; none: what the model's condition allows.
    std::optional<double> agreement;
};

std::vector<std::string> first_columns(int from, int count) {
    std::vector<std::string> names;
    for (int j = from; j < from + count; ++j)
        names.push_back(std::to_string(j));
    return names;
}

/// The largest singular value of D U for U [d x d] of component k, by fifty steps of the power method, and D the
/// deviations of the columns.
double largest_stretch(const model& m, std::int64_t k, const std::vector<double>& deviation) {
    const std::int64_t d = m.dimensions();
    const double* u = &m.precision_cholesky()[m.shape() == family::tied ? 0 : k * d * d];
    std::vector<double> y(d, 1);
    double length = 0;
    for (int step = 0; step < 50; ++step) {
        std::vector<double> x(d, 0), next(d, 0);
        for (std::int64_t i = 0; i < d; ++i)
            for (std::int64_t j = 0; j < d; ++j)
                x[i] += deviation[i] * u[i * d + j] * y[j];
        for (std::int64_t i = 0; i < d; ++i)
            for (std::int64_t j = 0; j < d; ++j)
                next[j] += deviation[i] * u[i * d + j] * x[i];
        length = 0;
        for (const double v : next)
            length += v * v;
        length = std::sqrt(length);
        for (std::int64_t j = 0; j < d; ++j)
            y[j] = next[j] / length;
    }
    return std::sqrt(length);
}

/// How far float32 may be from float64 under this model, in nats a sample. The error of log p of a row is at most 2⁻²²
/// (√q ‖U‖₂ (‖x̃‖ + ‖μ̃‖) + d + q) with q = ‖Uᵀ(x − μ)‖², and x̃, μ̃ and U in units of the deviations. Over the rows,
/// weighted by responsibilities, the mean of q is d after an M-step, that of ‖x̃‖² is d, and that of ‖μ̃‖² at most d, so
/// by Cauchy and Schwarz the mean of the error is at most 2⁻²² (2 d max ‖U‖₂ + 2 d). Rounding of sums that are
/// normalised by it moves each of the parameters by a relative 2⁻²⁴ once more, where log p is nearly stationary.
double float32_error(const model& m, const std::vector<double>& deviation) {
    const auto d = static_cast<double>(m.dimensions());
    double stretch = 0;
    if (m.shape() == family::diagonal)
        for (std::int64_t i = 0; i < m.components() * m.dimensions(); ++i)
            stretch = std::max(stretch, m.precision_cholesky()[i] * deviation[i % m.dimensions()]);
    else
        for (std::int64_t k = 0; k < m.components(); ++k)
            stretch = std::max(stretch, largest_stretch(m, k, deviation));
    return 0x1p-22 * 2 * d * (stretch + 1);
}

/// Of the columns of a source.
std::vector<double> deviations(const context& ctx, const data_source& data) {
    const std::vector<double> variance =
        fit(ctx, data, {.components = 1, .shape = family::diagonal, .relative_regularization = 0}).model.covariances();
    std::vector<double> result;
    for (const double v : variance)
        result.push_back(std::sqrt(v));
    return result;
}

class RealData : public testing::TestWithParam<data_set> {
protected:
    void SetUp() override {
        const char* folder = std::getenv("ELBO_DATA_DIR");
        path_ = std::string(folder ? folder : "") + "/" + GetParam().path;
        if (!folder || !std::filesystem::exists(path_))
            GTEST_SKIP() << "needs " << GetParam().path << " in the folder that ELBO_DATA_DIR names";
    }
    std::string path_;
};

TEST_P(RealData, TheBoundHoldsAndFloat32Agrees) {
    const data_source data = data_source::file(path_, {.columns = GetParam().columns});
    const context ctx = context::cpu(2);
    for (family f : {family::full, family::tied, family::diagonal}) {
        SCOPED_TRACE(to_string(f));
        fit_options options;
        options.components = 6;
        options.shape = f;
        options.max_iterations = 25;
        options.tolerance = 0;
        const fit_result r = fit(ctx, data, options);
        std::vector<bool> event_at(r.trace.size(), false);
        for (const event& e : r.events)
            event_at[e.iteration] = true;
        for (std::size_t t = 0; t + 1 < r.trace.size(); ++t) {
            if (event_at[t])
                continue;
            // With λ the bound without its penalty may fall by the penalty's change: of second order in λ / variance.
            EXPECT_LE(r.trace[t].log_likelihood, r.trace[t].elbo_after_m_step + 1e-4) << "iteration " << t;
            EXPECT_LE(r.trace[t].elbo_after_m_step, r.trace[t + 1].log_likelihood + 1e-7) << "iteration " << t;
        }
        EXPECT_TRUE(std::isfinite(r.log_likelihood));
        // The model that was returned is the one whose likelihood was reported, also in float32.
        EXPECT_NEAR(score(ctx, r.model, data).log_likelihood, r.log_likelihood, 1e-9 * std::abs(r.log_likelihood));
        options.start_model = r.model;
        options.components = r.model.components();
        options.max_iterations = 2;
        const double exact = fit(ctx, data, options).log_likelihood;
        options.precision = compute_precision::float32;
        const double agreement =
            GetParam().agreement ? *GetParam().agreement : float32_error(r.model, deviations(ctx, data));
        EXPECT_NEAR(fit(ctx, data, options).log_likelihood, exact, agreement);
    }
}

// 1e-5 nats where the data are well conditioned, 1e-4 where a direction has a condition number of 1e6 or more. Of
// kegg-undirected some columns are sums of others, so that the regularisation alone bounds ‖U‖ by 1e3: 2⁻²²·2·27·1e3 =
// 1.3e-2, of which processors that add in different orders show a half.
INSTANTIATE_TEST_SUITE_P(Sets, RealData,
                         testing::Values(data_set{"pendigits/pendigits.tra", first_columns(0, 16), 1e-4},
                                         data_set{"letter-recognition/letter-recognition.data", first_columns(1, 16),
                                                  1e-5},
                                         data_set{"magic-gamma/magic04.data", first_columns(0, 10), 1e-4},
                                         data_set{"htru2/HTRU_2.csv", first_columns(1, 8), 1e-4},
                                         data_set{"kegg-undirected/data.csv.gz", first_columns(0, 27), std::nullopt},
                                         data_set{"skin/Skin_NonSkin.txt", first_columns(0, 3), 1e-5}),
                         [](const auto& info) {
                             std::string name = info.param.path;
                             name = name.substr(0, name.find('/'));
                             std::erase_if(name, [](char c) { return !std::isalnum(static_cast<unsigned char>(c)); });
                             return name;
                         });

} // namespace
} // namespace elbo::gmm
