// The screens of the CPU back end miss no pair of an active set: over many rows and components of every family, results
// of screened passes equal those over all pairs to the bit.
#include "kernels/contract/gmm_engine.hpp"
#include "tests/support/gmm/cpu_problem.hpp"

#include <algorithm>
#include <cmath>
#include <gtest/gtest.h>
#include <limits>
#include <string>
#include <vector>

namespace {

using namespace elbo;
using namespace elbo::kernels;

/// What a mixture is like: distance of the means in standard deviations, condition of the covariances, where the rows
/// lie, in standard deviations, and the share of the rows that component 0 has more than the others.
struct kind_of_mixture {
    double spread, condition = 1, offset = 0, dominance = 0;
};

std::string text(const gmm_shape& s, const kind_of_mixture& kind) {
    return std::string(gmm::to_string(s.family)) + " d = " + std::to_string(s.dimensions) +
           " k = " + std::to_string(s.components) + " spread " + std::to_string(kind.spread) + " condition " +
           std::to_string(kind.condition) + " offset " + std::to_string(kind.offset) + " dominance " +
           std::to_string(kind.dominance);
}

/// make_problem, its axes scaled from 1 to √condition, spherical components among each other.
problem make_mixture(const gmm_shape& s, std::int64_t rows, const kind_of_mixture& kind) {
    problem p = make_problem(s.family, s.dimensions, s.components, 0, 1);
    p.rows = rows;
    const std::int64_t d = s.dimensions, K = s.components;
    const bool matrix = s.family == family::full || s.family == family::tied;
    const auto numbers = static_cast<std::int64_t>(p.parameters.precision_cholesky.size());
    const auto scale = [&](std::int64_t i, std::int64_t of) {
        return std::pow(kind.condition,
                        of < 2 ? 0.0 : -0.5 * static_cast<double>(i % of) / static_cast<double>(of - 1));
    };
    // Upper triangles U S: column j times 1 / s_j.
    for (std::int64_t i = 0; i < numbers; ++i)
        p.parameters.precision_cholesky[i] =
            static_cast<float>(p.parameters.precision_cholesky[i] * scale(i, s.family == family::spherical        ? K
                                                                             : s.family == family::tied_spherical ? 1
                                                                                                                  : d));
    for (double& m : p.parameters.means)
        m = static_cast<float>(kind.spread * m + kind.offset);
    p.weights.clear();
    std::vector<double> t(d);
    for (std::int64_t n = 0; n < rows; ++n) {
        const bool first = normal(n, 90) < kind.dominance * 3 - 1.5; // most of the rows where it is 1
        const std::int64_t c = kind.dominance > 0 && first ? 0 : n * 7 % K;
        const std::int64_t at = gmm::is_tied(s.family) ? 0 : c;
        for (std::int64_t j = 0; j < d; ++j) {
            double z = normal(n, 100 + j); // Uᵀ t = z
            double u = p.parameters.precision_cholesky[s.family == family::spherical        ? at
                                                       : s.family == family::tied_spherical ? 0
                                                                                            : at * d + j];
            if (matrix) {
                const double* triangle = &p.parameters.precision_cholesky[at * d * d];
                u = triangle[j * d + j];
                for (std::int64_t i = 0; i < j; ++i)
                    z -= triangle[i * d + j] * t[i];
            }
            t[j] = z / u;
            p.x.push_back(static_cast<float>(p.parameters.means[c * d + j] + t[j]));
        }
        p.weights.push_back(n % 5 == 3 ? 0.0f : 0.5f + static_cast<float>(n % 3));
    }
    return p;
}

struct inferred {
    std::vector<double> log_density, responsibilities, log_joint;
    std::vector<std::int32_t> labels;
};

/// With log_joint all pairs are computed.
inferred infer(gmm_engine& e, const problem& p, bool all_pairs) {
    const std::int64_t K = p.shape.components;
    inferred r{std::vector<double>(p.rows), std::vector<double>(p.rows * K), std::vector<double>(p.rows * K),
               std::vector<std::int32_t>(p.rows)};
    inference_results to{.log_density = {r.log_density.data(), p.rows, 1},
                         .responsibilities = {r.responsibilities.data(), p.rows, K},
                         .assignment = {r.labels.data(), p.rows, 1}};
    if (all_pairs)
        to.log_joint = {r.log_joint.data(), p.rows, K};
    e.infer(0, p.rows, to);
    return r;
}

/// Screened passes against one over all pairs, from right and from some wrong homes on; `labels`: of each row, or none.
void expect_same_bits(const problem& p, element_type precision, const std::vector<float>& labels) {
    const auto load = [&] {
        auto e = make_gmm_engine(context::cpu(2), p.shape, precision);
        input_rows in = p.input(true);
        const auto kind = labels.empty() ? gmm::sample_labels::kind::none : gmm::sample_labels::kind::labels;
        if (!labels.empty())
            in.labels = matrix_view<const float>(labels.data(), p.rows, 1);
        in.label_kind = kind;
        e->reserve(p.rows, true, kind);
        e->load(in, p.identity(), 0);
        e->set_parameters(p.parameters);
        e->clear_sums(bound, bound);
        return e;
    };
    const auto fresh = load();
    const inferred expected = infer(*fresh, p, true);
    fresh->accumulate(0, p.rows);
    for (const bool moved : {false, true}) {
        const auto known = load();
        gmm_parameters before = p.parameters;
        if (moved) // rows of the first two components have each other's homes
            std::swap_ranges(before.means.begin(), before.means.begin() + p.shape.dimensions,
                             before.means.begin() + p.shape.dimensions);
        known->set_parameters(before);
        known->accumulate(0, p.rows);
        known->set_parameters(p.parameters);
        for (int pass = 0; pass < 2; ++pass) {
            known->clear_sums(bound, bound);
            known->accumulate(0, p.rows);
            ASSERT_EQ(fresh->sums().limbs, known->sums().limbs) << "moved " << moved << " pass " << pass;
        }
        const inferred got = infer(*known, p, false);
        EXPECT_EQ(expected.log_density, got.log_density);
        EXPECT_EQ(expected.responsibilities, got.responsibilities);
        EXPECT_EQ(expected.labels, got.labels);
    }
}

/// For every family and both precisions, in float32 with the components of a third of the rows, too.
void expect_same_bits(std::int64_t d, std::int64_t k, std::int64_t rows, const kind_of_mixture& kind) {
    for (const family f : families) {
        const gmm_shape shape{f, d, k};
        const problem p = make_mixture(shape, rows, kind);
        std::vector<float> labels(rows, -1.0f);
        for (std::int64_t n = 0; n < rows; n += 3)
            labels[n] = static_cast<float>(n * 11 % k);
        for (const auto precision : {element_type::float32, element_type::float64}) {
            SCOPED_TRACE(text(shape, kind) + (precision == element_type::float32 ? " float32" : " float64"));
            expect_same_bits(p, precision, {});
            if (precision == element_type::float32)
                expect_same_bits(p, precision, labels);
        }
    }
}

/// Parameters that differ by `step`: means and factors by shares of a deviation, each component in its own way, weights
/// by as much in their logarithms.
gmm_parameters moved_by(const problem& p, double step) {
    gmm_parameters q = p.parameters;
    const std::int64_t d = p.shape.dimensions, k = p.shape.components;
    const auto factors = static_cast<std::int64_t>(q.precision_cholesky.size());
    for (std::int64_t i = 0; i < k; ++i)
        q.log_weights[i] += step * normal(i, 5);
    for (std::int64_t i = 0; i < k * d; ++i)
        q.means[i] = static_cast<float>(q.means[i] + step * normal(i, 6) / std::sqrt(static_cast<double>(d)));
    for (std::int64_t i = 0; i < factors; ++i)
        q.precision_cholesky[i] =
            static_cast<float>(q.precision_cholesky[i] * std::exp(0.1 * step * std::sin(1.0 * i)));
    return q;
}

TEST(CpuScreen, GuardsOfRowsHoldWhileParametersMove) {
    for (const kind_of_mixture kind : {kind_of_mixture{3}, {12}, {60}, {40, 1e4}, {20, 100, 3e3}, {15, 1, 0, 0.4}})
        for (const gmm_shape size : {gmm_shape{family::full, 1, 1}, {family::full, 2, 9}, {family::full, 19, 40}})
            for (const family f : families)
                for (const auto precision : {element_type::float32, element_type::float64}) {
                    const gmm_shape shape{f, size.dimensions, size.components};
                    SCOPED_TRACE(text(shape, kind) + (precision == element_type::float32 ? " float32" : " float64"));
                    const problem p = make_mixture(shape, unit_rows + 333, kind);
                    const auto load = [&] {
                        auto e = make_gmm_engine(context::cpu(2), p.shape, precision);
                        e->reserve(p.rows, true);
                        e->load(p.input(true), p.identity(), 0);
                        return e;
                    };
                    const auto known = load();
                    // The second pass is a survey, later ones where too many guards have given way.
                    for (const double step : {0.0, 0.0, 0.0, 1e-3, 0.03, 0.3, 1.5, 1.6, -1.5, 20.0, 0.0}) {
                        gmm_parameters now = moved_by(p, step);
                        if (step == 1.6 && size.components > 1) // one leaves
                            now.log_weights[0] = -std::numeric_limits<double>::infinity();
                        const auto fresh = load();
                        for (gmm_engine* e : {known.get(), fresh.get()}) {
                            e->set_parameters(now);
                            e->clear_sums(bound, bound);
                            e->accumulate(0, p.rows);
                        }
                        ASSERT_EQ(fresh->sums().limbs, known->sums().limbs) << "step " << step;
                    }
                }
}

TEST(CpuScreen, MissesNoPairFromOverlappingToSeparated) {
    for (const double spread : {1.0, 3.0, 6.0, 15.0, 60.0}) {
        expect_same_bits(1, 31, 1500, {spread});
        expect_same_bits(3, 33, 1500, {spread});
        expect_same_bits(17, 70, unit_rows + 333, {spread / 2});
        expect_same_bits(33, 150, unit_rows / 2, {spread / 4});
    }
}

TEST(CpuScreen, MissesNoPairOfIllConditionedComponents) {
    for (const double condition : {1e2, 1e4, 1e6})
        for (const double spread : {3.0, 100.0, 3000.0}) {
            expect_same_bits(5, 32, 1500, {spread, condition});
            expect_same_bits(20, 40, 2000, {spread, condition});
        }
}

TEST(CpuScreen, MissesNoPairFarFromTheOrigin) {
    for (const double offset : {30.0, 3e3, 3e5}) {
        expect_same_bits(4, 20, 1500, {4, 1, offset});
        expect_same_bits(16, 64, 2000, {3, 100, offset});
    }
}

TEST(CpuScreen, SumsComponentsWithManyRowsAsWithoutScreens) {
    for (const double spread : {2.0, 8.0, 30.0})
        for (const double dominance : {0.4, 1.0}) {
            expect_same_bits(2, 40, 1500, {spread, 1, 0, dominance});
            expect_same_bits(19, 66, unit_rows + 65, {spread, 1, 0, dominance});
        }
}

} // namespace
