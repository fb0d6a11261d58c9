// What the kernels cost, counted by the emulator: memory traffic, special functions and instructions against the
// formulas of docs/kernels.md section 7. The counters are written when a process ends, so each case runs in a process
// of its own: this program again, with the name of the case in the environment.
#include "bench/mixture/prediction.hpp"
#include "host/gmm/start/kmeans.hpp"
#include "kernels/contract/gmm_engine.hpp"
#include "kernels/contract/kmeans_engine.hpp"
#include "kernels/cuda/gmm/engine.hpp"
#include "kernels/math/fixed_point.hpp"
#include "kernels/math/kmeans.hpp"
#include "tests/support/data.hpp"
#include "tests/support/emulator_counters.hpp"
#include "tests/support/gmm/counted.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <cstdlib>
#include <limits>

namespace elbo {
namespace {

using namespace kernels;
using gmm::family;

using test::case_variable;
using test::counted_case;
using test::sums_bytes;

constexpr counted_case cases[] = {
    {"registers", {family::full, 2, 8}, 8192, false},
    {"registers weighted", {family::full, 2, 8}, 8192, true},
    {"registers near", {family::full, 2, 8}, 8192, false, 0.1},
    {"registers diagonal", {family::diagonal, 4, 8}, 8192, false},
    {"registers wide near", {family::full, 4, 8}, 8192, false, 0.1},
    {"registers spherical near", {family::spherical, 3, 8}, 8192, false, 0.1},
    {"registers few", {family::full, 1, 2}, 8192, false},
    {"fused", {family::full, 20, 8}, 8192, true},
    {"fused diagonal", {family::diagonal, 16, 32}, 4096, false},
    {"fused cluster", {family::diagonal, 64, 256}, 4096, true, 0.1},
    {"fused cluster spherical", {family::spherical, 128, 1024}, 512, false},
    {"slab", {family::diagonal, 129, 1200}, 100, true},
};

constexpr const char* one_case = "CudaCounters.DISABLED_OneCase";

test::counter_sums count(const std::string& name, const std::string& kernel) {
    return test::sum_counters(test::count_elsewhere(one_case, case_variable, name), kernel);
}

TEST(CudaCounters, DISABLED_OneCase) {
    test::run(test::named(cases, std::getenv(case_variable)));
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
        const counted_case& c = test::named(cases, name);
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
// distance and label (12 bytes) of the rows that move, and a mass for each block of 1024 rows. All steps are one
// launch.
TEST(CudaCounters, KmeansPlusPlus) {
    if (!test::emulated())
        GTEST_SKIP() << "counters come from the emulator";
    for (const counted_kmeans& run : count_kmeans()) {
        SCOPED_TRACE(run.c.name);
        const auto& [c, all, n, d, k] = run;
        const double blocks = static_cast<double>(kmeans_blocks(c.rows));
        const double each = c.greedy ? 2 + std::floor(std::log(k)) : 1, candidates = 1 + (k - 1) * each;
        const test::counter_sums choose = test::sum_counters(all, "::choose_centres");
        EXPECT_EQ(choose.launches, 1);
        const double compared = c.greedy ? candidates - 1 : 0;
        const double barriers = 2 * k + (c.greedy ? k - 1 : 0); // each block stores four bytes
        EXPECT_EQ(choose.stored, 8 * blocks + candidates * 8 * n + compared * 8 * blocks +
                                     12 * static_cast<double>(rows_moved(c)) + k * (8 * blocks + 8) +
                                     4 * choose.blocks * barriers);
        // Each number once in a launch: rows, weights, distances so far and of the candidates, masses, steps.
        EXPECT_LE(choose.read, n * (8 * d + 8 * (2 + each)) + 8 * blocks * (2 + each) + k * 8 * (2 + each) + 32 * 6);
        const double padded = each <= 4 ? 4 : 8, rows = 2048 / padded; // of a tile
        EXPECT_LE(choose.fp64,
                  1.1 * (k * rows * std::ceil(n / rows) * padded * d * 3 + (compared + k) * 3 * n) +
                      choose.blocks * (k * 2 * blocks + candidates * (6 * kmeans_block_rows + 8 * blocks)));
    }
}

// An iteration of Lloyd reads the rows twice: to label them, and to add them up in the order of their labels. A pair of
// a row and a centre costs a subtraction and a fused multiply-add for each dimension; centres are padded to a tile and
// rows to one. All iterations are one launch.
TEST(CudaCounters, Lloyd) {
    if (!test::emulated())
        GTEST_SKIP() << "counters come from the emulator";
    for (const counted_kmeans& run : count_kmeans()) {
        SCOPED_TRACE(run.c.name);
        const auto& [c, all, n, d, k] = run;
        EXPECT_EQ(test::sum_counters(all, "").launches, 2); // all centres, all iterations
        const test::counter_sums moves = test::sum_counters(all, "::move_centres");
        const double iterations = lloyd_iterations - 1;
        const double centres = k <= 8 ? 8 : 16, rows = 2048 / centres, tiles = std::ceil(n / rows);
        const double chunks = n / static_cast<double>(kmeans_chunk_rows) + k;
        const double spans = static_cast<double>(kmeans_blocks(c.rows));

        // Labels; a partial sum for each chunk and column, sums and centres; ranks twice, row numbers, counts of each
        // span and where they begin, bounds of the clusters. Barriers are the rest.
        const double stored =
            4 * n + 8 * chunks * (d + 1) + 8 * k * (2 * d + 1) + 16 * n + 8 * k * spans + 16 * (k + 1);
        EXPECT_LE(moves.stored, 1.02 * (iterations * (stored + 8) + 8 * k * d));
        // Each number once in a launch: rows, weights, labels, ranks, row numbers, and what is stored of the clusters.
        EXPECT_LE(moves.read, n * (8 * d + 8 + 4 + 4 + 8) + stored - 20 * n + 8 * k * (d + 1) + 32 * 10);
        const double sums = 2 * (d + 1) * (n + 2 * chunks) + 8 * k * d;
        EXPECT_LE(moves.fp64, iterations * (rows * tiles * centres * d * 3 + sums));
    }
}

TEST(CudaCounters, NoRacesOnGlobalMemory) {
    if (!test::emulated())
        GTEST_SKIP() << "the race check is that of the emulator";
    constexpr const char* check = "CUDA_EMULATOR_STRICT=1 CUDA_EMULATOR_GLOBAL_RACECHECK=1";
    for (const char* name : {"registers diagonal", "fused diagonal", "slab"})
        EXPECT_EQ(test::run_elsewhere(one_case, case_variable, name, check), 0) << name;
    for (const kmeans_case& c : kmeans_cases)
        EXPECT_EQ(test::run_elsewhere(one_kmeans_case, case_variable, c.name, check), 0) << c.name;
}

} // namespace
} // namespace elbo
