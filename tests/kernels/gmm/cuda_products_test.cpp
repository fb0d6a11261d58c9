// The products of the cheap families, on both sides of the distance up to which they run: single rows and sums against
// float64, with the bounds of densities.cuh and sums.cuh in kernels/cuda/gmm/products; the same bits for any grid and
// batches; what they cost.
#include "bench/mixture/prediction.hpp"
#include "elbo/gmm/fit.hpp"
#include "kernels/cuda/gmm/engine.hpp"
#include "kernels/cuda/gmm/products/layout.hpp"
#include "tests/support/data.hpp"
#include "tests/support/emulator_counters.hpp"
#include "tests/support/gmm/labels.hpp"
#include "tests/support/gmm/near_origin.hpp"
#include "tests/support/gmm/tensor_problem.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <cstdlib>
#include <string>

namespace elbo {
namespace {

using namespace kernels;
using gmm::family;
using test::near_case;

static_assert(cuda::suits_products({family::spherical, 128, 1024}, 4));
static_assert(!cuda::suits_products({family::spherical, 128, 1024}, 8));
static_assert(!cuda::suits_products({family::spherical, 129, 64}, 4) &&
              !cuda::suits_products({family::spherical, 15, 64}, 4));
static_assert(!cuda::suits_products({family::spherical, 64, 63}, 4) &&
              !cuda::suits_products({family::full, 64, 64}, 4));
static_assert(cuda::suits_products({family::diagonal, 64, 64}, 4) &&
              !cuda::suits_products({family::diagonal, 65, 64}, 4) && cuda::suits_products({family::tied, 128, 64}, 4));

// Lines of four neighbouring rows are a permutation, and the memory of a slab is bounded.
TEST(CudaProducts, Plans) {
    for (int i = 0; i < 16; ++i)
        EXPECT_EQ(cuda::row_of_line(cuda::line_of_row(i)), i);
    for (std::int64_t K : {64, 65, 256, 1000, 16384}) {
        const cuda::product_plan plan = cuda::plan_products({family::spherical, 100, K});
        EXPECT_LE(4 * unit_rows * K * plan.units, std::int64_t(256) << 20) << K;
        EXPECT_GE(plan.units, 1) << K;
        EXPECT_GE(plan.blocks * 128, K);
        EXPECT_GE(plan.ranges * cuda::range_blocks, plan.blocks);
    }
}

/// Bound of densities.cuh: that of the dot form, and of pieces and truncated steps.
double product_error(const gmm_shape& s, const gmm_parameters& p, std::int64_t k, const double* row) {
    const std::int64_t d = s.dimensions;
    const double* mean = &p.means[k * d];
    double size = 0;
    for (std::int64_t j = 0; j < d; ++j) {
        if (s.family == family::tied) {
            double y = 0, c = 0;
            for (std::int64_t i = 0; i <= j; ++i) {
                y += p.precision_cholesky[i * d + j] * row[i];
                c += p.precision_cholesky[i * d + j] * mean[i];
            }
            size += std::abs(y * c);
        } else {
            const gmm::family_geometry g = geometry(s.family);
            const double u = p.precision_cholesky[k * g.stride(d) + g.at(j, j, d)];
            size += u * u * std::abs(row[j]) *
                    (std::abs(mean[j]) + (s.family == family::diagonal ? 0.5 * std::abs(row[j]) : 0));
        }
    }
    return test::dots_error_float32(s, p, k, row) + (0x1p-21 + 0x1p-20 + 0x1p-23) * size;
}

/// Roundings of a sum in units of 2⁻²⁴: those of sums.cuh, and 16 for its shares.
constexpr test::arithmetic_form products{104, product_error, true};

std::vector<near_case> families(std::int64_t d, std::int64_t K, std::int64_t rows, double spread = 1,
                                double offset = 0) {
    std::vector<near_case> cases;
    for (const family f :
         {family::spherical, family::tied_spherical, family::tied_diagonal, family::tied, family::diagonal})
        if (cuda::suits_products({f, d, std::max<std::int64_t>(K, 64)}, 4))
            cases.push_back({{f, d, K}, rows, f == family::tied_spherical ? 1 : spread, offset});
    return cases;
}

void check_sums(const near_case& c, double largest) {
    SCOPED_TRACE(test::describe(c, largest, element_type::float32));
    const gmm_parameters p = test::parameters_of(c, largest);
    const test::near_rows data(c, p, element_type::float32);
    const auto engine = test::engine_of(c, element_type::float32, p, data);
    ASSERT_EQ(dynamic_cast<cuda::cuda_engine_base&>(*engine).has_products(), cuda::suits_products(c.shape, 4));
    engine->accumulate(0, c.rows);
    test::expect_near_sums(*engine, test::reference_sums(c.shape, engine->parameters(), data.normalised, data.weights,
                                                         0x1p-24, {}, products));
    const auto other = test::engine_of(c, element_type::float32, p, data, false);
    other->accumulate(0, c.rows);
    const bool same = test::carried(engine->sums()) == test::carried(other->sums());
    EXPECT_EQ(same, largest > 3 || !cuda::suits_products(c.shape, 4)) << "which variant does the work";
}

// At and beside the ends of tiles of rows (16, 64, 128, 256), blocks of components (64, 128, 256) and stages of
// dimensions (64).
TEST(CudaProducts, SumsMatchReferenceOnBothSidesOfTheLimit) {
    if (!test::tensor_supported())
        GTEST_SKIP() << "built without 90a, or another device";
    for (const auto& cases : {families(16, 64, 129), families(31, 65, 65, 30), families(64, 128, 127),
                              families(65, 129, 65, 10, 1e4), families(128, 300, 33), families(33, 1000, 17)})
        for (const near_case& c : cases) {
            check_sums(c, test::near);
            if (c.shape.components == 65)
                check_sums(c, test::beyond);
        }
    check_sums({{family::spherical, 64, 63}, 31}, test::near);
}

// One row at a time: its log p alone is the sum, so that errors of rows cannot cancel.
TEST(CudaProducts, EachRowIsWithinTheBound) {
    if (!test::tensor_supported())
        GTEST_SKIP() << "built without 90a, or another device";
    std::vector<near_case> cases = families(128, 70, 1, 10);
    cases.push_back({{family::diagonal, 60, 70}, 1, 10});
    for (const near_case& c : cases) {
        const std::int64_t d = c.shape.dimensions;
        const gmm_parameters p = test::parameters_of(c, test::near);
        const test::near_rows data({c.shape, 12, c.spread}, p, element_type::float32);
        const auto engine = make_gmm_engine(context::cuda(), c.shape, element_type::float32);
        engine->reserve(1, false);
        engine->set_parameters(p);
        double worst = 0;
        for (std::int64_t n = 0; n < 12; ++n) {
            if (data.weights[n] == 0)
                continue;
            engine->load({matrix_view<const float>(&data.raw[n * d], 1, d), {}, 1}, data.normalisation, 0);
            engine->clear_sums(0x1p40, 0x1p60);
            engine->accumulate(0, 1);
            const test::bounded_sums want = test::reference_sums(
                c.shape, engine->parameters(), {data.normalised.begin() + n * d, data.normalised.begin() + (n + 1) * d},
                {}, 0x1p-24, {}, products);
            const std::size_t at = sum_count(c.shape) - scalar_count + scalar_log_likelihood;
            const double error = std::abs(engine->sums().values()[at] - want.log_density[0]);
            worst = std::max(worst, error / want.log_density_bound[0]);
            EXPECT_LE(error, want.log_density_bound[0]) << "row " << n;
        }
        std::printf("%s: %.2f of the bound\n", test::describe(c, test::near, element_type::float32).c_str(), worst);
    }
}

// Rows so far that their squares overflow, and rows at the origin, harm no other.
void check_far_rows(family f) {
    SCOPED_TRACE(gmm::to_string(f));
    const near_case c{{f, 20, 64}, 200};
    const gmm_parameters p = test::parameters_of(c, test::near);
    test::near_rows data(c, p, element_type::float32);
    const auto fill = [&](std::int64_t row, float value) {
        std::fill_n(&data.raw[row * 20], 20, value);
        std::fill_n(&data.normalised[row * 20], 20, value);
        data.weights[row] = 1;
    };
    fill(3, 0.0f);
    fill(70, 1e-30f);
    fill(71, 1e4f);
    const auto engine = test::engine_of(c, element_type::float32, p, data);
    engine->accumulate(0, c.rows);
    test::expect_near_sums(*engine, test::reference_sums(c.shape, engine->parameters(), data.normalised, data.weights,
                                                         0x1p-24, {}, products));
    fill(5, 3e37f);
    const auto far = test::engine_of(c, element_type::float32, p, data);
    far->clear_sums(0x1p120, 0x1p120);
    far->accumulate(0, c.rows);
    for (double sum : far->sums().values())
        EXPECT_TRUE(std::isfinite(sum));
}

TEST(CudaProducts, FarAndZeroRows) {
    if (!test::tensor_supported())
        GTEST_SKIP() << "built without 90a, or another device";
    for (const family f : {family::spherical, family::tied, family::diagonal})
        check_far_rows(f);
}

// Rows of known component are the business of the fused variant.
TEST(CudaProducts, Labels) {
    if (!test::tensor_supported())
        GTEST_SKIP() << "built without 90a, or another device";
    const gmm_shape shape{family::spherical, 17, 70};
    const test::labelled_rows data({shape, 70, test::knowledge::some_labels, true, element_type::float32});
    const auto engine = make_gmm_engine(context::cuda(), shape, element_type::float32);
    test::load(*engine, data);
    gmm_parameters p = test::parameters_of({shape, 70}, test::near);
    p.log_weights[2] = p.log_weights[1];
    std::fill_n(&p.means[2 * shape.dimensions], shape.dimensions, 0.0);
    engine->set_parameters(p);
    test::accumulate(*engine, data.c.rows);
    test::expect_near_sums(*engine, test::reference_sums(shape, engine->parameters(), data.x64, data.weights, 0x1p-24,
                                                         data.known(), products));
}

// Where the deviations of a component lie too far apart for pieces of their squares, the fused variant does the work.
TEST(CudaProducts, Conditions) {
    if (!test::tensor_supported())
        GTEST_SKIP() << "built without 90a, or another device";
    for (const family f : {family::diagonal, family::tied_diagonal})
        for (const double spread : {200.0, 300.0}) {
            const near_case c{{f, 17, 64}, 33, spread};
            SCOPED_TRACE(test::describe(c, test::near, element_type::float32));
            gmm_parameters p = test::random_parameters(c.shape, 0.1, 21);
            std::fill(p.precision_cholesky.begin(), p.precision_cholesky.end(), 1.0);
            p.precision_cholesky[1] = spread;
            std::fill(p.means.begin(), p.means.end(), 0.005);
            const test::near_rows data(c, p, element_type::float32);
            const auto engine = test::engine_of(c, element_type::float32, p, data);
            engine->accumulate(0, c.rows);
            test::expect_near_sums(*engine, test::reference_sums(c.shape, engine->parameters(), data.normalised,
                                                                 data.weights, 0x1p-24, {}, products));
            const auto other = test::engine_of(c, element_type::float32, p, data, false);
            other->accumulate(0, c.rows);
            EXPECT_EQ(test::carried(engine->sums()) == test::carried(other->sums()), spread > 256);
        }
}

TEST(CudaProducts, GridAndBatchesChangeNoBit) {
    if (!test::tensor_supported())
        GTEST_SKIP() << "built without 90a, or another device";
    for (const gmm_shape& shape :
         {gmm_shape{family::spherical, 16, 129}, {family::tied, 65, 64}, {family::diagonal, 16, 64}}) {
        const near_case c{shape, unit_rows + 300};
        const gmm_parameters p = test::parameters_of(c, test::near);
        const test::near_rows data(c, p, element_type::float32);
        std::vector<std::int64_t> first;
        for (const std::int64_t blocks : {1, 7, 264}) {
            const auto engine = test::engine_of(c, element_type::float32, p, data);
            dynamic_cast<cuda::cuda_engine_base&>(*engine).set_grid(blocks);
            const std::int64_t step = blocks == 7 ? unit_rows : blocks == 1 ? 2 * unit_rows : c.rows;
            for (std::int64_t begin = 0; begin < c.rows; begin += step)
                engine->accumulate(begin, std::min(step, c.rows - begin));
            const std::vector<std::int64_t> limbs = test::carried(engine->sums());
            EXPECT_EQ(limbs, first.empty() ? limbs : first) << gmm::to_string(shape.family) << ", " << blocks;
            first = limbs;
        }
    }
}

constexpr const char* one_case = "CudaProducts.DISABLED_OneCase";
constexpr const char* case_variable = "ELBO_COUNTED_CASE";

struct counted_case {
    const char* name;
    near_case c;
};
constexpr counted_case counted[] = {{"spherical", {{family::spherical, 128, 300}, unit_rows + 300}},
                                    {"tied spherical", {{family::tied_spherical, 31, 65}, 300}},
                                    {"tied", {{family::tied, 64, 130}, 300}},
                                    {"diagonal", {{family::diagonal, 64, 65}, 300}}};

/// An E-step, with means so near that all components have a share in every row.
TEST(CudaProducts, DISABLED_OneCase) {
    for (const auto& [name, c] : counted)
        if (std::string(name) == std::getenv(case_variable)) {
            const gmm_parameters p = test::parameters_of(c, 0.1);
            test::engine_of(c, element_type::float32, p, test::near_rows(c, p, element_type::float32))
                ->accumulate(0, c.rows);
        }
}

// Three products of pieces for all rows of tiles and components of blocks; what is read and written once.
TEST(CudaProducts, CostsWhatIsPredicted) {
    if (!test::emulated() || !test::tensor_supported())
        GTEST_SKIP() << "counters come from the emulator";
    for (const auto& [name, c] : counted) {
        SCOPED_TRACE(name);
        const auto all = test::count_elsewhere(one_case, case_variable, name);
        const test::counter_sums densities = test::sum_counters(all, "product_densities");
        const test::counter_sums sums = test::sum_counters(all, "product_moments");
        const test::counter_sums rows = test::sum_counters(all, "product_rows");
        const cuda::product_plan plan = cuda::plan_products(c.shape);
        const auto up = [](std::int64_t size, std::int64_t tile) {
            return static_cast<double>(cuda::blocks_for(size, tile) * tile);
        };
        const double n = static_cast<double>(c.rows), d = static_cast<double>(c.shape.dimensions);
        const double k = static_cast<double>(c.shape.components), terms = static_cast<double>(plan.stages * 64);
        const double ranges = static_cast<double>(plan.ranges), tiles = up(c.rows, 256), lines = up(c.rows, 128);
        const double flop = bench::work_of_products(c.shape).flop, blocks = up(c.shape.components, 128);
        EXPECT_EQ(flop, 6 * terms);
        EXPECT_EQ(densities.tensor, flop * tiles * blocks);
        EXPECT_EQ(sums.tensor, flop * lines * (plan.blocks > 1 ? up(c.shape.components, 256) : blocks));
        const bool tied = c.shape.family == family::tied;
        EXPECT_LE(rows.read, 1.02 * 4 * n * (d + 1) + 4 * k + (tied ? 4 * d * d : 0) + 2048);
        EXPECT_LE(rows.written, ((tied ? 8 : 4) * terms + 16) * tiles + 1024);
        EXPECT_LE(densities.read, 1.02 * ((4 * terms + 16) * tiles + (4 * terms + 16) * blocks + 4 * k) + 2048);
        EXPECT_LE(densities.written, (4 * k + 16 * ranges) * tiles + 1024);
        const double limbs = 24 * static_cast<double>(cuda::blocks_for(c.rows, unit_rows) * sum_count(c.shape));
        EXPECT_LE(sums.read, 1.02 * ((4 * k + 4 * terms + 16) * lines + 4 * k * (d + 2)) + limbs + 2048);
        EXPECT_LE(sums.written, limbs + 1024);
        EXPECT_LE(densities.conflicts, 0);
        EXPECT_LE(sums.conflicts, 0.1 * sums.wavefronts);
        std::printf("%s: %.1f and %.1f instructions a pair, %.0f%% of wavefronts "
                    "from conflicts\n",
                    name, densities.instructions / (n * k), sums.instructions / (n * k),
                    100 * sums.conflicts / sums.wavefronts);
    }
}

TEST(CudaProducts, NoRacesOnGlobalMemory) {
    if (!test::emulated() || !test::tensor_supported())
        GTEST_SKIP() << "the race check is that of the emulator";
    constexpr const char* check = "CUDA_EMULATOR_STRICT=1 CUDA_EMULATOR_GLOBAL_RACECHECK=1";
    for (const char* name : {"tied spherical", "tied", "diagonal"})
        EXPECT_EQ(test::run_elsewhere(one_case, case_variable, name, check), 0) << name;
}

void check_fit(const gmm_shape& shape, std::int64_t rows) {
    const std::vector<float> x = test::as<float>(test::clustered(rows, shape.dimensions, 3, 0.5, 77));
    const data_source data = matrix_view<const float>(x.data(), rows, shape.dimensions);
    gmm::fit_options options;
    options.components = shape.components;
    options.shape = shape.family;
    options.max_iterations = 3;
    options.tolerance = 0;
    const gmm::fit_result want = fit(context::reference(), data, options), got = fit(context::cuda(), data, options);
    ASSERT_EQ(got.trace.size(), want.trace.size());
    // Σ u² |x_j| |μ_j| <= 3 · √d of a row, 1.6e-6 of it; the dot form has 2.4e-7 (X + m)².
    const double d = static_cast<double>(shape.dimensions);
    const double tolerance = 1.6e-6 * 3 * std::sqrt(d) + 2.4e-7 * ((3 + std::sqrt(d)) * (3 + std::sqrt(d)) + 2 * d);
    for (std::size_t i = 0; i < want.trace.size(); ++i)
        EXPECT_NEAR(got.trace[i].log_likelihood, want.trace[i].log_likelihood, 4 * tolerance) << "iteration " << i;
}

// From raw rows to a model in the loop of a graph, where both variants are launched.
TEST(CudaProducts, FitsAsTheReferenceDoes) {
    if (!test::tensor_supported())
        GTEST_SKIP() << "built without 90a, or another device";
    for (const family f : {family::spherical, family::tied, family::diagonal})
        check_fit({f, 16, 64}, 1000);
}

} // namespace
} // namespace elbo
