// Every operation of the k-means engines against plain loops written here, bit for bit: the order of every sum and each
// fused multiply-add is part of the contract (kernels/math/kmeans.hpp), so no tolerance is needed.
#include "host/gmm/start/kmeans.hpp"
#include "kernels/math/kmeans.hpp"
#include "tests/support/backends.hpp"
#include "tests/support/data.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <limits>
#include <numeric>

namespace elbo {
namespace {

using namespace kernels;

struct sample {
    std::int64_t rows, cols;
    std::vector<double> x, weights;
    const double* row(std::int64_t n) const { return &x[n * cols]; }
};

sample make_sample(std::int64_t rows, std::int64_t cols, bool weighted) {
    sample s{rows, cols, test::clustered(rows, cols, 5, 3.0, 31), {}};
    for (std::int64_t n = 0; n < rows; ++n)
        s.weights.push_back(weighted ? 0.05 + 3 * test::uniform(7, n) : 1);
    return s;
}

double distance(const double* a, const double* b, std::int64_t d) {
    double sum = 0;
    for (std::int64_t j = 0; j < d; ++j)
        sum = std::fma(a[j] - b[j], a[j] - b[j], sum);
    return sum;
}

/// Nearest centre of each row, the lower index at a tie.
struct nearest_centres {
    std::vector<double> distance;
    std::vector<std::int32_t> label;
    nearest_centres(const sample& s, const std::vector<double>& centres)
        : distance(s.rows, std::numeric_limits<double>::infinity()), label(s.rows, -1) {
        for (std::int64_t n = 0; n < s.rows; ++n)
            for (std::int64_t c = 0; c < static_cast<std::int64_t>(centres.size()) / s.cols; ++c) {
                const double squared = elbo::distance(s.row(n), &centres[c * s.cols], s.cols);
                if (squared < distance[n])
                    distance[n] = squared, label[n] = static_cast<std::int32_t>(c);
            }
    }
};

/// Σ w v: blocks of 1024 rows, 32 chains in each, folded in halves.
double ordered_sum(const sample& s, const std::vector<double>& v) {
    double sum = 0;
    for (std::int64_t begin = 0; begin < s.rows; begin += 1024) {
        std::vector<double> chain(32, 0);
        for (std::int64_t n = begin; n < std::min(s.rows, begin + 1024); ++n)
            chain[n % 32] = std::fma(s.weights[n], v[n], chain[n % 32]);
        for (int half = 16; half > 0; half /= 2)
            for (int i = 0; i < half; ++i)
                chain[i] += chain[i + half];
        sum += chain[0];
    }
    return sum;
}

std::vector<double> rows_of(const sample& s, const std::vector<std::int64_t>& which) {
    std::vector<double> centres;
    for (std::int64_t n : which)
        centres.insert(centres.end(), s.row(n), s.row(n) + s.cols);
    return centres;
}

std::vector<std::int64_t> first_rows(const sample& s, std::int64_t k) {
    std::vector<std::int64_t> rows;
    for (std::int64_t c = 0; c < k; ++c)
        rows.push_back((c * 7919 + 3) % s.rows);
    return rows;
}

std::unique_ptr<kmeans_engine> loaded(const context& ctx, const sample& s) {
    auto engine = kernels::make_kmeans_engine(ctx);
    engine->load(s.x.data(), s.weights.data(), s.rows, s.cols);
    return engine;
}

std::vector<std::int32_t> labels_of(kmeans_engine& engine, const sample& s) {
    std::vector<std::int32_t> labels(s.rows);
    engine.labels(labels);
    return labels;
}

void check_centres_and_potentials(const context& ctx, const sample& s, std::int64_t k) {
    const auto engine = loaded(ctx, s);
    const std::vector<std::int64_t> chosen = first_rows(s, k);
    for (std::int64_t row : chosen)
        engine->add_centre(row);
    const nearest_centres want(s, rows_of(s, chosen));
    EXPECT_EQ(labels_of(*engine, s), want.label);

    const std::vector<double> uniforms = {0.02, 0.3, 0.55, 0.81, 0.97};
    std::vector<kmeans_candidate> got(uniforms.size());
    engine->draw(uniforms, got);
    for (const kmeans_candidate& c : got) {
        ASSERT_TRUE(c.row >= 0 && c.row < s.rows);
        std::vector<double> with = want.distance;
        for (std::int64_t n = 0; n < s.rows; ++n)
            with[n] = std::min(with[n], distance(s.row(n), s.row(c.row), s.cols));
        EXPECT_EQ(c.potential, ordered_sum(s, with)) << "candidate " << c.row;
    }
}

void check_assignment_and_sums(const context& ctx, const sample& s, std::int64_t k) {
    const auto engine = loaded(ctx, s);
    std::vector<double> centres = rows_of(s, first_rows(s, k));
    EXPECT_EQ(engine->assign(centres), s.rows);
    EXPECT_EQ(engine->assign(centres), 0);
    const std::vector<std::int32_t> before = labels_of(*engine, s);
    for (double& v : centres)
        v += 0.75;
    const nearest_centres want(s, centres);
    std::int64_t changed = 0;
    for (std::int64_t n = 0; n < s.rows; ++n)
        changed += before[n] != want.label[n];
    EXPECT_EQ(engine->assign(centres), changed);
    EXPECT_EQ(labels_of(*engine, s), want.label);

    std::vector<double> sums(k * s.cols), counts(k);
    engine->cluster_sums(sums, counts);
    for (std::int64_t c = 0; c < k; ++c) {
        std::vector<std::int64_t> members;
        for (std::int64_t n = 0; n < s.rows; ++n)
            if (want.label[n] == c)
                members.push_back(n);
        // Chunks of 64 rows of the cluster, then the chunks.
        std::vector<double> sum(s.cols + 1, 0);
        for (std::size_t begin = 0; begin < members.size(); begin += 64) {
            std::vector<double> chunk(s.cols + 1, 0);
            for (std::size_t i = begin; i < std::min(members.size(), begin + 64); ++i) {
                for (std::int64_t j = 0; j < s.cols; ++j)
                    chunk[j] = std::fma(s.weights[members[i]], s.row(members[i])[j], chunk[j]);
                chunk[s.cols] += s.weights[members[i]];
            }
            for (std::int64_t j = 0; j <= s.cols; ++j)
                sum[j] += chunk[j];
        }
        EXPECT_EQ(counts[c], sum[s.cols]) << "cluster " << c;
        for (std::int64_t j = 0; j < s.cols; ++j)
            EXPECT_EQ(sums[c * s.cols + j], sum[j]) << "cluster " << c << " column " << j;
    }
}

void check_shape(const context& ctx, std::int64_t rows, std::int64_t cols, std::int64_t k) {
    SCOPED_TRACE(ctx.name() + ": " + std::to_string(rows) + " x " + std::to_string(cols) +
                 ", k = " + std::to_string(k));
    const sample s = make_sample(rows, cols, rows % 2 == 1);
    check_centres_and_potentials(ctx, s, k);
    check_assignment_and_sums(ctx, s, k);
}

TEST(KMeans, OperationsAgainstPlainLoops) {
    for (const context& ctx : test::contexts())
        for (std::int64_t rows : {1, 31, 33, 1023, 1024, 1025})
            for (std::int64_t cols : {1, 2, 17, 64})
                for (std::int64_t k : {1, 2, 33})
                    check_shape(ctx, rows, cols, k);
}

TEST(KMeans, LowerIndexAtATie) {
    // Integers on a line, centres at 0, 2, 4 and again 2: every odd row is as far from two of them.
    sample s{40, 1, {}, std::vector<double>(40, 1)};
    for (std::int64_t n = 0; n < s.rows; ++n)
        s.x.push_back(static_cast<double>(n % 5));
    for (const context& ctx : test::contexts()) {
        SCOPED_TRACE(ctx.name());
        const auto engine = loaded(ctx, s);
        const std::vector<std::int32_t> want = {0, 0, 1, 1, 2};
        engine->assign(std::vector<double>{0, 2, 4, 2});
        std::vector<std::int32_t> got = labels_of(*engine, s);
        for (std::int64_t n = 0; n < s.rows; ++n)
            EXPECT_EQ(got[n], want[n % 5]);
        engine->restart();
        for (std::int64_t row : {0, 2, 4, 7})
            engine->add_centre(row);
        got = labels_of(*engine, s);
        for (std::int64_t n = 0; n < s.rows; ++n)
            EXPECT_EQ(got[n], want[n % 5]);
    }
}

TEST(KMeans, CoincidentRowsAreDrawnOnlyWhenThereIsNothingElse) {
    // Three places, many rows each, the last row alone: after two centres only one place has mass.
    sample s{1100, 2, {}, {}};
    for (std::int64_t n = 0; n < s.rows; ++n) {
        const double at = n == 700 ? 9 : n % 2 == 0 ? 0 : 4;
        s.x.insert(s.x.end(), {at, -at});
        s.weights.push_back(0.5 + test::uniform(3, n));
    }
    for (const context& ctx : test::contexts()) {
        SCOPED_TRACE(ctx.name());
        const auto engine = loaded(ctx, s);
        const std::vector<double> uniforms = {0, 0.25, 0.5, 0.999, 1};
        std::vector<kmeans_candidate> got(uniforms.size());
        engine->add_centre(0);
        engine->add_centre(1);
        engine->draw(uniforms, got);
        for (const kmeans_candidate& c : got) {
            EXPECT_EQ(c.row, 700);
            EXPECT_EQ(c.potential, 0);
        }
        engine->add_centre(700);
        engine->draw(uniforms, got); // by weight, twice with the same result
        std::vector<kmeans_candidate> again(uniforms.size());
        engine->draw(uniforms, again);
        EXPECT_EQ(got.front().row, 0);
        EXPECT_EQ(got.back().row, s.rows - 1);
        double running = 0;
        const double total = std::accumulate(s.weights.begin(), s.weights.end(), 0.0);
        for (std::int64_t n = 0; n < s.rows; ++n) {
            // The row whose part of the running sum holds u: neighbours where rounding (2⁻⁴⁰ is ample) could decide.
            for (std::size_t c = 0; c < got.size(); ++c)
                if (got[c].row == n) {
                    EXPECT_LE(running, uniforms[c] * total * (1 + 0x1p-40));
                    EXPECT_GE(running + s.weights[n], uniforms[c] * total * (1 - 0x1p-40));
                }
            running += s.weights[n];
        }
        for (std::size_t c = 0; c < got.size(); ++c)
            EXPECT_EQ(got[c].row, again[c].row);
    }
}

TEST(KMeans, DrawsFollowTheMasses) {
    // The share of the uniforms that lead to a row is its probability: a grid of 4096 uniforms finds it to 2 / 4096
    // (one grid point at either end of the row's interval).
    const sample s = make_sample(37, 2, true);
    for (const context& ctx : test::contexts()) {
        SCOPED_TRACE(ctx.name());
        const auto engine = loaded(ctx, s);
        for (const bool centre : {false, true}) {
            std::vector<double> mass = s.weights;
            if (centre) {
                engine->add_centre(5);
                for (std::int64_t n = 0; n < s.rows; ++n)
                    mass[n] *= distance(s.row(n), s.row(5), s.cols);
            }
            const double total = std::accumulate(mass.begin(), mass.end(), 0.0);
            std::vector<double> drawn(s.rows, 0);
            for (std::int64_t i = 0; i < 4096; i += kmeans_candidate_limit) {
                double uniforms[kmeans_candidate_limit];
                kmeans_candidate got[kmeans_candidate_limit];
                for (std::int64_t c = 0; c < kmeans_candidate_limit; ++c)
                    uniforms[c] = (static_cast<double>(i + c) + 0.5) / 4096;
                engine->draw(uniforms, got);
                for (const kmeans_candidate& c : got)
                    drawn[c.row] += 1.0 / 4096;
            }
            for (std::int64_t n = 0; n < s.rows; ++n)
                EXPECT_NEAR(drawn[n], mass[n] / total, 2.0 / 4096) << "row " << n;
            EXPECT_EQ(drawn[5] == 0, centre);
        }
    }
}

/// Everything that k-means++ and Lloyd's iterations end with.
struct clustering {
    std::vector<std::int64_t> chosen;
    std::vector<double> centres;
    std::vector<std::int32_t> labels;
    bool operator==(const clustering&) const = default;
};

clustering cluster(const context& ctx, const sample& s, std::int64_t k, bool greedy, int iterations) {
    const auto engine = loaded(ctx, s);
    clustering c;
    c.chosen = gmm::kmeans_plus_plus(*engine, k, greedy, 17);
    c.centres.resize(k * s.cols);
    engine->refine(iterations);
    engine->centres(c.centres);
    c.labels = labels_of(*engine, s);
    return c;
}

TEST(KMeans, SameBitsOnEveryBackEndAndAnyThreadCount) {
    // Beyond the size from which the work goes to several threads, and that a single block of the device sorts.
    const sample s = make_sample(30011, 9, true);
    for (const bool greedy : {false, true}) {
        const clustering want = cluster(context::reference(), s, 9, greedy, 4);
        for (const context& ctx : test::contexts_under_test())
            EXPECT_EQ(cluster(ctx, s, 9, greedy, 4), want) << ctx.name();
        for (int threads : {1, 2, 7})
            EXPECT_EQ(cluster(context::cpu(threads), s, 9, greedy, 4), want) << threads << " threads";
    }
}

TEST(KMeans, LloydSettlesOnSeparateClusters) {
    // Five clusters 30 apart with unit spread: k-means++ finds one row in each, and a cluster is a residue class.
    sample s = make_sample(500, 2, false);
    s.x = test::clustered(500, 2, 5, 0.0, 3);
    for (std::int64_t n = 0; n < s.rows; ++n)
        s.x[2 * n] += 30.0 * static_cast<double>(n % 5);
    for (const context& ctx : test::contexts()) {
        SCOPED_TRACE(ctx.name());
        const clustering c = cluster(ctx, s, 5, true, 100);
        for (std::int64_t n = 0; n < s.rows; ++n)
            EXPECT_EQ(c.labels[n], c.labels[n % 5]);
        for (std::int64_t n = 0; n < 5; ++n) {
            double sum = 0;
            for (std::int64_t i = n; i < s.rows; i += 5)
                sum += s.x[2 * i] / 100;
            EXPECT_NEAR(c.centres[2 * c.labels[n]], sum, 1e-12 * std::abs(sum) + 1e-12); // 100 roundings of 2⁻⁵³
        }
    }
}

TEST(KMeans, ACentreWithoutRowsStays) {
    const sample s{4, 1, {0, 1, 10, 11}, {1, 1, 1, 1}};
    for (const context& ctx : test::contexts()) {
        SCOPED_TRACE(ctx.name());
        const auto engine = loaded(ctx, s);
        std::vector<double> centres = {0, 10, 500};
        engine->assign(centres);
        engine->refine(5);
        engine->centres(centres);
        EXPECT_EQ(centres, (std::vector<double>{0.5, 10.5, 500}));
    }
}

} // namespace
} // namespace elbo
