// What the kernels cost, counted by the emulator: memory traffic, special functions and instructions against the
// formulas of kernels.md D. The counters are written when a process ends, so each case runs in a process of its own:
// this program again, with the name of the case in the environment.
#include "kernels/cuda/tuning.hpp"
#include "kernels/gmm_engine.hpp"
#include "kernels/math/fixed_point.hpp"
#include "tests/support/data.hpp"

#include <gtest/gtest.h>
#include <nlohmann/json.hpp>

#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <unistd.h>

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
    {"fused", {family::full, 16, 8}, 8192, true},
    {"fused diagonal", {family::diagonal, 16, 32}, 4096, false},
    {"slab", {family::full, 40, 50}, 300, true},
};

const counted_case& named(const std::string& name) {
    for (const counted_case& c : cases)
        if (name == c.name)
            return c;
    throw std::out_of_range("no case " + name);
}

/// One E-step and the sums of a case.
void run(const counted_case& c) {
    const auto engine = make_cuda_engine(context::cuda(), c.shape, element_type::float32);
    const std::int64_t d = c.shape.dimensions;
    const std::vector<float> x = test::as<float>(test::clustered(c.rows, d, 3, 1.0, 7));
    const std::vector<float> weights(c.weighted ? c.rows : 0, 0.5f);
    input_rows in{matrix_view<const float>(x.data(), c.rows, d), {}, 1};
    if (c.weighted)
        in.weights = matrix_view<const float>(weights.data(), c.rows, 1);
    engine->reserve(c.rows, c.weighted);
    engine->load(in, {std::vector<double>(d, 0), std::vector<double>(d, 1)}, 0);
    engine->set_parameters(test::random_parameters(c.shape, c.spread, 3));
    loop_options options;
    options.max_iterations = 1;
    options.component_bound = options.scalar_bound = 0x1p40;
    options.rule.total_weight = static_cast<double>(c.rows) * (c.weighted ? 0.5 : 1);
    options.rule.lambda.assign(d, 1e-3);
    engine->run(c.rows, options);
}

bool emulated() {
    return context::cuda().name().find("emulator") != std::string::npos;
}

/// Runs a case in a process with an environment of its own; its exit status.
int run_elsewhere(const std::string& name, const std::string& environment) {
    const std::string program = std::filesystem::read_symlink("/proc/self/exe").string();
    return std::system(("ELBO_COUNTED_CASE='" + name + "' " + environment + " '" + program +
                        "' --gtest_also_run_disabled_tests --gtest_filter=CudaCounters.DISABLED_OneCase > /dev/null")
                           .c_str());
}

/// Counters of the kernels whose names contain `kernel`, added up.
struct counters {
    double read = 0, written = 0, special = 0, instructions = 0, conflicts = 0, wavefronts = 0, blocks = 0;
};

counters count(const std::string& name, const std::string& kernel) {
    const auto file = std::filesystem::temp_directory_path() / ("elbo_counters_" + std::to_string(getpid()) + ".json");
    EXPECT_EQ(run_elsewhere(name, "CUDA_EMULATOR_STATS='" + file.string() + "'"), 0);
    std::ifstream stream(file);
    const nlohmann::json all = nlohmann::json::parse(stream);
    std::filesystem::remove(file);
    counters c;
    for (const auto& k : all["kernels"])
        if (k["name"].get<std::string>().find(kernel) != std::string::npos) {
            c.read += k["distinct_read_bytes"].get<double>();
            c.written += k["distinct_write_bytes"].get<double>();
            c.special += k["flops"]["special"].get<double>();
            c.instructions += k["lane_instructions"].get<double>();
            c.conflicts += k["shared_bank_conflict_replays"].get<double>();
            c.wavefronts += k["shared_wavefronts"].get<double>();
            c.blocks += k["blocks"].get<double>();
        }
    EXPECT_GT(c.blocks, 0) << "no kernel " << kernel << " ran in case " << name;
    return c;
}

double sums_bytes(const counted_case& c) {
    return 24.0 * static_cast<double>(sum_count(c.shape));
}

