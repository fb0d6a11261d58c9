// The tensor variant: log-densities pair by pair and sums against float64, with the bounds of
// kernels/cuda/gmm/tensor/density.cuh and moments.cuh; the same bits for any grid and batches.
#include "elbo/gmm/fit.hpp"
#include "kernels/cuda/gmm/engine.hpp"
#include "kernels/cuda/gmm/tensor/layout.hpp"
#include "kernels/cuda/gmm/tensor/tensor.hpp"
#include "tests/support/data.hpp"
#include "tests/support/gmm/bounds.hpp"
#include "tests/support/gmm/cases.hpp"
#include "tests/support/gmm/labels.hpp"

#include <gtest/gtest.h>

#include <cmath>
#include <numbers>

namespace elbo {
namespace {

using namespace kernels;
using gmm::family;

/// |q̂ − q| of one pair by the bound in density.cuh, halved: that of lp in nats. D: the dimensions of the kernel.
double product_error(const gmm_shape& s, const gmm_parameters& p, std::int64_t k, const double* row) {
    const std::int64_t d = s.dimensions;
    const double* u = &p.precision_cholesky[k * d * d];
    const double* mean = &p.means[k * d];
    const double D = cuda::tensor_dimensions(d), step = 0x1p-21 + D / 16 * 0x1p-22;
    double error = 0, q = 0;
    for (std::int64_t j = 0; j < d; ++j) {
        double y = 0, size = 0, b = 0;
        for (std::int64_t i = 0; i <= j; ++i) {
            y += u[i * d + j] * (row[i] - mean[i]);
            size += std::abs(u[i * d + j] * row[i]);
            b += u[i * d + j] * mean[i];
        }
        const double e = step * (size + std::abs(b));
        error += 2 * std::abs(y) * e + e * e;
        q += y * y;
    }
    return 0.5 * (error + D * 0x1p-24 * q);
}

/// Covariances of this condition: the diagonals of U_k reach from 1 to its root, in another order for each component,
/// and what lies beside them follows.
gmm_parameters conditioned(const gmm_shape& s, double condition, double centre, std::uint64_t seed) {
    gmm_parameters p = test::random_parameters(s, 0.3, seed);
    const std::int64_t d = s.dimensions;
    const auto size = [&](std::int64_t k, std::int64_t i) {
        return std::pow(condition, 0.5 * static_cast<double>((7 * i + k) % d) / static_cast<double>(d));
    };
    for (std::int64_t k = 0; k < s.components; ++k)
        for (std::int64_t i = 0; i < d; ++i) {
            p.means[k * d + i] += centre * (1 + 0.1 * static_cast<double>(3 * i % 5));
            for (std::int64_t j = i; j < d; ++j)
                p.precision_cholesky[(k * d + i) * d + j] *= std::sqrt(size(k, i) * size(k, j));
        }
    return p;
}

/// Rows of the components in turn, float32: U_kᵀ (x − μ_k) are normal numbers.
std::vector<float> rows_of(const gmm_shape& s, const gmm_parameters& p, std::int64_t rows) {
    const std::int64_t d = s.dimensions;
    std::vector<float> x(rows * d);
    std::vector<double> z(d);
    for (std::int64_t n = 0; n < rows; ++n) {
        const std::int64_t k = n % s.components;
        const double* u = &p.precision_cholesky[k * d * d];
        for (std::int64_t j = 0; j < d; ++j) {
            double v = test::normal(99, n * d + j);
            for (std::int64_t i = 0; i < j; ++i)
                v -= u[i * d + j] * z[i];
            z[j] = v / u[j * d + j];
            x[n * d + j] = static_cast<float>(p.means[k * d + j] + z[j]);
        }
    }
    return x;
}

struct tensor_case {
    std::int64_t rows, d, K;
    double condition = 10, centre = 0;
};

struct tensor_problem {
    gmm_shape shape;
    std::int64_t rows;
    std::vector<float> x;
    std::vector<double> weights;
    std::unique_ptr<gmm_engine> engine;

