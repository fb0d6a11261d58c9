// What the kernels cost, counted by the emulator: memory traffic, special functions and instructions against the
// formulas of docs/kernels.md section 7. The counters are written when a process ends, so each case runs in a process
// of its own: this program again, with the name of the case in the environment.
#include "bench/mixture/prediction.hpp"
#include "host/gmm/start/kmeans.hpp"
#include "kernels/contract/gmm_engine.hpp"
#include "kernels/contract/kmeans_engine.hpp"
#include "kernels/cuda/gmm/engine.hpp"
#include "kernels/cuda/gmm/tensor/layout.hpp"
#include "kernels/math/fixed_point.hpp"
#include "kernels/math/kmeans.hpp"
#include "tests/support/data.hpp"
#include "tests/support/emulator_counters.hpp"
#include "tests/support/gmm/cases.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <cstdlib>
#include <limits>

namespace elbo {
namespace {

using namespace kernels;
using gmm::family;

struct counted_case {
    const char* name;
    gmm_shape shape;
    std::int64_t rows;
    bool weighted;
    double spread = 1; ///< of the means
};

constexpr counted_case cases[] = {
    {"registers", {family::full, 2, 8}, 8192, false},
    {"registers weighted", {family::full, 2, 8}, 8192, true},
    {"registers near", {family::full, 2, 8}, 8192, false, 0.1},
    {"registers diagonal", {family::diagonal, 4, 8}, 8192, false},
    {"registers wide near", {family::full, 4, 8}, 8192, false, 0.1},
    {"registers spherical near", {family::spherical, 3, 8}, 8192, false, 0.1},
    {"registers few", {family::full, 1, 2}, 8192, false},
    {"fused", {family::full, 16, 8}, 8192, true},
    {"fused diagonal", {family::diagonal, 16, 32}, 4096, false},
    {"fused cluster", {family::diagonal, 64, 256}, 4096, true, 0.1},
    {"fused cluster spherical", {family::spherical, 128, 1024}, 512, false},
    {"slab", {family::diagonal, 129, 1200}, 100, true},
    {"tensor", {family::full, 64, 9}, 4396, true},
    {"tensor wide", {family::full, 128, 5}, 300, false},
    {"tensor narrow", {family::full, 32, 17}, 300, false},
    {"tensor between", {family::full, 40, 6}, 300, false},
    {"tensor uneven", {family::full, 80, 3}, 300, false},
    {"wide", {family::full, 200, 3}, 300, true},
};

const counted_case& named(const std::string& name) {
    for (const counted_case& c : cases)
        if (name == c.name)
            return c;
    throw std::out_of_range("no case " + name);
}

/// One E-step and the sums of a case.
void run(const counted_case& c) {
    const auto engine = make_gmm_engine(context::cuda(), c.shape, element_type::float32);
    if (std::string(c.name) == "slab")
        dynamic_cast<cuda::cuda_engine_base&>(*engine).leave_tensor();
    const std::int64_t d = c.shape.dimensions;
    const std::vector<float> x = test::as<float>(test::clustered(c.rows, d, 3, 1.0, 7));
    const std::vector<float> weights(c.weighted ? c.rows : 0, 0.5f);
    input_rows in{matrix_view<const float>(x.data(), c.rows, d), {}, 1};
    if (c.weighted)
        in.weights = matrix_view<const float>(weights.data(), c.rows, 1);
    engine->reserve(c.rows, c.weighted);
    engine->load(in, test::identity_frame(d), 0);
    engine->set_parameters(test::random_parameters(c.shape, c.spread, 3));
    loop_options options;
    options.max_iterations = 1;
    options.component_bound = options.scalar_bound = 0x1p40;
    options.rule.total_weight = static_cast<double>(c.rows) * (c.weighted ? 0.5 : 1);
    options.rule.lambda.assign(d, 1e-3);
    engine->run(c.rows, options);
}

constexpr const char* one_case = "CudaCounters.DISABLED_OneCase";
constexpr const char* case_variable = "ELBO_COUNTED_CASE";

test::counter_sums count(const std::string& name, const std::string& kernel) {
    return test::sum_counters(test::count_elsewhere(one_case, case_variable, name), kernel);
}

double sums_bytes(const counted_case& c) {
    return 24.0 * static_cast<double>(sum_count(c.shape));
}

TEST(CudaCounters, DISABLED_OneCase) {
    run(named(std::getenv(case_variable)));
}

TEST(CudaCounters, RegisterEngine) {
    if (!test::emulated())
        GTEST_SKIP() << "counters come from the emulator";
    for (const counted_case& c : cases) {
        if (!std::string(c.name).starts_with("registers"))
            continue;
        SCOPED_TRACE(c.name);
        ASSERT_EQ(cuda::choose_variant(c.shape, 4), cuda::e_step_variant::registers);
        const test::counter_sums got = count(c.name, "accumulate_registers");
        const double n = static_cast<double>(c.rows), d = static_cast<double>(c.shape.dimensions);
        const double k = static_cast<double>(c.shape.components);
        const double chunks = n / static_cast<double>(cuda::register_chunk_rows(c.shape));
        // Rows once; the sums of a chunk are read and written by atomics.
        const double floor = 4 * n * (d + (c.weighted ? 1 : 0));
        EXPECT_LE(got.read, 1.02 * floor + chunks * sums_bytes(c) + 2048);
        EXPECT_LE(got.written, chunks * sums_bytes(c) + 1024);
        // ex2 for each pair, lg2 and rcp for each row and thread; rows far from all components take their ex2 again.
        const double special = n * k + 2 * n * cuda::register_lanes(c.shape);
        EXPECT_TRUE(got.special >= special && got.special <= 1.02 * special) << got.special << " of " << special;
        // Machine instructions by formula. PTX has a few more: negations, moves, and tests of a row's weight.
        const auto [common, own] = bench::register_instructions(c.shape);
        const double needed = (c.spread < 1 ? common : own) + 1 + (c.weighted ? 24 / k : 0);
        const double per_pair = got.instructions / (n * k);
        EXPECT_LE(per_pair, 1.1 * needed);
        EXPECT_GE(per_pair, 0.8 * needed);
        std::printf("%s: %.1f instructions a pair, of %.1f\n", c.name, per_pair, needed);
    }
}

TEST(CudaCounters, FusedEngineReadsRowsOnce) {
    if (!test::emulated())
        GTEST_SKIP() << "counters come from the emulator";
    for (const char* name : {"fused", "fused diagonal", "fused cluster", "fused cluster spherical"}) {
        SCOPED_TRACE(name);
        const counted_case& c = named(name);
        ASSERT_EQ(cuda::choose_variant(c.shape, 4), cuda::e_step_variant::fused);
        const test::counter_sums got = count(name, "accumulate_chunks");
        const double n = static_cast<double>(c.rows), d = static_cast<double>(c.shape.dimensions);
        const double k = static_cast<double>(c.shape.components);
        const double chunks = static_cast<double>(cuda::blocks_for(c.rows, cuda::chunk_rows(c.shape, 4)));
        // Means, factors and whitened means of each component, offsets and norms.
        const double parameters = 4 * (k * (d * (c.shape.family == family::full ? d + 2 : 3) + 2) +
                                       (c.shape.family == family::tied ? d * d : 0));
        EXPECT_LE(got.read, 1.1 * 4 * n * (d + (c.weighted ? 1 : 0)) + chunks * sums_bytes(c) + parameters + 1024);
        EXPECT_LE(got.written, chunks * sums_bytes(c) + 1024);
        // Rows are padded so that neighbouring rows lie in different banks.
        EXPECT_LE(got.conflicts, 0.5 * got.wavefronts);
        const double per_pair = got.instructions / (n * k);
        // What predictions of times are made of.
        const double arithmetic = bench::fused_instructions(c.shape, c.spread < 1);
        EXPECT_GE(per_pair, arithmetic);
        EXPECT_LE(per_pair, bench::most_fused_instructions(c.shape, c.spread < 1));
        std::printf("%s: %.1f instructions a pair, of %.1f, %.0f%% of shared wavefronts from conflicts\n", name,
                    per_pair, arithmetic, 100 * got.conflicts / got.wavefronts);
    }
}

/// FLOP of the kernels of D dimensions: three products of each block of the triangle, for all rows of the tiles of 256
/// and all components of the panels; two products a step of 32 rows at most (cuda_moments_test.cpp counts these).
template <int D>
void expect_tensor_work(const counted_case& c, double density, double moments) {
    using L = cuda::panel_layout<D>;
    using M = cuda::moment_layout<cuda::moment_dimensions(D)>;
    const auto in_tiles = [](std::int64_t n, std::int64_t tile) {
        return static_cast<double>(cuda::blocks_for(n, tile));
    };
    const double blocks = D / 16 * (D / 16 + 1) / 2;
    const double panels = in_tiles(c.shape.components, L::components);
    EXPECT_EQ(density, 3 * 2.0 * blocks * 16 * 16 * L::components * panels * 256 * in_tiles(c.rows, 256));
    EXPECT_EQ(L::flop, 3 * 2.0 * blocks * 16 * 16 * L::components * 64);
    double steps = in_tiles(c.rows % unit_rows, M::rows);
    steps += static_cast<double>(c.rows / unit_rows * (unit_rows / M::rows));
    EXPECT_LE(moments, steps * M::flop * in_tiles(c.shape.components, M::lists));
    // What predictions of times are made of: the work of a pair where tiles are full.
    const bench::tensor_flop pair = bench::tensor_work(c.shape);
    EXPECT_EQ(pair.densities * L::components * 64, L::flop);
    EXPECT_EQ(pair.moments * M::lists * M::rows, M::flop);
}

TEST(CudaCounters, TensorEngine) {
    if (!test::emulated() || !cuda::tensor_built())
        GTEST_SKIP() << "counters come from the emulator";
    for (const char* name : {"tensor", "tensor wide", "tensor narrow", "tensor between", "tensor uneven"}) {
        SCOPED_TRACE(name);
        const counted_case& c = named(name);
        ASSERT_EQ(cuda::choose_variant(c.shape, 4, false, {.tensor = true}), cuda::e_step_variant::tensor);
        const cuda::tensor_plan plan = cuda::plan_tensor(c.shape);
        const test::counter_sums density = count(name, "tensor_density"), moments = count(name, "tensor_moments");
        const double n = static_cast<double>(c.rows), d = static_cast<double>(c.shape.dimensions);
        const double k = static_cast<double>(c.shape.components), ranges = static_cast<double>(plan.ranges);
        const double units = static_cast<double>(cuda::blocks_for(c.rows, unit_rows));
        if (d == 32)
            expect_tensor_work<32>(c, density.tensor, moments.tensor);
        else if (d == 40)
            expect_tensor_work<48>(c, density.tensor, moments.tensor);
        else if (d == 80)
            expect_tensor_work<80>(c, density.tensor, moments.tensor);
        else if (d == 64)
            expect_tensor_work<64>(c, density.tensor, moments.tensor);
        else
            expect_tensor_work<128>(c, density.tensor, moments.tensor);
        // Rows and panels once; the sums of a unit are read and written by atomics.
        const double panels = static_cast<double>(plan.panels * plan.panel_bytes);
        EXPECT_LE(density.read, 1.02 * (4 * n * d + panels) + 2048);
        EXPECT_LE(density.written, 1.02 * (4 * n * k + 16 * n * ranges) + 2048);
        EXPECT_LE(moments.read, 1.02 * 4 * n * (d + k + 4) + 8 * k * d + units * sums_bytes(c) + 2048);
        EXPECT_LE(moments.written, units * sums_bytes(c) + 1024);
        // None in the loops; the exchange at the end of a unit has some.
        EXPECT_EQ(density.conflicts, 0);
        if (c.rows > unit_rows) {
            EXPECT_LE(moments.conflicts, 0.1 * moments.wavefronts);
        }
        std::printf("%s: %.0f and %.0f instructions a pair, %.0f%% of wavefronts from conflicts\n", name,
                    density.instructions / (n * k), moments.instructions / (n * k),
                    100 * moments.conflicts / moments.wavefronts);
    }
}

// Three products of each block of 64 x 64 on and below the diagonals, for all rows of tiles of 256 and stages of 64.
TEST(CudaCounters, WideTensorEngine) {
    if (!test::emulated() || !cuda::tensor_built())
        GTEST_SKIP() << "counters come from the emulator";
    const counted_case& c = named("wide");
    ASSERT_EQ(cuda::choose_variant(c.shape, 4, false, {.tensor = true}), cuda::e_step_variant::tensor);
    const cuda::wide_shape wide(c.shape.dimensions);
    const auto all = test::count_elsewhere(one_case, case_variable, c.name);
    const test::counter_sums density = test::sum_counters(all, "wide_density");
    const test::counter_sums moments = test::sum_counters(all, "::wide_moments");
    const test::counter_sums pieces = test::sum_counters(all, "wide_moment_pieces");
    const double n = static_cast<double>(c.rows), d = static_cast<double>(c.shape.dimensions);
    const double k = static_cast<double>(c.shape.components);
    const auto up = [](double size, double tile) { return tile * std::ceil(size / tile); };
    EXPECT_EQ(density.tensor, wide.flop() * k * up(n, 256));
    EXPECT_EQ(moments.tensor, wide.flop() * k * up(n, 64));
    EXPECT_EQ(bench::tensor_work(c.shape).densities, wide.flop());
    EXPECT_EQ(bench::tensor_work(c.shape).moments, wide.flop());
    // Operands of rows and factors; shifts, and what a row has beside. The counter has each byte once a launch.
    const double rows = 4 * up(d, 64), factors = k * static_cast<double>(cuda::plan_tensor(c.shape).panel_bytes);
    EXPECT_LE(density.read, rows * up(n, 256) + factors + k * 4 * up(d, 128) + 8 * up(n, 256) + 2048);
    EXPECT_LE(density.written, 1.02 * (4 * n * k + 16 * n * 8) + 2048);
    EXPECT_LE(pieces.written, k * 4 * up(d, 128) * up(n, 64) + 24 * k * d + 1024);
    EXPECT_LE(moments.read, k * 4 * up(d, 128) * up(n, 64) + sums_bytes(c) + 2048);
    EXPECT_LE(moments.written, sums_bytes(c) + 1024);
    for (const test::counter_sums* kernel : {&density, &moments, &pieces})
        EXPECT_EQ(kernel->conflicts, 0);
    std::printf("wide: %.0f and %.0f instructions a pair, %.0f for pieces\n", density.instructions / (n * k),
                moments.instructions / (n * k), pieces.instructions / (n * k));
}

/// k-means on the device: greedy k-means++ or not, and Lloyd's iterations.
struct kmeans_case {
    const char* name;
    std::int64_t rows, cols, centres;
    bool greedy;
};

constexpr kmeans_case kmeans_cases[] = {{"k-means", 5000, 3, 8, false}, {"k-means greedy", 4096, 17, 12, true}};
constexpr const char* one_kmeans_case = "CudaCounters.DISABLED_OneKmeansCase";
constexpr std::uint64_t kmeans_seed = 5;
constexpr int lloyd_iterations = 5;

struct kmeans_rows {
    std::vector<double> x, weights;
    explicit kmeans_rows(const kmeans_case& c) : x(test::clustered(c.rows, c.cols, 3, 1.0, 7)), weights(c.rows, 1) {}
};

TEST(CudaCounters, DISABLED_OneKmeansCase) {
    for (const kmeans_case& c : kmeans_cases) {
        if (std::string(c.name) != std::getenv(case_variable))
            continue;
        const kmeans_rows data(c);
        const auto engine = make_kmeans_engine(context::cuda());
        engine->load(data.x.data(), data.weights.data(), c.rows, c.cols);
        gmm::choose_centres(*engine, c.centres, c.greedy, kmeans_seed);
        engine->refine(lloyd_iterations);
    }
}

/// The counters of a case, and its sizes.
struct counted_kmeans {
    kmeans_case c;
    nlohmann::json all;
    double n, d, k;
};

std::vector<counted_kmeans> count_kmeans() {
    std::vector<counted_kmeans> runs;
    for (const kmeans_case& c : kmeans_cases)
        runs.push_back({c, test::count_elsewhere(one_kmeans_case, case_variable, c.name), static_cast<double>(c.rows),
                        static_cast<double>(c.cols), static_cast<double>(c.centres)});
    return runs;
}

/// How often a row moved to a new centre in k-means++, over all steps.
std::int64_t rows_moved(const kmeans_case& c) {
    const kmeans_rows data(c);
    const auto engine = make_kmeans_engine(context::reference());
    engine->load(data.x.data(), data.weights.data(), c.rows, c.cols);
    std::int64_t moved = 0;
    std::vector<double> nearest(c.rows, std::numeric_limits<double>::infinity());
    for (std::int64_t centre : gmm::kmeans_plus_plus(*engine, c.centres, c.greedy, kmeans_seed))
        for (std::int64_t n = 0; n < c.rows; ++n) {
            const double distance = squared_distance(&data.x[n * c.cols], &data.x[centre * c.cols], c.cols);
            moved += distance < nearest[n];
            nearest[n] = std::min(nearest[n], distance);
        }
    return moved;
}

// A step of k-means++ reads the rows once for all its candidates, 8 N d bytes, and leaves a distance for each candidate
// and row; their potentials and the step to the best of them read those, distances so far and weights, and store
// distance and label (12 bytes) of the rows that move, and a mass for each block.
TEST(CudaCounters, KmeansPlusPlus) {
    if (!test::emulated())
        GTEST_SKIP() << "counters come from the emulator";
    for (const counted_kmeans& run : count_kmeans()) {
        SCOPED_TRACE(run.c.name);
        const auto& [c, all, n, d, k] = run;
        const double blocks = static_cast<double>(kmeans_blocks(c.rows));
        const double list = 32 * kmeans_candidate_limit; // the candidates

        // A draw: the masses of the blocks, and the rows of one block for each candidate.
        const test::counter_sums draw = test::sum_counters(all, "::draw_rows");
        EXPECT_EQ(draw.launches, k);
        EXPECT_LE(draw.read, draw.blocks * 16 * static_cast<double>(kmeans_block_rows) + k * (8 * blocks + 32));
        const double candidates = draw.blocks; // of all steps

        const test::counter_sums measure = test::sum_counters(all, "::measure_candidates");
        EXPECT_EQ(measure.launches, k);
        EXPECT_GE(measure.read, k * 8 * n * d);
        EXPECT_LE(measure.read, k * (8 * n * d + list));
        EXPECT_EQ(measure.stored, candidates * 8 * n);

        const test::counter_sums add = test::sum_counters(all, "::add_centre");
        EXPECT_EQ(add.launches, k);
        EXPECT_LE(add.read, k * (3 * 8 * n + list) + candidates * (8 * blocks + 32));
        EXPECT_EQ(add.stored, 12 * static_cast<double>(rows_moved(c)) + k * (8 * blocks + 8));
        if (!c.greedy)
            continue;
        const test::counter_sums potentials = test::sum_counters(all, "::sum_potentials");
        EXPECT_EQ(potentials.launches, k - 1);
        EXPECT_LE(potentials.read, (k - 1) * 2 * 8 * n + (candidates - 1) * 8 * n);
        EXPECT_EQ(potentials.stored, (candidates - 1) * 8 * blocks);
    }
}

// An iteration of Lloyd reads the rows twice: to label them, and to add them up in the order of their labels. A pair of
// a row and a centre costs a subtraction and a fused multiply-add for each dimension; centres are padded to a tile and
// rows to one. Six launches, of which those after the last change of a label do nothing.
TEST(CudaCounters, Lloyd) {
    if (!test::emulated())
        GTEST_SKIP() << "counters come from the emulator";
    for (const counted_kmeans& run : count_kmeans()) {
        SCOPED_TRACE(run.c.name);
        const auto& [c, all, n, d, k] = run;
        // Two to load and one to begin, three or four a centre, one before Lloyd's iterations: nothing else is
        // launched.
        EXPECT_EQ(test::sum_counters(all, "").launches,
                  3 + 3 * k + (c.greedy ? k - 1 : 0) + 1 + 6 * (lloyd_iterations - 1));

        const test::counter_sums assign = test::sum_counters(all, "::assign_rows");
        EXPECT_EQ(assign.launches, lloyd_iterations - 1);
        EXPECT_LE(assign.read, assign.launches * (n * (8 * d + 4) + 8 * k * d + 128));
        EXPECT_LE(assign.stored, assign.launches * 4 * n + 8 * assign.blocks);
        const double centres = k <= 8 ? 8 : 16, rows = 2048 / centres; // of a tile
        EXPECT_LE(assign.fp64, assign.launches * rows * std::ceil(n / rows) * centres * d * 3);

        // Coordinates, weight and row number; begins of clusters and chunks. A partial sum for each chunk and column.
        const test::counter_sums sums = test::sum_counters(all, "::sum_chunks");
        const double chunks = n / static_cast<double>(kmeans_chunk_rows) + k;
        EXPECT_EQ(sums.launches, assign.launches);
        EXPECT_LE(sums.read, sums.launches * (8 * n * (d + 2) + 16 * (k + 1) + 160));
        EXPECT_LE(sums.stored, sums.launches * 8 * chunks * (d + 1));

        // The order: labels in, ranks out and in, row numbers out, and the counts of each block.
        const test::counter_sums rank = test::sum_counters(all, "::rank_rows");
        const test::counter_sums order = test::sum_counters(all, "::order_rows");
        const double counts = 4 * k * static_cast<double>(kmeans_blocks(c.rows));
        EXPECT_EQ(rank.launches, assign.launches);
        EXPECT_EQ(order.launches, assign.launches);
        EXPECT_LE(rank.read, rank.launches * (4 * n + 64));
        EXPECT_LE(rank.stored, rank.launches * (4 * n + counts));
        EXPECT_LE(order.read, order.launches * (8 * n + counts + 8 * k + 128));
        EXPECT_LE(order.stored, order.launches * 8 * n);
    }
}

TEST(CudaCounters, NoRacesOnGlobalMemory) {
    if (!test::emulated())
        GTEST_SKIP() << "the race check is that of the emulator";
    constexpr const char* check = "CUDA_EMULATOR_STRICT=1 CUDA_EMULATOR_GLOBAL_RACECHECK=1";
    for (const char* name : {"registers diagonal", "fused diagonal", "slab", "tensor", "wide"})
        EXPECT_EQ(test::run_elsewhere(one_case, case_variable, name, check), 0) << name;
    for (const kmeans_case& c : kmeans_cases)
        EXPECT_EQ(test::run_elsewhere(one_kmeans_case, case_variable, c.name, check), 0) << c.name;
}

} // namespace
} // namespace elbo
