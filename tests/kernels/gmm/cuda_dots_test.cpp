// The dot form of the fused variant, on both sides of the distance up to which it runs: single rows and sums against
// float64, with the bound of kernels/cuda/gmm/e_step/fused_dots.cuh; the same bits for any grid and batches; what it
// costs.
#include "bench/mixture/prediction.hpp"
#include "kernels/cuda/gmm/engine.hpp"
#include "tests/support/data.hpp"
#include "tests/support/emulator_counters.hpp"
#include "tests/support/gmm/bounds.hpp"
#include "tests/support/gmm/cases.hpp"
#include "tests/support/gmm/labels.hpp"

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

constexpr double near = 2.9, beyond = 3.1; ///< largest ‖U_kᵀμ_k‖: the dot form, the direct form

/// ‖U_kᵀ(x − μ_k)‖.
double distance(const gmm_shape& s, const gmm_parameters& p, std::int64_t k, const double* x) {
    return std::sqrt(reference::mahalanobis_squared(s, p, k, x));
}

/// Bound of the error of lp of a row: that of fused_dots.cuh, and what rounding of Uᵀx brings where U is not a number.
double dots_error(const gmm_shape& s, const gmm_parameters& p, std::int64_t k, const double* row, double u) {
    const std::int64_t d = s.dimensions;
    const std::vector<double> origin(d, 0);
    gmm_parameters centred = p;
    std::fill_n(&centred.means[k * d], d, 0.0);
    const double q = distance(s, p, k, row), x = distance(s, centred, k, row), m = distance(s, p, k, origin.data());
    const double reach = test::norm(row, d) + test::norm(&p.means[k * d], d);
    const double whitened = geometry(s.family).spherical() ? 0 : q * test::factor_norm(s, p, k) * reach;
    return 4 * u * ((x + m) * (x + m) + whitened + static_cast<double>(d) + q * q);
}
double dots_error_float32(const gmm_shape& s, const gmm_parameters& p, std::int64_t k, const double* row) {
    return dots_error(s, p, k, row, 0x1p-24);
}
double dots_error_float64(const gmm_shape& s, const gmm_parameters& p, std::int64_t k, const double* row) {
    return dots_error(s, p, k, row, 0x1p-53);
}

struct dots_case {
    gmm_shape shape;
    std::int64_t rows;
    double spread = 1; ///< of the deviations: of components (spherical), of coordinates
    double offset = 0; ///< of the rows before they are normalised
};

/// Parameters whose largest ‖U_kᵀμ_k‖ is `largest`. Component 2 has been dropped, and lies far off.
gmm_parameters parameters_of(const dots_case& c, double largest) {
    const gmm_shape& s = c.shape;
    gmm_parameters p = test::random_parameters(s, 1, 21);
    const std::int64_t d = s.dimensions;
    for (std::size_t i = 0; i < p.precision_cholesky.size(); ++i) {
        const auto at = static_cast<std::int64_t>(i);
        const std::int64_t step = geometry(s.family).spherical() ? at : at % d;
        p.precision_cholesky[i] *= std::pow(c.spread, static_cast<double>(step % 4) / 3);
    }
    p.log_weights[2] = -test::infinity;
    const std::vector<double> origin(d, 0);
    double most = 0;
    for (std::int64_t k = 0; k < s.components; ++k)
        if (k != 2)
            most = std::max(most, distance(s, p, k, origin.data()));
    for (double& m : p.means)
        m *= largest / most;
    for (std::int64_t j = 0; j < d; ++j)
        p.means[2 * d + j] *= 100;
    return p;
}

/// Rows about the components, before and after normalisation, weights with zeros; a row without weight is so long that
/// its square overflows.
struct dots_rows {
    std::vector<float> raw;
    std::vector<double> weights, normalised;
    frame normalisation;
    dots_rows(const dots_case& c, const gmm_parameters& p, element_type type)
        : weights(test::quarter_weights(c.rows)), normalisation(test::identity_frame(c.shape.dimensions)) {
        const std::int64_t d = c.shape.dimensions;
        for (std::int64_t j = 0; c.offset != 0 && j < d; ++j) {
            normalisation.centre[j] = c.offset * (1 + static_cast<double>(j % 3));
            normalisation.scale[j] = geometry(c.shape.family).spherical() ? 4 : std::exp2(j % 5);
        }
        const std::int64_t stride = geometry(c.shape.family).stride(d);
        for (std::int64_t n = 0; n < c.rows; ++n)
            for (std::int64_t j = 0; j < d; ++j) {
                const std::int64_t k = n % c.shape.components == 2 ? 0 : n % c.shape.components;
                const double u = p.precision_cholesky[k * stride + geometry(c.shape.family).at(j, j, d)];
                const double x = p.means[k * d + j] + test::normal(5, n * d + j) / u;
                const double centre = normalisation.centre[j], scale = normalisation.scale[j];
                raw.push_back(weights[n] == 0 ? 1e30f : static_cast<float>(centre + scale * x));
                const double back = (static_cast<double>(raw.back()) - centre) / scale;
                normalised.push_back(type == element_type::float32 ? static_cast<float>(back) : back);
            }
    }
};