    explicit tensor_problem(const tensor_case& c, std::int64_t blocks = 0)
        : shape{family::full, c.d, c.K}, rows(c.rows), weights(test::quarter_weights(c.rows)),
          engine(make_gmm_engine(context::cuda(), shape, element_type::float32)) {
        const gmm_parameters p = conditioned(shape, c.condition, c.centre, 21);
        x = rows_of(shape, p, rows);
        if (blocks > 0)
            base().set_grid(blocks);
        engine->reserve(rows, true);
        engine->load(input(0, rows), test::identity_frame(c.d), 0);
        engine->set_parameters(p);
        engine->clear_sums(0x1p40, 0x1p60);
    }
    cuda::cuda_engine_base& base() const { return dynamic_cast<cuda::cuda_engine_base&>(*engine); }
    input_rows input(std::int64_t first, std::int64_t count) const {
        return {matrix_view<const float>(&x[first * shape.dimensions], count, shape.dimensions),
                any_matrix_view(matrix_view<const double>(&weights[first], count, 1)), 1};
    }
};

bool supported() {
    return cuda::tensor_supported(*context::cuda().state().cuda);
}

// Roundings of a sum in units of 2⁻²⁴: 32 truncated steps of a chain, 2 each, 16 promotions, 16 for the weights of the
// exponential, 8 for the pieces of z.
constexpr test::arithmetic_form products{104, product_error};

void expect_sums(gmm_engine& engine, const test::bounded_sums& want) {
    const std::vector<double> got = engine.sums().values();
    for (std::size_t i = 0; i < got.size(); ++i)
        ASSERT_LE(std::abs(got[i] - want.values[i]), want.bounds[i] + 1e-15) << "sum " << i;
}

void check_sums(const tensor_case& c) {
    SCOPED_TRACE("N=" + std::to_string(c.rows) + " d=" + std::to_string(c.d) + " K=" + std::to_string(c.K) +
                 " condition " + std::to_string(c.condition) + " centre " + std::to_string(c.centre));
    const tensor_problem t(c);
    ASSERT_TRUE(t.base().has_tensor());
    t.engine->accumulate(0, c.rows);
    const auto want = test::reference_sums(t.shape, t.engine->parameters(), std::vector<double>(t.x.begin(), t.x.end()),
                                           t.weights, 0x1p-24, {}, products);
    expect_sums(*t.engine, want);
}

static_assert(cuda::suits_tensor({family::full, 25, 1}, 4) && cuda::suits_tensor({family::full, 128, 10000}, 4));
static_assert(cuda::suits_tensor({family::full, 16, 1000}, 4) && !cuda::suits_tensor({family::full, 16, 64}, 4));
static_assert(cuda::suits_tensor({family::full, 8, 10000}, 4) && !cuda::suits_tensor({family::full, 8, 600}, 4));
static_assert(!cuda::suits_tensor({family::full, 64, 9}, 8) && !cuda::suits_tensor({family::tied, 64, 9}, 4));

// The log-densities lie in the memory of the slab variant; no sum of a range is longer than a chain.
TEST(CudaTensor, PlansFitTheSlab) {
    for (std::int64_t d : {8, 25, 32, 33, 48, 64, 65, 96, 100, 128})
        for (std::int64_t K : {1, 4, 9, 100, 256, 1000, 10000, 1000000}) {
            const gmm_shape shape{family::full, d, K};
            const cuda::tensor_plan plan = cuda::plan_tensor(shape);
            EXPECT_LE(plan.units, cuda::slab_units(shape, 4)) << d << " " << K;
            EXPECT_LE(plan.range_panels * (d <= 32 ? 4 : 2), cuda::chain_rows);
            EXPECT_LT((plan.ranges - 1) * plan.range_panels, plan.panels);
            EXPECT_GE(plan.ranges * plan.range_panels, plan.panels);
        }
}

// At and beside the ends of tiles (16, 32, 128, 256), units, panels (4 and 8 components), blocks of moments (1, 4, 8)
// and of the dimensions that kernels are compiled for.
TEST(CudaTensor, SumsMatchReference) {
    if (!supported())
        GTEST_SKIP() << "built without 90a, or another device";
    for (const tensor_case& c : {tensor_case{1, 32, 1},
                                 {31, 25, 2},
                                 {129, 33, 5},
                                 {257, 64, 9},
                                 {127, 100, 3},
                                 {256, 31, 8},
                                 {4097, 64, 4},
                                 {255, 128, 1},
                                 {300, 128, 5},
                                 {129, 48, 70},
                                 {100, 49, 6},
                                 {130, 96, 4},
                                 {65, 97, 3},
                                 {129, 80, 5},
                                 {64, 113, 2},
                                 {33, 20, 1100}})
        check_sums(c);
}

TEST(CudaTensor, OffsetsAndConditions) {
    if (!supported())
        GTEST_SKIP() << "built without 90a, or another device";
    for (const tensor_case& c :
         {tensor_case{300, 32, 9, 1e4, 0}, {129, 64, 5, 10, 100}, {200, 64, 3, 1e6, 0}, {129, 128, 2, 1e4, 10}})
        check_sums(c);
}

// One row far away takes the powers of two of its own unit and component with it, those of no other.
TEST(CudaTensor, FarRows) {
    if (!supported())
        GTEST_SKIP() << "built without 90a, or another device";
    tensor_problem t({129, 40, 3});
    for (std::int64_t j = 0; j < t.shape.dimensions; ++j)
        t.x[3 * t.shape.dimensions + j] *= 1e4f;
    t.engine->load(t.input(0, t.rows), test::identity_frame(40), 0);
    t.engine->accumulate(0, t.rows);
    const auto want = test::reference_sums(t.shape, t.engine->parameters(), std::vector<double>(t.x.begin(), t.x.end()),
                                           t.weights, 0x1p-24, {}, products);
    expect_sums(*t.engine, want);
}

TEST(CudaTensor, DroppedComponents) {
    if (!supported())
        GTEST_SKIP() << "built without 90a, or another device";
    const tensor_problem t({257, 32, 6});
    gmm_parameters p = t.engine->parameters();
    p.log_weights[0] = p.log_weights[4] = -INFINITY;
    t.engine->set_parameters(p);
    t.engine->accumulate(0, t.rows);
    const auto want = test::reference_sums(t.shape, t.engine->parameters(), std::vector<double>(t.x.begin(), t.x.end()),
                                           t.weights, 0x1p-24, {}, products);
    expect_sums(*t.engine, want);
}

TEST(CudaTensor, Labels) {
    if (!supported())
        GTEST_SKIP() << "built without 90a, or another device";
    for (test::knowledge known : test::all_knowledge)
        for (bool dropped : {false, true}) {
            const test::labelled_rows data({{family::full, 33, 70}, 150, known, true, element_type::float32});
            SCOPED_TRACE(test::describe(data.c) + (dropped ? " dropped" : ""));
            const auto engine = make_gmm_engine(context::cuda(), data.c.shape, element_type::float32);
            ASSERT_TRUE(dynamic_cast<cuda::cuda_engine_base&>(*engine).has_tensor());
            test::load(*engine, data);
            gmm_parameters p = test::random_parameters(data.c.shape, 1.0, 21);
            if (dropped)
                p.log_weights[0] = p.log_weights[2] = -INFINITY;
            engine->set_parameters(p);
            engine->clear_sums(0x1p40, 0x1p60);
            engine->accumulate(0, data.c.rows);
            expect_sums(*engine, test::reference_sums(data.c.shape, engine->parameters(), data.x64, data.weights,
                                                      0x1p-24, data.known(), products));
        }
}

TEST(CudaTensor, GridAndBatchesChangeNoBit) {
    if (!supported())
        GTEST_SKIP() << "built without 90a, or another device";
    const tensor_case c{unit_rows + 300, 32, 17};
    const tensor_problem t(c);
    t.engine->accumulate(0, c.rows);
    const auto whole = test::carried(t.engine->sums());
    for (std::int64_t blocks : {1, 8, 1000}) {
        const tensor_problem other(c, blocks);
        other.engine->accumulate(0, c.rows);
        EXPECT_EQ(test::carried(other.engine->sums()), whole) << blocks;
    }
    t.engine->clear_sums(0x1p40, 0x1p60);
    for (std::int64_t first = 0; first < c.rows; first += unit_rows) {
        const std::int64_t count = std::min(unit_rows, c.rows - first);
        t.engine->load(t.input(first, count), test::identity_frame(c.d), 0);
        t.engine->accumulate(0, count);
    }
    EXPECT_EQ(test::carried(t.engine->sums()), whole);
}

// From raw rows with offsets and scales to a model: eight iterations, a record of each.
TEST(CudaTensor, FitsAsTheReferenceDoes) {
    if (!supported())
        GTEST_SKIP() << "built without 90a, or another device";
    const std::int64_t rows = 700, d = 33;
    std::vector<float> x = test::as<float>(test::clustered(rows, d, 3, 1.5, 77));
    for (std::int64_t i = 0; i < rows * d; ++i)
        x[i] = 1e3f + x[i] * static_cast<float>(1 + i % d);
    const data_source data = matrix_view<const float>(x.data(), rows, d);
    gmm::fit_options options;
    options.components = 3;
    options.max_iterations = 8;
    options.tolerance = 0;
    const gmm::fit_result want = fit(context::reference(), data, options), got = fit(context::cuda(), data, options);
    ASSERT_EQ(got.trace.size(), want.trace.size());
    // Σ |y_j| e_j of a row: 33 |y_j| of 1, e_j = 1.2e-6 (Σ |U_ij| |x̃_i| + |b_j|) with sums of 10 in the frame.
    constexpr double tolerance = 4e-4;
    for (std::size_t i = 0; i < want.trace.size(); ++i)
        EXPECT_NEAR(got.trace[i].log_likelihood, want.trace[i].log_likelihood, tolerance) << "iteration " << i;
    EXPECT_NEAR(got.log_likelihood, want.log_likelihood, tolerance);
}

/// Copies to device memory.
template <class T>
cuda::device_buffer<T> uploaded(const cuda::state_pointer& state, const std::vector<T>& from) {
    cuda::device_buffer<T> to(state, "test", static_cast<std::int64_t>(from.size()));
    cuda::check(cudaMemcpyAsync(to.data(), from.data(), from.size() * sizeof(T), cudaMemcpyDefault, state->stream),
                "cudaMemcpyAsync");
    return to;
}

template <class T>
std::vector<T> downloaded(const cuda::state_pointer& state, const T* from, std::int64_t count) {
    std::vector<T> to(count);
    cuda::check(cudaMemcpyAsync(to.data(), from, count * sizeof(T), cudaMemcpyDefault, state->stream),
                "cudaMemcpyAsync");
    internal::wait_for(*state);
    return to;
}

/// Log-densities of a case pair by pair; the largest share of the bound.
double check_densities(const tensor_case& c) {
    const context ctx = context::cuda();
    const cuda::state_pointer state = ctx.state().cuda;
    const gmm_shape shape{family::full, c.d, c.K};
    const std::int64_t d = c.d, padded = cuda::padded(d), slab = cuda::plan_tensor(shape).units * unit_rows;
    gmm_parameters p = conditioned(shape, c.condition, c.centre, 5);
    std::vector<float> means(c.K * padded), factors(c.K * padded * padded), offsets(c.K), x(c.rows * padded);
    for (std::int64_t k = 0; k < c.K; ++k) {
        offsets[k] = static_cast<float>(-k % 7);
        for (std::int64_t i = 0; i < d; ++i) {
            p.means[k * d + i] = means[k * padded + i] = static_cast<float>(p.means[k * d + i]);
            for (std::int64_t j = i; j < d; ++j) {
                double& u = p.precision_cholesky[(k * d + i) * d + j];
                u = factors[(k * padded + i) * padded + j] = static_cast<float>(u);
            }
        }
    }
    const std::vector<float> rows = rows_of(shape, p, c.rows);
    for (std::int64_t n = 0; n < c.rows; ++n)
        std::copy_n(&rows[n * d], d, &x[n * padded]);
    const auto device_means = uploaded(state, means), device_factors = uploaded(state, factors);
    const auto device_offsets = uploaded(state, offsets), device_x = uploaded(state, x);
    const auto reference = uploaded(state, std::vector<double>(1, 0.0));
    const auto limbs = uploaded(state, std::vector<std::int64_t>(limb_count * sum_count(shape), 0));
    cuda::device_model<float> model{};
    model.means = device_means.data(), model.factors = device_factors.data();
    model.offsets = device_offsets.data(), model.reference = reference.data();
    const cuda::tensor_memory memory(state, shape);
    const cuda::device_buffer<float> densities(state, "test", c.K * slab);
    cuda::accumulate_tensor(*state, shape, model, {device_x.data(), nullptr, padded, c.rows}, memory.view(),
                            densities.data(), {limbs.data(), sum_count(shape), -60, -60}, 8);
    double worst = 0;
    for (std::int64_t k = 0; k < c.K; ++k) {
        const std::vector<float> got = downloaded(state, densities.data() + k * slab, c.rows);
        for (std::int64_t n = 0; n < c.rows; ++n) {
            const std::vector<double> row(&rows[n * d], &rows[n * d] + d);
            const double q = reference::mahalanobis_squared(shape, p, k, row.data());
            const double lp = static_cast<double>(offsets[k]) - 0.5 * std::numbers::log2e * q;
            // and the roundings of two multiply-adds
            const double bound = product_error(shape, p, k, row.data()) * std::numbers::log2e +
                                 0x1p-23 * (std::abs(static_cast<double>(offsets[k])) + std::abs(lp));
            const double share = std::abs(static_cast<double>(got[n]) - lp) / bound;
            worst = share <= worst ? worst : share; // a NaN stays
        }
    }
    return worst;
}

TEST(CudaTensor, DensitiesWithinTheBound) {
    if (!supported())
        GTEST_SKIP() << "built without 90a, or another device";
    for (const tensor_case& c : {tensor_case{130, 32, 17, 1e4, 0},
                                 {130, 27, 9, 10, 100},
                                 {130, 45, 6, 10, 0},
                                 {130, 64, 6, 10, 0},
                                 {130, 75, 5, 1e4, 0},
                                 {130, 96, 5, 1e4, 0},
                                 {130, 112, 5, 10, 1},
                                 {130, 64, 5, 1e6, 100},
                                 {130, 128, 3, 1e4, 10},
                                 {130, 65, 3, 10, 1e5}}) {
        const double share = check_densities(c);
        EXPECT_LE(share, 1) << "d=" << c.d << " K=" << c.K;
        std::printf("d %lld condition %.0e centre %.0e: %.3f of the bound\n", static_cast<long long>(c.d), c.condition,
                    c.centre, share);
    }
}

} // namespace
} // namespace elbo
