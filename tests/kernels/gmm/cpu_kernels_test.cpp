// The parts of the CPU back end: elementary functions against the standard library, sums and inference against the
// reference engine, and that threads, batches, strides and screening change no bit.
#define ELBO_SIMD baseline
#include "kernels/cpu/core/fused.hpp"
#include "kernels/cpu/core/simd.hpp"

#include "elbo/error.hpp"
#include "kernels/contract/gmm_engine.hpp"
#include "kernels/math/fixed_point.hpp"
#include "kernels/math/philox.hpp"

#include <algorithm>
#include <cmath>
#include <cstdlib>
#include <gtest/gtest.h>
#include <limits>
#include <string>
#include <utility>

namespace {

using namespace elbo;
using namespace elbo::kernels;
using gmm::family;

double normal(std::uint64_t index, std::uint32_t item) {
    double a, b;
    normal_pair(random_block(3, random_purpose::sample_noise, index, item), a, b);
    return a;
}

// --- elementary functions -------------------------------------------------------------------------------------------

template <class T>
double ulps(T got, long double expected) {
    const T nearest = static_cast<T>(expected);
    const T next = std::nextafter(nearest, std::numeric_limits<T>::infinity());
    return static_cast<double>(std::abs(static_cast<long double>(got) - expected) / (next - nearest));
}

template <class T>
void check_exponential(T from, std::int64_t steps) {
    using namespace cpu::baseline;
    double worst = 0;
    for (std::int64_t i = 0; i <= steps; ++i) {
        const T x = from * static_cast<T>(i) / static_cast<T>(steps);
        worst = std::max(worst, ulps<T>(exponential<T>(broadcast(x))[0], std::exp(static_cast<long double>(x))));
    }
    EXPECT_LE(worst, 2);
    EXPECT_EQ(exponential<T>(broadcast(T(0)))[0], T(1));
    EXPECT_EQ(exponential<T>(broadcast(T(-1e30)))[0], T(0));
    EXPECT_EQ(exponential<T>(broadcast(-std::numeric_limits<T>::infinity()))[0], T(0));
}

TEST(cpu_simd, exponential_is_within_two_ulps) {
    check_exponential<float>(-87.0f, 200000);
    check_exponential<double>(-700.0, 200000);
}

template <class T>
void check_logarithm() {
    using namespace cpu::baseline;
    double worst = 0;
    for (std::int64_t i = 0; i <= 200000; ++i) {
        const T x = static_cast<T>(1 + static_cast<double>(i) * static_cast<double>(i) * 1e-6); // 1 ... 40001
        worst = std::max(worst, ulps<T>(logarithm<T>(broadcast(x))[0], std::log(static_cast<long double>(x))));
    }
    EXPECT_LE(worst, 2);
    EXPECT_EQ(logarithm<T>(broadcast(T(1)))[0], T(0));
}

TEST(cpu_simd, logarithm_is_within_two_ulps) {
    check_logarithm<float>();
    check_logarithm<double>();
}

TEST(cpu_simd, fused_multiply_add_rounds_once) {
    using namespace cpu::baseline;
    for (std::int64_t i = 0; i < 300000; ++i) {
        double a = normal(i, 1), c = normal(i, 3);
        const double b = normal(i, 2);
        if (i % 3 == 0)
            a = static_cast<float>(a); // shorter products, and with them ties
        if (i % 5 == 0)
            c = -a * b * (1 + static_cast<double>(i % 7) * 0x1p-52); // all leading bits cancel
        c = std::ldexp(c, static_cast<int>(i % 121) - 60);
        ASSERT_EQ(fused(broadcast(a), broadcast(b), broadcast(c))[0], std::fma(a, b, c)) << a << ' ' << b << ' ' << c;
    }
    EXPECT_EQ(fused(broadcast(1e200), broadcast(1e200), broadcast(1.0))[0], std::numeric_limits<double>::infinity());
}

// --- engines --------------------------------------------------------------------------------------------------------

/// Rows, weights and parameters of a made-up problem in the normalised frame.
struct problem {
    gmm_shape shape;
    std::int64_t rows;
    std::vector<float> x, weights;
    gmm_parameters parameters;
    frame identity() const {
        return {std::vector<double>(shape.dimensions, 0.0), std::vector<double>(shape.dimensions, 1.0)};
    }
    input_rows input(bool weighted) const {
        input_rows in{matrix_view<const float>(x.data(), rows, shape.dimensions), {}, 1};
        if (weighted)
            in.weights = matrix_view<const float>(weights.data(), rows, 1);
        return in;
    }
};

/// `spread`: distance of the means in standard deviations of a coordinate.
problem make_problem(family f, std::int64_t d, std::int64_t k, std::int64_t rows, double spread = 1) {
    problem p{{f, d, k}, rows, {}, {}, {}};
    p.parameters.means.resize(k * d);
    for (std::int64_t i = 0; i < k * d; ++i)
        p.parameters.means[i] = static_cast<float>(spread * normal(1000000 + i, 1));
    p.parameters.log_weights.resize(k);
    for (std::int64_t c = 0; c < k; ++c)
        p.parameters.log_weights[c] = std::log(2.0 * static_cast<double>(c + 1) / static_cast<double>(k * (k + 1)));
    const std::int64_t numbers = gmm::covariance_size(f, k, d), step = d * d;
    p.parameters.precision_cholesky.assign(numbers, 0);
    for (std::int64_t i = 0; i < numbers; ++i) {
        double& u = p.parameters.precision_cholesky[i];
        if (f == family::full || f == family::tied) {
            const std::int64_t row = i % step / d, column = i % d;
            if (row == column)
                u = 1 + 0.25 * std::abs(normal(i, 2));
            if (row < column)
                u = 0.3 / std::sqrt(static_cast<double>(d)) * normal(i, 2);
        } else {
            u = 1 + 0.5 * std::abs(normal(i, 2));
        }
        u = static_cast<float>(u);
    }
    for (std::int64_t n = 0; n < rows; ++n) {
        const std::int64_t c = n * 7 % k;
        for (std::int64_t j = 0; j < d; ++j)
            p.x.push_back(static_cast<float>(p.parameters.means[c * d + j] + normal(n, 100 + j)));
        p.weights.push_back(n % 5 == 3 ? 0.0f : 0.5f + static_cast<float>(n % 3));
    }
    return p;
}

constexpr double bound = 0x1p40; // of the sums

std::unique_ptr<gmm_engine> loaded(std::unique_ptr<gmm_engine> e, const problem& p, bool weighted) {
    e->reserve(p.rows, weighted);
    e->load(p.input(weighted), p.identity(), 0);
    e->set_parameters(p.parameters);
    e->clear_sums(bound, bound);
    return e;
}

std::vector<double> totals(const gmm_shape& s, const fixed_sums& sums) {
    const std::int64_t count = sum_count(s);
    std::vector<double> out(count);
    for (std::int64_t i = 0; i < count; ++i) {
        const std::int64_t limbs[limb_count] = {sums.limbs[i], sums.limbs[count + i], sums.limbs[2 * count + i]};
        out[i] = join_fixed(limbs, i < count - scalar_count ? sums.component_exponent : sums.scalar_exponent);
    }
    return out;
}

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
    const auto reference = loaded(make_reference_engine(context::reference(), p.shape), p, weighted);
    const auto cpu = loaded(make_cpu_engine(context::cpu(2), p.shape, precision), p, weighted);
    reference->accumulate(0, p.rows);
    cpu->accumulate(0, p.rows);
    const std::vector<double> expected = totals(p.shape, reference->sums()), got = totals(p.shape, cpu->sums());
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

constexpr family families[] = {family::full, family::diagonal,      family::spherical,
                               family::tied, family::tied_diagonal, family::tied_spherical};

TEST(cpu_engine, sums_equal_those_of_the_reference) {
    for (const family f : families)
        for (const std::int64_t d : {1, 2, 3, 4, 5, 7, 17, 40})
            for (const std::int64_t k : {1, 3, 8, 70}) {
                const problem p = make_problem(f, d, k, d > 5 || k > 8 ? 601 : unit_rows + 333);
                expect_same_sums(p, element_type::float32, true, "float32");
                expect_same_sums(p, element_type::float64, false, "float64");
            }
}

TEST(cpu_engine, separated_components_give_the_same_sums) {
    for (const family f : families)
        for (const std::int64_t d : {2, 20, 45}) {
            const problem p = make_problem(f, d, 33, 3000, 6);
            expect_same_sums(p, element_type::float32, true, "separated float32");
            expect_same_sums(p, element_type::float64, true, "separated float64");
        }
}

TEST(cpu_engine, every_instruction_set_agrees_with_the_reference) {
    for (const char* set : {"baseline", "avx2", "avx512"}) {
        ::setenv("ELBO_SIMD", set, 1);
        const problem p = make_problem(family::full, 19, 7, 900);
        std::unique_ptr<gmm_engine> usable;
        try {
            usable = make_cpu_engine(context::cpu(1), p.shape, element_type::float32);
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

TEST(cpu_engine, an_unknown_instruction_set_is_refused) {
    ::setenv("ELBO_SIMD", "mmx", 1);
    EXPECT_THROW(make_cpu_engine(context::cpu(1), {family::full, 2, 2}, element_type::float32), invalid_argument);
    ::unsetenv("ELBO_SIMD");
}

TEST(cpu_engine, threads_and_batches_change_no_bit) {
    for (const family f : families) {
        const problem p = make_problem(f, 9, 12, 5 * unit_rows + 77, 2);
        const auto one = loaded(make_cpu_engine(context::cpu(1), p.shape, element_type::float32), p, true);
        one->accumulate(0, p.rows);
        for (const int threads : {2, 7}) {
            const auto many = loaded(make_cpu_engine(context::cpu(threads), p.shape, element_type::float32), p, true);
            many->accumulate(3 * unit_rows, p.rows - 3 * unit_rows);
            many->accumulate(0, unit_rows);
            many->accumulate(unit_rows, 2 * unit_rows);
            EXPECT_EQ(one->sums().limbs, many->sums().limbs) << gmm::to_string(f) << ' ' << threads;
        }
    }
}

TEST(cpu_engine, screening_changes_no_bit) {
    // An engine that has just met overlapping components takes its next blocks densely; a fresh one screens.
    for (const auto precision : {element_type::float32, element_type::float64})
        for (const std::int64_t d : {12, 33, 50})
            for (const double spread : {0.5, 1.5, 4.0}) {
                const problem p = make_problem(family::full, d, 24, 3000, spread);
                const auto fresh = loaded(make_cpu_engine(context::cpu(1), p.shape, precision), p, true);
                fresh->accumulate(0, p.rows);
                const auto dense = loaded(make_cpu_engine(context::cpu(1), p.shape, precision), p, true);
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

TEST(cpu_engine, homes_of_rows_change_no_bit) {
    // The first pass over separated components gives rows their homes; the next ones compute near pairs alone. An
    // engine whose parameters have moved since has wrong homes.
    for (const family f : {family::diagonal, family::spherical, family::tied, family::tied_diagonal})
        for (const auto precision : {element_type::float32, element_type::float64})
            for (const auto& [d, k] : {std::pair<std::int64_t, std::int64_t>{2, 70}, {16, 8}, {19, 40}, {67, 24}})
                for (const double spread : {1.0, 4.0, 20.0}) {
                    const problem p = make_problem(f, d, k, 1900, spread);
                    const auto fresh = loaded(make_cpu_engine(context::cpu(1), p.shape, precision), p, true);
                    std::vector<double> expected(p.rows), got(p.rows);
                    fresh->infer(0, p.rows, expected.data(), nullptr, nullptr);
                    fresh->accumulate(0, p.rows);
                    const auto known = loaded(make_cpu_engine(context::cpu(2), p.shape, precision), p, true);
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
                    known->infer(0, p.rows, got.data(), nullptr, nullptr);
                    EXPECT_EQ(expected, got) << gmm::to_string(f) << ' ' << d << ' ' << spread;
                }
}

TEST(cpu_engine, strides_and_element_types_of_the_input_change_no_bit) {
    const problem p = make_problem(family::full, 6, 5, 1000);
    const auto plain = loaded(make_cpu_engine(context::cpu(1), p.shape, element_type::float32), p, false);
    plain->accumulate(0, p.rows);
    std::vector<double> wide(p.rows * 11);
    for (std::int64_t n = 0; n < p.rows; ++n)
        for (std::int64_t j = 0; j < 6; ++j)
            wide[n * 11 + j] = p.x[n * 6 + j];
    const auto other = make_cpu_engine(context::cpu(1), p.shape, element_type::float32);
    other->reserve(p.rows, false);
    other->load({matrix_view<const double>(wide.data(), p.rows, 6, 11, memory_space::host), {}, 1}, p.identity(), 0);
    other->set_parameters(p.parameters);
    other->clear_sums(bound, bound);
    other->accumulate(0, p.rows);
    EXPECT_EQ(plain->sums().limbs, other->sums().limbs);
}

TEST(cpu_engine, rows_behind_the_last_one_asked_for_do_not_count) {
    for (const bool weighted : {false, true}) {
        problem p = make_problem(family::full, 3, 4, 500);
        const auto part = loaded(make_cpu_engine(context::cpu(1), p.shape, element_type::float32), p, weighted);
        part->accumulate(0, 401);
        p.rows = 401;
        const auto all = loaded(make_cpu_engine(context::cpu(1), p.shape, element_type::float32), p, weighted);
        all->accumulate(0, 401);
        EXPECT_EQ(part->sums().limbs, all->sums().limbs);
    }
}

TEST(cpu_engine, dropped_components_and_rows_without_weight_count_nothing) {
    problem p = make_problem(family::diagonal, 5, 4, 700);
    p.parameters.log_weights[2] = -std::numeric_limits<double>::infinity();
    for (std::int64_t n = 0; n < p.rows; ++n)
        if (p.weights[n] == 0)
            p.x[n * 5 + 1] = 3e38f; // would overflow if it were multiplied
    const auto cpu = loaded(make_cpu_engine(context::cpu(2), p.shape, element_type::float32), p, true);
    cpu->accumulate(0, p.rows);
    const std::vector<double> got = totals(p.shape, cpu->sums());
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

TEST(cpu_engine, inference_equals_the_reference) {
    for (const family f : families) {
        const problem p = make_problem(f, 7, 9, 2 * unit_rows + 5, 2);
        const auto reference = loaded(make_reference_engine(context::reference(), p.shape), p, false);
        const auto cpu = loaded(make_cpu_engine(context::cpu(2), p.shape, element_type::float32), p, false);
        std::vector<double> log_density[2], r[2];
        std::vector<std::int32_t> label[2];
        gmm_engine* engines[2] = {reference.get(), cpu.get()};
        for (int e = 0; e < 2; ++e) {
            log_density[e].resize(p.rows), r[e].resize(p.rows * 9), label[e].resize(p.rows);
            engines[e]->infer(0, p.rows, log_density[e].data(), r[e].data(), label[e].data());
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

/// Relative difference of the entries of two vectors, to the largest entry.
double difference(const std::vector<double>& a, const std::vector<double>& b) {
    double largest = 0, apart = 0;
    for (std::size_t i = 0; i < a.size(); ++i) {
        if (std::isinf(a[i]) && a[i] == b[i])
            continue;
        largest = std::max(largest, std::abs(a[i]));
        apart = std::max(apart, std::abs(a[i] - b[i]));
    }
    return apart / largest;
}

update_rule rule_for(const problem& p, double lambda) {
    update_rule rule;
    rule.total_weight = static_cast<double>(p.rows);
    rule.lambda.assign(p.shape.dimensions, lambda);
    if (!gmm::is_tied(p.shape.family))
        return rule;
    const std::int64_t d = p.shape.dimensions;
    const bool matrix = p.shape.family == family::tied;
    rule.scatter.assign(matrix ? d * (d + 1) / 2 : p.shape.family == family::tied_diagonal ? d : 1, 0);
    for (std::int64_t n = 0; n < p.rows; ++n)
        for (std::int64_t i = 0; i < d; ++i)
            for (std::int64_t j = i; j < (matrix ? d : i + 1); ++j)
                rule.scatter[matrix                     ? packed_upper(i, j, d)
                             : rule.scatter.size() == 1 ? 0
                                                        : i] += double(p.x[n * d + i]) * p.x[n * d + j];
    return rule;
}

/// The M-step of both engines from the sums of the reference.
void expect_same_update(const problem& p, const update_rule& rule) {
    SCOPED_TRACE(std::string(gmm::to_string(p.shape.family)) + " d = " + std::to_string(p.shape.dimensions));
    const auto reference = loaded(make_reference_engine(context::reference(), p.shape), p, false);
    reference->accumulate(0, p.rows);
    const update_outcome expected = reference->update(rule);
    for (const int threads : {1, 3}) {
        const auto cpu = loaded(make_cpu_engine(context::cpu(threads), p.shape, element_type::float64), p, false);
        cpu->set_sums(reference->sums());
        const update_outcome got = cpu->update(rule);
        // Cholesky and inverse of matrices with condition below 1e4, d < 100: d · 1e4 · 2⁻⁵³ = 1e-10
        const double scale = std::abs(expected.log_likelihood) + static_cast<double>(p.rows);
        EXPECT_NEAR(expected.elbo_after, got.elbo_after, 1e-10 * scale);
        EXPECT_NEAR(expected.parameter_change, got.parameter_change, 1e-12);
        ASSERT_EQ(expected.events.size(), got.events.size());
        for (std::size_t i = 0; i < got.events.size(); ++i) {
            EXPECT_EQ(expected.events[i].component, got.events[i].component);
            EXPECT_EQ(expected.events[i].what, got.events[i].what);
            EXPECT_EQ(expected.events[i].action, got.events[i].action);
        }
        EXPECT_EQ(cpu->parameters().means, reference->parameters().means); // not adopted yet
        cpu->adopt();
        const auto adopted = loaded(make_reference_engine(context::reference(), p.shape), p, false);
        adopted->set_sums(reference->sums());
        adopted->update(rule);
        adopted->adopt();
        EXPECT_LE(difference(adopted->parameters().means, cpu->parameters().means), 1e-12);
        EXPECT_LE(difference(adopted->parameters().precision_cholesky, cpu->parameters().precision_cholesky), 1e-10);
        EXPECT_LE(difference(adopted->parameters().log_weights, cpu->parameters().log_weights), 1e-12);
    }
}

TEST(cpu_engine, updates_equal_those_of_the_reference) {
    for (const family f : families)
        for (const std::int64_t d : {1, 3, 32, 50})
            for (const double lambda : {0.0, 0.01}) {
                const problem p = make_problem(f, d, 5, 1500);
                expect_same_update(p, rule_for(p, lambda));
            }
}

TEST(cpu_engine, collapsed_components_follow_the_policy) {
    for (const family f : families)
        for (const auto policy :
             {gmm::collapse_policy::reseed, gmm::collapse_policy::drop, gmm::collapse_policy::fail}) {
            problem p = make_problem(f, 40, 3, 900);
            for (std::int64_t j = 0; j < 40; ++j)
                p.parameters.means[40 + j] = 1000; // gets no rows
            for (std::int64_t n = 0; n < p.rows; ++n)
                p.x[n * 40 + 7] = 0.5f; // no variance
            update_rule rule = rule_for(p, 0);
            rule.on_collapse = policy;
            if (f == family::full || f == family::diagonal) {
                rule.lambda[7] = 1e-3;
                expect_same_update(p, rule); // one is empty
                rule.lambda[7] = 0;
            }
            const auto cpu = loaded(make_cpu_engine(context::cpu(2), p.shape, element_type::float64), p, false);
            cpu->accumulate(0, p.rows);
            const update_outcome outcome = cpu->update(rule);
            EXPECT_FALSE(outcome.events.empty());
            cpu->adopt();
            for (double u : cpu->parameters().precision_cholesky)
                EXPECT_TRUE(std::isfinite(u));
        }
}

TEST(cpu_engine, scatter_equals_the_reference) {
    for (const family f : {family::tied, family::tied_diagonal, family::tied_spherical}) {
        const problem p = make_problem(f, 13, 2, unit_rows + 100);
        const std::int64_t count = f == family::tied ? 13 * 14 / 2 : f == family::tied_diagonal ? 13 : 1;
        std::vector<double> scatter[2];
        for (int e = 0; e < 2; ++e) {
            const auto engine = loaded(e == 0 ? make_reference_engine(context::reference(), p.shape)
                                              : make_cpu_engine(context::cpu(2), p.shape, element_type::float32),
                                       p, true);
            fixed_sums sums;
            sums.limbs.assign(limb_count * count, 0);
            sums.component_exponent = fixed_exponent(bound);
            engine->accumulate_scatter(0, p.rows, sums);
            for (std::int64_t i = 0; i < count; ++i) {
                const std::int64_t limbs[] = {sums.limbs[i], sums.limbs[count + i], sums.limbs[2 * count + i]};
                scatter[e].push_back(join_fixed(limbs, sums.component_exponent));
            }
        }
        // float64 sums of about 4200 terms of size at most 50 each: 4200 · 50 · 2⁻⁵³ a term of the error
        for (std::int64_t i = 0; i < count; ++i)
            EXPECT_NEAR(scatter[0][i], scatter[1][i], 13 * 4200 * 50 * 0x1p-50);
    }
}

TEST(cpu_engine, summaries_equal_the_reference) {
    const problem p = make_problem(family::full, 6, 3, 2 * unit_rows + 9);
    std::vector<unit_summary> expected, got;
    EXPECT_EQ(make_reference_engine(context::reference(), p.shape)->summarize(p.input(true), expected), -1);
    EXPECT_EQ(make_cpu_engine(context::cpu(2), p.shape, element_type::float32)->summarize(p.input(true), got), -1);
    ASSERT_EQ(expected.size(), got.size());
    for (std::size_t u = 0; u < got.size(); ++u) {
        EXPECT_DOUBLE_EQ(expected[u].weight, got[u].weight);
        EXPECT_EQ(expected[u].positive, got[u].positive);
        EXPECT_EQ(expected[u].largest_weight, got[u].largest_weight);
        EXPECT_EQ(expected[u].smallest_weight, got[u].smallest_weight);
        EXPECT_EQ(expected[u].min, got[u].min);
        EXPECT_EQ(expected[u].max, got[u].max);
        for (int j = 0; j < 6; ++j) {
            EXPECT_NEAR(expected[u].mean[j], got[u].mean[j], 1e-12); // 4096 float64 additions of numbers below 10
            EXPECT_NEAR(expected[u].m2[j], got[u].m2[j], 1e-11 * expected[u].m2[j]);
        }
    }
    problem broken = p;
    broken.x[(unit_rows + 3) * 6 + 4] = std::numeric_limits<float>::quiet_NaN();
    broken.x[(unit_rows + 30) * 6] = std::numeric_limits<float>::infinity();
    EXPECT_EQ(make_cpu_engine(context::cpu(2), p.shape, element_type::float32)->summarize(broken.input(false), got),
              (unit_rows + 3) * 6 + 4);
}

} // namespace
