// What a fit derives from its columns (docs/regularization.md): against plain moments, for any batches, weights and
// types.
#include "elbo/error.hpp"
#include "elbo/gmm/fit.hpp"
#include "elbo/latent/factors.hpp"
#include "host/rows/column_summary.hpp"
#include "host/rows/frame.hpp"
#include "tests/support/backends.hpp"
#include "tests/support/data.hpp"
#include "tests/support/gmm/cases.hpp"
#include "tests/support/sentinels.hpp"
#include "tests/support/sources.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>

namespace elbo::gmm {
namespace {

using test::view;
using testing::HasSubstr;

template <class T>
data_source in_pieces(const std::vector<T>& x, std::int64_t cols, std::int64_t rows) {
    std::vector<any_matrix_view> parts;
    const auto n = static_cast<std::int64_t>(x.size()) / cols;
    for (std::int64_t first = 0; first < n; first += rows)
        parts.push_back(matrix_view<const T>(x.data() + first * cols, std::min(rows, n - first), cols));
    return data_source::chunks(parts);
}

data_summary summary_of(const context& ctx, const data_source& data, const std::vector<double>& weights = {}) {
    const sample_weights w = weights.empty() ? sample_weights() : sample_weights(weights);
    row_feed feed(ctx, data, w);
    if (!data.contiguous())
        feed.stream();
    const auto engine = make_engine(ctx, {family::diagonal, data.cols(), 1}, compute_precision::automatic, data.type());
    return summarize_columns(feed, *engine);
}

/// What moments of a column over the rows that keep() are.
struct plain_moments {
    double mean = 0, variance = 0, largest = 0;
};
template <class T, class Keep>
plain_moments moments(const std::vector<T>& x, std::int64_t cols, std::int64_t j, const std::vector<double>& weights,
                      const Keep& keep) {
    long double total = 0, sum = 0, squares = 0;
    plain_moments m;
    const auto rows = static_cast<std::int64_t>(x.size()) / cols;
    const auto weight = [&](std::int64_t i) { return weights.empty() ? 1 : weights[i]; };
    for (std::int64_t i = 0; i < rows; ++i)
        if (weight(i) > 0 && keep(x[i * cols + j])) {
            total += weight(i), sum += static_cast<long double>(weight(i)) * x[i * cols + j];
            m.largest = std::max<double>(m.largest, std::abs(x[i * cols + j]));
        }
    for (std::int64_t i = 0; i < rows; ++i)
        if (weight(i) > 0 && keep(x[i * cols + j])) {
            const long double off = x[i * cols + j] - sum / total;
            squares += weight(i) * off * off;
        }
    m.mean = static_cast<double>(sum / total), m.variance = static_cast<double>(squares / total);
    return m;
}

TEST(GmmColumnSummary, IsTheVarianceToTheBitWhereNothingIsLeftOut) {
    for (const context& ctx : test::contexts())
        for (const char* name : {"/faithful.csv", "/iris.csv", "/optdigits.tes"}) {
            SCOPED_TRACE(ctx.name() + name);
            file_options o;
            for (int j = 0; j < 64 && std::string(name) == "/optdigits.tes"; ++j)
                o.columns.push_back(std::to_string(j));
            const data_source data = data_source::file(std::string(ELBO_TEST_DATA) + name, o);
            row_feed feed(ctx, data, {});
            const auto engine =
                make_engine(ctx, {family::diagonal, data.cols(), 1}, compute_precision::automatic, data.type());
            const data_summary plain = feed.summarize(*engine), robust = summarize_columns(feed, *engine);
            EXPECT_FALSE(robust.left_out);
            EXPECT_TRUE(robust.far.empty());
            EXPECT_EQ(robust.mean, plain.mean);
            EXPECT_EQ(robust.variance, plain.variance);
            EXPECT_EQ(robust.regular_variance, plain.variance);
            const kernels::frame f = make_frame(family::diagonal, plain.mean, plain.variance);
            const std::vector<double> lambda = normalized_lambda({}, robust.regular_variance, f);
            for (std::size_t j = 0; j < lambda.size(); ++j)
                EXPECT_EQ(lambda[j],
                          1e-6 * (plain.variance[j] > 0 ? plain.variance[j] / (f.scale[j] * f.scale[j]) : 1));
        }
}

template <class T>
void expect_sentinels_left_out(const context& ctx, std::int64_t rows, double sentinel) {
    SCOPED_TRACE(testing::Message() << ctx.name() << ", " << rows << " rows, sentinel " << sentinel << ", bytes "
                                    << sizeof(T));
    const std::int64_t every = rows > 5000 ? rows : 97;
    const std::vector<T> x = test::with_sentinels<T>(rows, sentinel, every);
    const data_summary s = summary_of(ctx, view(x, 2));
    const plain_moments left = moments(x, 2, 0, {}, [&](T v) { return v != static_cast<T>(sentinel); });
    EXPECT_NEAR(s.mean[0], left.mean, 1e-12);
    EXPECT_NEAR(s.variance[0], std::max(left.variance, std::pow(0x1p-40 * std::abs(sentinel), 2)), 1e-11);
    EXPECT_NEAR(s.regular_variance[0], left.variance, 1e-11);
    ASSERT_EQ(s.far.size(), 1u);
    EXPECT_EQ(s.far[0].what, event::kind::far_value);
    EXPECT_EQ(s.far[0].far.row, every / 2);
    EXPECT_EQ(s.far[0].far.column, 0);
    EXPECT_EQ(s.far[0].far.value, static_cast<T>(sentinel));
    EXPECT_GT(s.far[0].far.robust_z, 1e4);
    EXPECT_EQ(s.far[0].far.rows, (rows - 1 - every / 2) / every + 1);
    const plain_moments other = moments(x, 2, 1, {}, [](T) { return true; });
    EXPECT_NEAR(s.variance[1], other.variance, 1e-11);
}

TEST(GmmColumnSummary, LeavesSentinelsOut) {
    for (const context& ctx : test::contexts())
        for (std::int64_t rows : {301, 4097, 20001}) // all rows judge, those of a sample, two units and more
            for (double sentinel : {99999.0, -99999.0, 1e12, -1e12}) {
                if (rows > 5000 && test::slow_device())
                    continue;
                expect_sentinels_left_out<double>(ctx, rows, sentinel);
                expect_sentinels_left_out<float>(ctx, rows, sentinel);
            }
}

TEST(GmmColumnSummary, HasTheSameBitsForAnyBatchesAndBackEnds) {
    std::vector<double> weights;
    for (std::int64_t i = 0; i < 5000; ++i)
        weights.push_back(i % 5 == 2 ? 0 : std::exp2(std::floor(40 * test::uniform(3, i)) - 20));
    const std::vector<float> x = test::with_sentinels<float>(5000, 1e12, 97);
    const data_summary first = summary_of(test::contexts().front(), view(x, 2), weights);
    ASSERT_EQ(first.far.size(), 1u);
    for (const context& ctx : test::contexts())
        for (std::int64_t rows : {1, 7, 4096, 5000}) {
            const data_summary s = summary_of(ctx, in_pieces(x, 2, rows), weights);
            EXPECT_EQ(s.mean[0], first.mean[0]);
            EXPECT_EQ(s.variance[0], first.variance[0]);
            EXPECT_EQ(s.regular_variance[0], first.regular_variance[0]);
            EXPECT_EQ(s.far[0].far.row, first.far[0].far.row);
            EXPECT_EQ(s.far[0].far.robust_z, first.far[0].far.robust_z);
            EXPECT_EQ(s.far[0].far.rows, first.far[0].far.rows);
        }
}

TEST(GmmColumnSummary, DoesNotCountRowsOfWeightZero) {
    const std::vector<double> x = test::with_sentinels<double>(500, 1e12, 97);
    std::vector<double> weights;
    for (std::int64_t i = 0; i < 500; ++i)
        weights.push_back(x[2 * i] == 1e12 ? 0 : 1 + i % 3);
    for (const context& ctx : test::contexts()) {
        const data_summary s = summary_of(ctx, view(x, 2), weights);
        EXPECT_FALSE(s.left_out);
        EXPECT_TRUE(s.far.empty());
        EXPECT_NEAR(s.variance[0], moments(x, 2, 0, weights, [](double) { return true; }).variance, 1e-12);
    }
}

TEST(GmmColumnSummary, IsThatOfANarrowPartBesideAWideOne) {
    for (const context& ctx : test::contexts())
        for (std::int64_t rows : {400, 4099})
            for (double share : {0.2, 0.6}) {
                SCOPED_TRACE(testing::Message() << ctx.name() << ' ' << rows << ' ' << share);
                std::vector<double> x;
                for (std::int64_t i = 0; i < rows; ++i)
                    x.push_back(test::uniform(8, i) < share ? 3 + test::normal(1, i) : 1e12 * (3 + test::normal(2, i)));
                const data_summary s = summary_of(ctx, view(x, 1));
                EXPECT_TRUE(s.left_out);
                // Of the shortest tenth of the whole, half of the narrow part, or of all of that; and of 2⁻⁵⁰ of the
                // distance to the farthest, about 6e12, as a deviation of 1e-3 times that of the column.
                EXPECT_GT(s.regular_variance[0], 1e-3);
                EXPECT_LT(s.regular_variance[0], 1e6 * std::pow(0x1p-50 * 8e12, 2));
                EXPECT_NEAR(s.mean[0], 3, 1);
                EXPECT_EQ(s.far.size(), share > 0.5 ? 1u : 0u);
            }
}

TEST(GmmColumnSummary, OfConstantColumnsDoesNotDependOnTheirValue) {
    for (const context& ctx : test::contexts())
        for (family f : test::all_families)
            for (double constant : {0.0, 7.0, 0.1, 1e8, -1e30}) {
                if (test::slow_device() && constant != 7)
                    continue;
                SCOPED_TRACE(ctx.name() + " " + std::string(to_string(f)) + " " + std::to_string(constant));
                std::vector<float> x, zero;
                for (int i = 0; i < 200; ++i) {
                    for (std::vector<float>* v : {&x, &zero})
                        for (int j = 0; j < 2; ++j)
                            v->push_back(static_cast<float>(test::normal(4, 2 * i + j) + i % 2 * 6));
                    x.push_back(static_cast<float>(constant));
                    zero.push_back(0);
                }
                fit_options o;
                o.components = 2;
                o.shape = f;
                const fit_result r = fit(ctx, view(x, 3), o), z = fit(ctx, view(zero, 3), o);
                EXPECT_EQ(r.model.covariances(), z.model.covariances());
                EXPECT_EQ(r.model.regularization(), z.model.regularization());
                EXPECT_EQ(r.log_likelihood, z.log_likelihood);
                if (f == family::full || f == family::diagonal) {
                    EXPECT_NEAR(r.model.covariance(0)[8], 1e-6, 1e-15);
                }
                EXPECT_EQ(r.model.means()[2], static_cast<float>(constant));
            }
}

TEST(GmmColumnSummary, IsNoLessThanTheRoundingOfTheData) {
    for (const context& ctx : test::contexts()) {
        std::vector<float> x;
        std::vector<double> y;
        for (int i = 0; i < 300; ++i) {
            y.push_back(1e6 + test::normal(5, i));
            x.push_back(static_cast<float>(y.back()));
        }
        const data_summary narrow = summary_of(ctx, view(x, 1)), wide = summary_of(ctx, view(y, 1));
        EXPECT_DOUBLE_EQ(narrow.regular_variance[0], 1e6 * std::pow(8 * 0x1p-4, 2)); // 2¹⁹ ≤ 1e6 < 2²⁰, 24 bits
        EXPECT_EQ(wide.regular_variance[0], wide.variance[0]);
    }
}

TEST(GmmColumnSummary, RefusesColumnsWhoseSquaresAreNoNumbers) {
    for (const context& ctx : test::contexts())
        for (double size : {1e-200, 1e200, 5e-324, 1e-160, 1.7e308}) {
            std::vector<double> x;
            for (int i = 0; i < 60; ++i)
                x.insert(x.end(), {test::normal(6, i), size * test::uniform(7, i) * (i % 2 == 0 ? 1 : -1)});
            try {
                fit_options o;
                o.components = 2;
                fit(ctx, view(x, 2), o);
                ADD_FAILURE() << size << " was not refused";
            } catch (const invalid_argument& e) {
                EXPECT_THAT(e.what(), HasSubstr("column 1 has a deviation of"));
                EXPECT_THAT(e.what(), HasSubstr("multiply the column by 1e"));
            }
            latent::factor_options o;
            EXPECT_THROW(latent::fit(ctx, view(x, 2), o), invalid_argument);
        }
    std::vector<double> x = test::with_sentinels<double>(60, 1e300, 60);
    for (const context& ctx : test::contexts())
        try {
            fit(ctx, view(x, 2), {});
            ADD_FAILURE() << "1e300 was not refused";
        } catch (const invalid_argument& e) {
            EXPECT_THAT(e.what(), HasSubstr("row 30 is 1e+300"));
        }
}

} // namespace
} // namespace elbo::gmm
