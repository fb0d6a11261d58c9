// The CPU back end: sums and inference against the reference engine, and that threads, batches, strides and screening
// change no bit.
#include "elbo/error.hpp"
#include "kernels/contract/gmm_engine.hpp"
#include "kernels/math/fixed_point.hpp"
#include "kernels/math/philox.hpp"
#include "tests/support/gmm/cpu_problem.hpp"

#include <algorithm>
#include <cmath>
#include <gtest/gtest.h>
#include <limits>
#include <string>
#include <utility>

namespace {

using namespace elbo;
using namespace elbo::kernels;

/// Largest ‖x̃‖ and ‖μ̃‖.
std::pair<double, double> largest_norms(const problem& p) {
    double largest = 0, mean_norm = 0;
    const std::int64_t d = p.shape.dimensions;
    for (std::int64_t n = 0; n < p.rows; ++n) {
        double norm = 0;
        for (std::int64_t j = 0; j < d; ++j)
            norm += double(p.x[n * d + j]) * p.x[n * d + j];
        largest = std::max(largest, std::sqrt(norm));
    }
    for (std::int64_t k = 0; k < p.shape.components; ++k) {
        double norm = 0;
        for (std::int64_t j = 0; j < d; ++j)
            norm += std::pow(p.parameters.means[k * d + j], 2);
        mean_norm = std::max(mean_norm, std::sqrt(norm));
    }
    return {largest, mean_norm};
}

/// Largest error of a log-density in float32 or float64, docs/kernels.md section 5, over rows whose nearest component
/// is theirs.
double log_density_bound(const problem& p, double unit_roundoff) {
    const auto [largest, mean_norm] = largest_norms(p);
    const double dimensions = static_cast<double>(p.shape.dimensions), q = 4 * dimensions + 16, factor_norm = 4;
    return 4 * unit_roundoff * (std::sqrt(q) * factor_norm * (largest + mean_norm) + dimensions + q);
}

void expect_same_sums(const problem& p, element_type precision, bool weighted, const char* what) {
    SCOPED_TRACE(std::string(what) + " " + std::string(gmm::to_string(p.shape.family)) +
                 " d = " + std::to_string(p.shape.dimensions) + " k = " + std::to_string(p.shape.components));
    const auto reference = loaded(make_gmm_engine(context::reference(), p.shape, element_type::float64), p, weighted);
    const auto cpu = loaded(make_gmm_engine(context::cpu(2), p.shape, precision), p, weighted);
    reference->accumulate(0, p.rows);
    cpu->accumulate(0, p.rows);
    const std::vector<double> expected = reference->sums().values(), got = cpu->sums().values();
    const double roundoff = precision == element_type::float32 ? 0x1p-24 : 0x1p-53;
    // A relative error δ of each responsibility (δ: twice that of lp, as lse has one of its own) moves Σ w r t by at
    // most δ Σ w r |t|; products and chains of 64 add at most 64 roundoffs. Pairs outside the active set have r < 2⁻²⁴
    // / K and ‖x̃ − μ̃‖ ≤ ‖x̃‖ + ‖μ̃‖.
    const double relative = 2 * log_density_bound(p, roundoff) + 64 * roundoff + 0x1p-24;
    const auto [largest, mean_norm] = largest_norms(p);
    const double left_out = 0x1p-24 / static_cast<double>(p.shape.components) * std::pow(largest + mean_norm, 2);
    const std::int64_t d = p.shape.dimensions, size = statistics_size(p.shape.family, d);
    const double weight = expected[p.shape.components * size + scalar_weight];
    for (std::int64_t k = 0; k < p.shape.components; ++k) {
        const double* e = &expected[k * size];
        const double* g = &got[k * size];
        double squares = e[0]; // Σ w r ‖x − μ‖² where the family has it, else a coarse bound
        if (p.shape.family == family::full)
            for (std::int64_t j = 0; j < d; ++j)
                squares += e[1 + d + packed_upper(j, j, d)];
        else if (size > 1 + d)
            for (std::int64_t j = 1 + d; j < size; ++j)
                squares += e[j];
        else
            squares = e[0] * 64 * static_cast<double>(d);
        for (std::int64_t i = 0; i < size; ++i)
            ASSERT_NEAR(e[i], g[i], relative * squares + left_out * weight) << "component " << k << " statistic " << i;
    }
    const double* e = &expected[p.shape.components * size];
    const double* g = &got[p.shape.components * size];
    EXPECT_NEAR(e[scalar_log_likelihood], g[scalar_log_likelihood], weight * relative);
    EXPECT_NEAR(e[scalar_entropy], g[scalar_entropy], 8 * weight * relative);
    EXPECT_DOUBLE_EQ(e[scalar_weight], g[scalar_weight]);
    EXPECT_EQ(g[scalar_log_factors], 0);
}

TEST(CpuEngine, SumsEqualThoseOfTheReference) {
    for (const family f : families)
        for (const std::int64_t d : {1, 2, 3, 4, 5, 7, 17, 40})
            for (const std::int64_t k : {1, 3, 8, 70}) {
                const problem p = make_problem(f, d, k, d > 5 || k > 8 ? 601 : unit_rows + 333);
                expect_same_sums(p, element_type::float32, true, "float32");
                expect_same_sums(p, element_type::float64, false, "float64");
            }
}

TEST(CpuEngine, SeparatedComponentsGiveTheSameSums) {
    for (const family f : families)
        for (const std::int64_t d : {2, 20, 45}) {
            const problem p = make_problem(f, d, 33, 3000, 6);
            expect_same_sums(p, element_type::float32, true, "separated float32");
            expect_same_sums(p, element_type::float64, true, "separated float64");
        }
}

TEST(CpuEngine, EveryInstructionSetAgreesWithTheReference) {
    for (const char* set : {"baseline", "avx2", "avx512"}) {
        ::setenv("ELBO_SIMD", set, 1);
        const problem p = make_problem(family::full, 19, 7, 900);
        std::unique_ptr<gmm_engine> usable;
        try {
            usable = make_gmm_engine(context::cpu(1), p.shape, element_type::float32);
        } catch (const invalid_argument&) {
            continue; // not on this machine
        }
        for (const family f : families)
            for (const std::int64_t d : {2, 4, 19}) {
                expect_same_sums(make_problem(f, d, 7, 900), element_type::float32, true, set);
                expect_same_sums(make_problem(f, d, 7, 900), element_type::float64, true, set);
                expect_same_sums(make_problem(f, d, 7, 900, 8), element_type::float32, true, set);
            }
    }
    ::unsetenv("ELBO_SIMD");
}

TEST(CpuEngine, AnUnknownInstructionSetIsRefused) {
    ::setenv("ELBO_SIMD", "mmx", 1);
    EXPECT_THROW(make_gmm_engine(context::cpu(1), {family::full, 2, 2}, element_type::float32), invalid_argument);
    ::unsetenv("ELBO_SIMD");
}

TEST(CpuEngine, ThreadsAndBatchesChangeNoBit) {
    for (const family f : families) {
        const problem p = make_problem(f, 9, 12, 5 * unit_rows + 77, 2);
        const auto one = loaded(make_gmm_engine(context::cpu(1), p.shape, element_type::float32), p, true);
        one->accumulate(0, p.rows);
        for (const int threads : {2, 7}) {
            const auto many = loaded(make_gmm_engine(context::cpu(threads), p.shape, element_type::float32), p, true);
            many->accumulate(3 * unit_rows, p.rows - 3 * unit_rows);
            many->accumulate(0, unit_rows);
            many->accumulate(unit_rows, 2 * unit_rows);
            EXPECT_EQ(one->sums().limbs, many->sums().limbs) << gmm::to_string(f) << ' ' << threads;
        }
    }
}

TEST(CpuEngine, ScreeningChangesNoBit) {
    // An engine that has just met overlapping components takes its next blocks densely; a fresh one screens.
    for (const auto precision : {element_type::float32, element_type::float64})
        for (const std::int64_t d : {12, 33, 50})
            for (const double spread : {0.5, 1.5, 4.0}) {
                const problem p = make_problem(family::full, d, 24, 3000, spread);
                const auto fresh = loaded(make_gmm_engine(context::cpu(1), p.shape, precision), p, true);
                fresh->accumulate(0, p.rows);
                const auto dense = loaded(make_gmm_engine(context::cpu(1), p.shape, precision), p, true);
                gmm_parameters overlapping = p.parameters;
                for (double& m : overlapping.means)
                    m *= 0.01;
                dense->set_parameters(overlapping);
                for (int i = 0; i < 6; ++i)
                    dense->accumulate(0, 1000);
                dense->set_parameters(p.parameters);
                dense->clear_sums(bound, bound);
                dense->accumulate(0, p.rows);
                EXPECT_EQ(fresh->sums().limbs, dense->sums().limbs) << d << ' ' << spread;
            }
}

TEST(CpuEngine, HomesOfRowsChangeNoBit) {
    // The first pass over separated components gives rows their homes; the next ones compute near pairs alone. An
    // engine whose parameters have moved since has wrong homes.
    for (const family f : {family::full, family::diagonal, family::spherical, family::tied, family::tied_diagonal})
        for (const auto precision : {element_type::float32, element_type::float64})
            for (const auto& [d, k] : {std::pair<std::int64_t, std::int64_t>{2, 70}, {16, 8}, {19, 40}, {67, 24}})
                for (const double spread : {1.0, 4.0, 20.0}) {
                    const problem p = make_problem(f, d, k, 1900, spread);
                    const auto fresh = loaded(make_gmm_engine(context::cpu(1), p.shape, precision), p, true);
                    std::vector<double> expected(p.rows), got(p.rows);
                    fresh->infer(0, p.rows, {.log_density = {expected.data(), p.rows, 1}});
                    fresh->accumulate(0, p.rows);
                    const auto known = loaded(make_gmm_engine(context::cpu(2), p.shape, precision), p, true);
                    gmm_parameters moved = p.parameters;
                    std::rotate(moved.means.begin(), moved.means.begin() + d, moved.means.begin() + 3 * d);
                    known->set_parameters(moved);
                    known->accumulate(0, p.rows);
                    known->set_parameters(p.parameters);
                    for (int pass = 0; pass < 3; ++pass) {
                        known->clear_sums(bound, bound);
                        known->accumulate(0, p.rows);
                        EXPECT_EQ(fresh->sums().limbs, known->sums().limbs)
                            << gmm::to_string(f) << ' ' << d << ' ' << spread << " pass " << pass;
                    }
                    known->infer(0, p.rows, {.log_density = {got.data(), p.rows, 1}});
                    EXPECT_EQ(expected, got) << gmm::to_string(f) << ' ' << d << ' ' << spread;
                }
}

TEST(CpuEngine, StridesAndElementTypesOfTheInputChangeNoBit) {
    const problem p = make_problem(family::full, 6, 5, 1000);
    const auto plain = loaded(make_gmm_engine(context::cpu(1), p.shape, element_type::float32), p, false);
    plain->accumulate(0, p.rows);
    std::vector<double> wide(p.rows * 11);
    for (std::int64_t n = 0; n < p.rows; ++n)
        for (std::int64_t j = 0; j < 6; ++j)
            wide[n * 11 + j] = p.x[n * 6 + j];
    const auto other = make_gmm_engine(context::cpu(1), p.shape, element_type::float32);
    other->reserve(p.rows, false);
    other->load({matrix_view<const double>(wide.data(), p.rows, 6, 11, memory_space::host), {}, 1}, p.identity(), 0);
    other->set_parameters(p.parameters);
    other->clear_sums(bound, bound);
    other->accumulate(0, p.rows);
    EXPECT_EQ(plain->sums().limbs, other->sums().limbs);
}

TEST(CpuEngine, RowsBehindTheLastOneAskedForDoNotCount) {
    for (const bool weighted : {false, true}) {
        problem p = make_problem(family::full, 3, 4, 500);
        const auto part = loaded(make_gmm_engine(context::cpu(1), p.shape, element_type::float32), p, weighted);
        part->accumulate(0, 401);
        p.rows = 401;
        const auto all = loaded(make_gmm_engine(context::cpu(1), p.shape, element_type::float32), p, weighted);
        all->accumulate(0, 401);
        EXPECT_EQ(part->sums().limbs, all->sums().limbs);
    }
}

TEST(CpuEngine, DroppedComponentsAndRowsWithoutWeightCountNothing) {
    problem p = make_problem(family::diagonal, 5, 4, 700);
    p.parameters.log_weights[2] = -std::numeric_limits<double>::infinity();
    for (std::int64_t n = 0; n < p.rows; ++n)
        if (p.weights[n] == 0)
            p.x[n * 5 + 1] = 3e38f; // would overflow if it were multiplied
    const auto cpu = loaded(make_gmm_engine(context::cpu(2), p.shape, element_type::float32), p, true);
    cpu->accumulate(0, p.rows);
    const std::vector<double> got = cpu->sums().values();
    for (double v : got)
        EXPECT_TRUE(std::isfinite(v));
    const std::int64_t size = statistics_size(p.shape.family, 5);
    for (std::int64_t i = 0; i < size; ++i)
        EXPECT_EQ(got[2 * size + i], 0);
    double weight = 0;
    for (float w : p.weights)
        weight += w;
    EXPECT_DOUBLE_EQ(got[p.shape.components * size + scalar_weight], weight);
}

TEST(CpuEngine, InferenceEqualsTheReference) {
    for (const family f : families) {
        const problem p = make_problem(f, 7, 9, 2 * unit_rows + 5, 2);
        const auto reference = loaded(make_gmm_engine(context::reference(), p.shape, element_type::float64), p, false);
        const auto cpu = loaded(make_gmm_engine(context::cpu(2), p.shape, element_type::float32), p, false);
        std::vector<double> log_density[2], r[2];
        std::vector<std::int32_t> label[2];
        gmm_engine* engines[2] = {reference.get(), cpu.get()};
        for (int e = 0; e < 2; ++e) {
            log_density[e].resize(p.rows), r[e].resize(p.rows * 9), label[e].resize(p.rows);
            engines[e]->infer(
                0, p.rows,
                {{log_density[e].data(), p.rows, 1}, {r[e].data(), p.rows, 9}, {label[e].data(), p.rows, 1}});
        }
        const double tolerance = 2 * log_density_bound(p, 0x1p-24) + 0x1p-24;
        for (std::int64_t n = 0; n < p.rows; ++n) {
            ASSERT_NEAR(log_density[0][n], log_density[1][n], tolerance);
            for (std::int64_t k = 0; k < 9; ++k)
                ASSERT_NEAR(r[0][n * 9 + k], r[1][n * 9 + k], tolerance);
            ASSERT_NEAR(r[0][n * 9 + label[0][n]], r[0][n * 9 + label[1][n]], 2 * tolerance);
        }
    }
}

TEST(CpuEngine, SummariesEqualTheReference) {
    const problem p = make_problem(family::full, 6, 3, 2 * unit_rows + 9);
    unit_summaries expected, got;
    EXPECT_EQ(make_gmm_engine(context::reference(), p.shape, element_type::float64)->summarize(p.input(true), expected),
              -1);
    EXPECT_EQ(make_gmm_engine(context::cpu(2), p.shape, element_type::float32)->summarize(p.input(true), got), -1);
    ASSERT_EQ(expected.size(), got.size());
    for (std::int64_t u = 0; u < got.size(); ++u) {
        EXPECT_DOUBLE_EQ(expected[u].weight, got[u].weight);
        EXPECT_EQ(expected[u].positive, got[u].positive);
        EXPECT_EQ(expected[u].largest_weight, got[u].largest_weight);
        EXPECT_EQ(expected[u].smallest_weight, got[u].smallest_weight);
        EXPECT_TRUE(std::ranges::equal(expected[u].min, got[u].min));
        EXPECT_TRUE(std::ranges::equal(expected[u].max, got[u].max));
        for (int j = 0; j < 6; ++j) {
            EXPECT_NEAR(expected[u].mean[j], got[u].mean[j], 1e-12); // 4096 float64 additions of numbers below 10
            EXPECT_NEAR(expected[u].m2[j], got[u].m2[j], 1e-11 * expected[u].m2[j]);
        }
    }
    problem broken = p;
    broken.x[(unit_rows + 3) * 6 + 4] = std::numeric_limits<float>::quiet_NaN();
    broken.x[(unit_rows + 30) * 6] = std::numeric_limits<float>::infinity();
    EXPECT_EQ(make_gmm_engine(context::cpu(2), p.shape, element_type::float32)->summarize(broken.input(false), got),
              (unit_rows + 3) * 6 + 4);
}

} // namespace