TEST(CudaCounters, DISABLED_OneCase) {
    run(named(std::getenv("ELBO_COUNTED_CASE")));
}

TEST(CudaCounters, RegisterEngine) {
    if (!emulated())
        GTEST_SKIP() << "counters come from the emulator";
    for (const char* name : {"registers", "registers weighted", "registers near", "registers diagonal"}) {
        SCOPED_TRACE(name);
        const counted_case& c = named(name);
        ASSERT_EQ(cuda::choose_engine(c.shape, 4), cuda::engine_kind::registers);
        const counters got = count(name, "accumulate_registers");
        const double n = static_cast<double>(c.rows), d = static_cast<double>(c.shape.dimensions);
        const double k = static_cast<double>(c.shape.components);
        const double chunks = n / cuda::register_chunk_rows;
        // Rows once; the sums of a chunk are read and written by atomics.
        const double floor = 4 * n * (d + (c.weighted ? 1 : 0));
        EXPECT_LE(got.read, 1.02 * floor + chunks * sums_bytes(c) + 2048);
        EXPECT_LE(got.written, chunks * sums_bytes(c) + 1024);
        // ex2 for each pair, lg2 and rcp for each row.
        EXPECT_EQ(got.special, n * k + 2 * n);
        // PTX instructions, at most 1.1 times those of a pair and its share of a row and of the flush. A pair of full
        // covariance with d = 2 has a floor of 16 (A1): Uᵀx + b and squares 5, minimum, subtract, ex2, sum, statistics
        // 6, and the entropy. That is reached where means lie near the origin, but for 1 to read parameters. About its
        // own mean a pair needs 5 or 6 more: differences twice, scale, products with it; d = 4 diagonal: 35. Reads,
        // features and float64 scalars of a row (3 in the loop) and the flush of a chunk are 6 a pair together.
        const double pair = c.shape.family == family::diagonal ? 35 : c.spread < 1 ? 17 : 22;
        const double needed = pair + 6;
        const double per_pair = got.instructions / (n * k);
        EXPECT_LE(per_pair, 1.1 * needed);
        std::printf("%s: %.1f instructions a pair\n", name, per_pair);
    }
}

TEST(CudaCounters, FusedEngineReadsRowsOnce) {
    if (!emulated())
        GTEST_SKIP() << "counters come from the emulator";
    for (const char* name : {"fused", "fused diagonal"}) {
        SCOPED_TRACE(name);
        const counted_case& c = named(name);
        ASSERT_EQ(cuda::choose_engine(c.shape, 4), cuda::engine_kind::fused);
        const counters got = count(name, "accumulate_chunks");
        const double n = static_cast<double>(c.rows), d = static_cast<double>(c.shape.dimensions);
        const double k = static_cast<double>(c.shape.components);
        const double chunks = n / static_cast<double>(cuda::chunk_rows(c.shape, 4));
        const double parameters = 4 * k * (d * (c.shape.family == family::full ? d + 1 : 2) + 1);
        EXPECT_LE(got.read, 1.1 * 4 * n * (d + (c.weighted ? 1 : 0)) + chunks * sums_bytes(c) + parameters + 1024);
        EXPECT_LE(got.written, chunks * sums_bytes(c) + 1024);
        // Rows are padded so that neighbouring rows lie in different banks.
        EXPECT_LE(got.conflicts, 0.5 * got.wavefronts);
        std::printf("%s: %.1f instructions a pair, %.0f%% of shared wavefronts from conflicts\n", name,
                    got.instructions / (n * k), 100 * got.conflicts / got.wavefronts);
    }
}

TEST(CudaCounters, NoRacesOnGlobalMemory) {
    if (!emulated())
        GTEST_SKIP() << "the race check is that of the emulator";
    for (const char* name : {"registers diagonal", "fused diagonal", "slab"})
        EXPECT_EQ(run_elsewhere(name, "CUDA_EMULATOR_STRICT=1 CUDA_EMULATOR_GLOBAL_RACECHECK=1"), 0) << name;
}

} // namespace
} // namespace elbo