std::unique_ptr<gmm_engine> engine_of(const dots_case& c, element_type type, const gmm_parameters& p,
                                      const dots_rows& data) {
    auto engine = make_gmm_engine(context::cuda(), c.shape, type);
    const std::int64_t d = c.shape.dimensions;
    engine->reserve(c.rows, true);
    engine->load({matrix_view<const float>(data.raw.data(), c.rows, d),
                  any_matrix_view(matrix_view<const double>(data.weights.data(), c.rows, 1)), 1},
                 data.normalisation, 0);
    engine->set_parameters(p);
    engine->clear_sums(0x1p40, 0x1p60);
    return engine;
}

test::arithmetic_form form_of_dots(element_type type) {
    test::arithmetic_form form;
    form.density_error = type == element_type::float32 ? dots_error_float32 : dots_error_float64;
    form.about_origin = true;
    return form;
}

void expect_sums(gmm_engine& engine, const test::bounded_sums& want) {
    const std::vector<double> got = engine.sums().values();
    for (std::size_t i = 0; i < got.size(); ++i)
        ASSERT_LE(std::abs(got[i] - want.values[i]), want.bounds[i] + 1e-15) << "sum " << i;
}

std::string describe(const dots_case& c, double largest, element_type type) {
    return std::string(gmm::to_string(c.shape.family)) + " N=" + std::to_string(c.rows) +
           " d=" + std::to_string(c.shape.dimensions) + " K=" + std::to_string(c.shape.components) +
           " largest=" + std::to_string(largest) + (type == element_type::float32 ? " float32" : " float64");
}

TEST(CudaDots, SumsMatchReferenceOnBothSidesOfTheLimit) {
    const dots_case cases[] = {
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
    for (const dots_case& c : cases)
        for (element_type type : {element_type::float32, element_type::float64})
            for (double largest : {near, beyond}) {
                SCOPED_TRACE(describe(c, largest, type));
                ASSERT_EQ(cuda::choose_variant(c.shape, type == element_type::float32 ? 4 : 8),
                          cuda::e_step_variant::fused);
                const gmm_parameters p = parameters_of(c, largest);
                const dots_rows data(c, p, type);
                const auto engine = engine_of(c, type, p, data);
                engine->accumulate(0, c.rows);
                expect_sums(*engine, test::reference_sums(c.shape, engine->parameters(), data.normalised, data.weights,
                                                          type == element_type::float32 ? 0x1p-24 : 0x1p-53, {},
                                                          form_of_dots(type)));
            }
}

// One row at a time: its log p alone is the sum, so that errors of rows cannot cancel.
TEST(CudaDots, EachRowIsWithinTheBound) {
    for (const auto& [f, d, K] : {gmm_shape{family::spherical, 8, 9},
                                  {family::spherical, 128, 12},
                                  {family::tied, 33, 8},
                                  {family::diagonal, 31, 9},
                                  {family::tied_spherical, 64, 31}})
        for (double largest : {near, beyond}) {
            const dots_case c{{f, d, K}, 1, f == family::spherical ? 10.0 : 1.0};
            SCOPED_TRACE(describe(c, largest, element_type::float32));
            const gmm_parameters p = parameters_of(c, largest);
            const dots_rows data({c.shape, 24, c.spread}, p, element_type::float32);
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
                        bound = std::max(bound, dots_error_float32(c.shape, exact.values, k, row) +
                                                    0x1p-22 * (std::abs(exact.offsets[k]) + std::abs(lp[k])));
                bound += 8 * 0x1p-24 + 0x1p-24;
                const std::size_t at = sum_count(c.shape) - scalar_count + scalar_log_likelihood;
                const double error = std::abs(engine->sums().values()[at] - lse);
                worst = std::max(worst, error / bound);
                EXPECT_LE(error, bound) << "row " << n;
            }
            std::printf("%s: %.2f of the bound\n", describe(c, largest, element_type::float32).c_str(), worst);
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
            gmm_parameters p = parameters_of({shape, 70}, near);
            p.log_weights[2] = p.log_weights[1];
            std::fill_n(&p.means[2 * shape.dimensions], shape.dimensions, 0.0);
            engine->set_parameters(p);
            test::accumulate(*engine, data.c.rows);
            expect_sums(*engine, test::reference_sums(shape, engine->parameters(), data.x64, data.weights, 0x1p-24,
                                                      data.known(), form_of_dots(element_type::float32)));
        }
}

TEST(CudaDots, GridAndBatchesChangeNoBit) {
    for (const gmm_shape& shape : {gmm_shape{family::spherical, 16, 12},
                                   {family::tied, 9, 8},
                                   {family::diagonal, 9, 12},
                                   {family::spherical, 8, 700}}) {
        const dots_case c{shape, 8200};
        const gmm_parameters p = parameters_of(c, near);
        const dots_rows data(c, p, element_type::float32);
        std::vector<std::int64_t> first;
        for (const std::int64_t blocks : {1, 7, 132}) {
            const auto engine = engine_of(c, element_type::float32, p, data);
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
    dots_case c;
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
            const gmm_parameters p = parameters_of(c, 0.1);
            engine_of(c, element_type::float32, p, dots_rows(c, p, element_type::float32))->accumulate(0, c.rows);
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
