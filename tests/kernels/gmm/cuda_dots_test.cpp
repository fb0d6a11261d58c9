// The dot form of the fused variant, on both sides of the distance up to which it runs: single rows and sums against
// float64, with the bound of kernels/cuda/gmm/e_step/fused_dots.cuh; the same bits for any grid and batches; what it
// costs.
#include "bench/mixture/prediction.hpp"
#include "kernels/cuda/gmm/engine.hpp"
#include "tests/support/data.hpp"
#include "tests/support/emulator_counters.hpp"
#include "tests/support/gmm/labels.hpp"
#include "tests/support/gmm/near_origin.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <cstdlib>
#include <memory>
#include <string>

namespace elbo {
namespace {

using namespace kernels;
using gmm::family;
using test::knowledge;

test::arithmetic_form form_of_dots(element_type type) {
    test::arithmetic_form form;
    form.density_error = type == element_type::float32 ? test::dots_error_float32 : test::dots_error_float64;
    form.about_origin = true;
    return form;
}

TEST(CudaDots, SumsMatchReferenceOnBothSidesOfTheLimit) {
    const test::near_case cases[] = {
        {{family::spherical, 8, 8}, 65},
        {{family::spherical, 16, 64}, 1025},
        {{family::spherical, 31, 33}, 129, 100},
        {{family::spherical, 32, 9}, 63, 1, 1e4},
        {{family::spherical, 33, 31}, 64, 1, 1e4},
        {{family::spherical, 128, 1024}, 33},
        {{family::spherical, 100, 20}, 31},
        {{family::tied, 8, 31}, 4097},
        {{family::tied, 32, 32}, 65, 1000},
        {{family::tied, 33, 8}, 63, 1, 1e4},
        {{family::tied, 64, 256}, 33, 30},
        {{family::diagonal, 8, 9}, 65},
        {{family::diagonal, 31, 32}, 129, 1000, 1e4},
        {{family::diagonal, 64, 256}, 33},
        {{family::diagonal, 129, 33}, 63, 1000},
        {{family::tied_diagonal, 16, 31}, 1025, 100},
        {{family::tied_diagonal, 33, 200}, 31, 1, 1e4},
        {{family::tied_spherical, 9, 17}, 257},
        {{family::tied_spherical, 64, 515}, 33, 1, 1e4},
        {{family::tied_spherical, 129, 40}, 31},
        // Not of this form at all.
        {{family::spherical, 7, 31}, 33},
        {{family::tied, 31, 7}, 33},
    };
    for (const test::near_case& c : cases)
        for (element_type type : {element_type::float32, element_type::float64})
            for (double largest : {test::near, test::beyond}) {
                SCOPED_TRACE(test::describe(c, largest, type));
                ASSERT_EQ(cuda::choose_variant(c.shape, type == element_type::float32 ? 4 : 8),
                          cuda::e_step_variant::fused);
                const gmm_parameters p = test::parameters_of(c, largest);
                const test::near_rows data(c, p, type);
                const auto engine = test::engine_of(c, type, p, data, false);
                engine->accumulate(0, c.rows);
                test::expect_near_sums(*engine, test::reference_sums(c.shape, engine->parameters(), data.normalised,
                                                                     data.weights,
                                                                     type == element_type::float32 ? 0x1p-24 : 0x1p-53,
                                                                     {}, form_of_dots(type)));
            }
}

// One row at a time: its log p alone is the sum, so that errors of rows cannot cancel.
TEST(CudaDots, EachRowIsWithinTheBound) {
    for (const auto& [f, d, K] : {gmm_shape{family::spherical, 8, 9},
                                  {family::spherical, 128, 12},
                                  {family::tied, 33, 8},
                                  {family::diagonal, 31, 9},
                                  {family::tied_spherical, 64, 31}})
        for (double largest : {test::near, test::beyond}) {
            const test::near_case c{{f, d, K}, 1, f == family::spherical ? 10.0 : 1.0};
            SCOPED_TRACE(test::describe(c, largest, element_type::float32));
            const gmm_parameters p = test::parameters_of(c, largest);
            const test::near_rows data({c.shape, 24, c.spread}, p, element_type::float32);
            const auto engine = make_gmm_engine(context::cuda(), c.shape, element_type::float32);
            engine->reserve(1, false);
            engine->set_parameters(p);
            const auto exact = reference::with_offsets(c.shape, engine->parameters());
            std::vector<double> lp(K), r(K);
            double worst = 0;
            for (std::int64_t n = 0; n < 24; ++n) {
                if (data.weights[n] == 0)
                    continue;
                const double* row = &data.normalised[n * d];
                engine->load({matrix_view<const float>(&data.raw[n * d], 1, d), {}, 1}, data.normalisation, 0);
                engine->clear_sums(0x1p40, 0x1p60);
                engine->accumulate(0, 1);
                const double lse = reference::row_posterior(c.shape, exact, row, lp.data(), r.data());
                double bound = 0;
                for (std::int64_t k = 0; k < K; ++k)
                    if (r[k] > 1e-12)
                        bound = std::max(bound, test::dots_error_float32(c.shape, exact.values, k, row) +
                                                    0x1p-22 * (std::abs(exact.offsets[k]) + std::abs(lp[k])));
                bound += 8 * 0x1p-24 + 0x1p-24;
                const std::size_t at = sum_count(c.shape) - scalar_count + scalar_log_likelihood;
                const double error = std::abs(engine->sums().values()[at] - lse);
                worst = std::max(worst, error / bound);
                EXPECT_LE(error, bound) << "row " << n;
            }
            std::printf("%s: %.2f of the bound\n", test::describe(c, largest, element_type::float32).c_str(), worst);
        }
}

TEST(CudaDots, LabelsAndFactors) {
    for (const gmm_shape& shape :
         {gmm_shape{family::spherical, 33, 12}, {family::tied, 9, 70}, {family::diagonal, 17, 33}})
        for (knowledge known : {knowledge::some_labels, knowledge::factors}) {
            const test::labelled_rows data({shape, 70, known, true, element_type::float32});
            SCOPED_TRACE(test::describe(data.c));
            const auto engine = make_gmm_engine(context::cuda(), shape, element_type::float32);
            test::load(*engine, data);
            gmm_parameters p = test::parameters_of({shape, 70}, test::near);
            p.log_weights[2] = p.log_weights[1];
            std::fill_n(&p.means[2 * shape.dimensions], shape.dimensions, 0.0);
            engine->set_parameters(p);
            test::accumulate(*engine, data.c.rows);
            test::expect_near_sums(*engine,
                                   test::reference_sums(shape, engine->parameters(), data.x64, data.weights, 0x1p-24,
                                                        data.known(), form_of_dots(element_type::float32)));
        }
}

TEST(CudaDots, GridAndBatchesChangeNoBit) {
    for (const gmm_shape& shape : {gmm_shape{family::spherical, 16, 12},
                                   {family::tied, 9, 8},
                                   {family::diagonal, 9, 12},
                                   {family::spherical, 8, 700}}) {
        const test::near_case c{shape, 8200};
        const gmm_parameters p = test::parameters_of(c, test::near);
        const test::near_rows data(c, p, element_type::float32);
        std::vector<std::int64_t> first;
        for (const std::int64_t blocks : {1, 7, 132}) {
            const auto engine = test::engine_of(c, element_type::float32, p, data, false);
            dynamic_cast<cuda::cuda_engine_base&>(*engine).set_grid(blocks);
            engine->accumulate(0, blocks == 7 ? 4096 : c.rows);
            if (blocks == 7)
                engine->accumulate(4096, c.rows - 4096);
            const std::vector<std::int64_t> limbs = test::carried(engine->sums());
            EXPECT_EQ(limbs, first.empty() ? limbs : first) << gmm::to_string(shape.family) << ", " << blocks;
            first = limbs;
        }
    }
}

constexpr const char* one_case = "CudaDots.DISABLED_OneCase";
constexpr const char* case_variable = "ELBO_COUNTED_CASE";

struct counted_case {
    const char* name;
    test::near_case c;
};
constexpr counted_case counted[] = {{"spherical", {{family::spherical, 16, 64}, 4096}},
                                    {"spherical cluster", {{family::spherical, 128, 1024}, 1024}},
                                    {"tied", {{family::tied, 64, 128}, 4096}},
                                    {"diagonal", {{family::diagonal, 64, 256}, 4096}},
                                    {"tied diagonal", {{family::tied_diagonal, 33, 40}, 1024}}};

/// An E-step, with means so near that all components have a share in every row.
TEST(CudaDots, DISABLED_OneCase) {
    for (const auto& [name, c] : counted)
        if (std::string(name) == std::getenv(case_variable)) {
            const gmm_parameters p = test::parameters_of(c, 0.1);
            test::engine_of(c, element_type::float32, p, test::near_rows(c, p, element_type::float32), false)
                ->accumulate(0, c.rows);
        }
}

TEST(CudaDots, CostsWhatIsPredicted) {
    if (!test::emulated())
        GTEST_SKIP() << "counters come from the emulator";
    for (const auto& [name, c] : counted) {
        SCOPED_TRACE(name);
        const test::counter_sums got =
            test::sum_counters(test::count_elsewhere(one_case, case_variable, name), "accumulate_chunks");
        const double n = static_cast<double>(c.rows), d = static_cast<double>(c.shape.dimensions);
        const double k = static_cast<double>(c.shape.components);
        const double chunks = static_cast<double>(cuda::blocks_for(c.rows, cuda::chunk_rows(c.shape, 4)));
        const double sums = 24 * chunks * static_cast<double>(sum_count(c.shape));
        // Rows and weights once; means, factors and whitened means, offsets and norms.
        const double parameters = 4 * (k * (3 * d + 2) + (c.shape.family == family::tied ? d * d : 0));
        EXPECT_LE(got.read, 1.1 * 4 * n * (d + 1) + sums + parameters + 1024);
        EXPECT_LE(got.written, sums + 1024);
        EXPECT_LE(got.conflicts, 0.5 * got.wavefronts);
        const double per_pair = got.instructions / (n * k);
        const double arithmetic = bench::fused_instructions(c.shape, true);
        EXPECT_GE(per_pair, arithmetic);
        EXPECT_LE(per_pair, bench::most_fused_instructions(c.shape, true));
        std::printf("%s: %.1f instructions a pair, of %.1f (direct %.1f), %.0f%% of shared wavefronts from conflicts\n",
                    name, per_pair, arithmetic, bench::fused_instructions(c.shape),
                    100 * got.conflicts / got.wavefronts);
    }
}

TEST(CudaDots, NoRacesOnGlobalMemory) {
    if (!test::emulated())
        GTEST_SKIP() << "the race check is that of the emulator";
    constexpr const char* check = "CUDA_EMULATOR_STRICT=1 CUDA_EMULATOR_GLOBAL_RACECHECK=1";
    for (const char* name : {"spherical", "diagonal"})
        EXPECT_EQ(test::run_elsewhere(one_case, case_variable, name, check), 0) << name;
}

} // namespace
} // namespace elbo
