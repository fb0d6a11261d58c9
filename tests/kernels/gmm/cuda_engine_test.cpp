// What only the CUDA engine has: grids, memory spaces, memory accounts. Its results against the reference are checked
// with those of the other back ends (backends_engine_test.cpp), and here for the shapes of the slab variant.
#include "elbo/error.hpp"
#include "kernels/cuda/core/device_buffer.hpp"
#include "kernels/cuda/gmm/engine.hpp"
#include "tests/support/data.hpp"
#include "tests/support/gmm/bounds.hpp"
#include "tests/support/gmm/cases.hpp"

#include <gtest/gtest.h>

namespace elbo {
namespace {

using namespace kernels;
using gmm::family;

/// float32 rows with weights.
struct rows_of {
    std::vector<float> x;
    std::vector<double> weights;
    std::int64_t rows, d;
    rows_of(std::int64_t n, std::int64_t dimensions)
        : x(test::as<float>(test::clustered(n, dimensions, 3, 1.0, 11))), weights(test::quarter_weights(n)), rows(n),
          d(dimensions) {}
    input_rows input() const {
        return {matrix_view<const float>(x.data(), rows, d),
                any_matrix_view(matrix_view<const double>(weights.data(), rows, 1)), 1};
    }
};

std::vector<std::int64_t> sums_with_grid(const gmm_shape& shape, element_type type, const rows_of& data,
                                         std::int64_t blocks) {
    const auto engine = make_gmm_engine(context::cuda(), shape, type);
    if (blocks > 0)
        dynamic_cast<cuda::cuda_engine_base&>(*engine).set_grid(blocks);
    engine->reserve(data.rows, true);
    engine->load(data.input(), test::identity_frame(data.d), 0);
    engine->set_parameters(test::random_parameters(shape, 1.0, 21));
    engine->clear_sums(0x1p40, 0x1p60);
    engine->accumulate(0, data.rows);
    return engine->sums().limbs;
}

TEST(CudaEngine, GridChangesNoBit) {
    const rows_of data(8200, 2); // nine chunks of 1024 rows: 1, 7 and 132 blocks share them differently
    for (family f : test::all_families)
        for (element_type type : {element_type::float32, element_type::float64}) {
            const gmm_shape shape{f, 2, 3};
            const auto one = sums_with_grid(shape, type, data, 1);
            EXPECT_EQ(sums_with_grid(shape, type, data, 7), one) << gmm::to_string(f);
            EXPECT_EQ(sums_with_grid(shape, type, data, 132), one) << gmm::to_string(f);
            EXPECT_EQ(sums_with_grid(shape, type, data, 0), one) << gmm::to_string(f);
        }
}

TEST(CudaEngine, GridOfClustersChangesNoBit) {
    const std::int64_t d = 5, rows = 8200; // three chunks of 4096
    const rows_of data(rows, d);
    for (const auto& [f, K] : {std::pair{family::diagonal, 300}, {family::spherical, 300}}) {
        const gmm_shape shape{f, d, K};
        const cuda::fused_shape fused = cuda::shape_fused(shape, 4);
        ASSERT_GT(fused.ranks, 1);
        ASSERT_EQ(fused.chunk_rows, 4096);
        const auto one = sums_with_grid(shape, element_type::float32, data, 1); // rounded up to a cluster
        EXPECT_EQ(sums_with_grid(shape, element_type::float32, data, 2 * fused.ranks + 1), one) << gmm::to_string(f);
        EXPECT_EQ(sums_with_grid(shape, element_type::float32, data, 0), one) << gmm::to_string(f);
    }
}

/// Copies a matrix to device or pinned memory for the time of a test.
template <class T, template <class> class Buffer>
any_matrix_view placed(const Buffer<T>& memory, const std::vector<T>& from, std::int64_t rows, std::int64_t cols,
                       std::int64_t stride, memory_space space) {
    cuda::check(cudaMemcpy2D(memory.data(), stride * sizeof(T), from.data(), cols * sizeof(T), cols * sizeof(T), rows,
                             cudaMemcpyDefault),
                "cudaMemcpy2D");
    return matrix_view<const T>(memory.data(), rows, cols, stride, space);
}

TEST(CudaEngine, HostPinnedAndDeviceRowsGiveTheSameBits) {
    const context ctx = context::cuda();
    const std::int64_t rows = 4097, d = 3, stride = 5;
    const rows_of data(rows, d);
    const gmm_shape shape{family::full, d, 2};
    const cuda::device_buffer<float> on_device(ctx.state().cuda, "test", rows * stride);
    const cuda::device_buffer<double> device_weights(ctx.state().cuda, "test", rows);
    const cuda::pinned_buffer<float> pinned(*ctx.state().cuda, "test", rows * stride);
    ctx.wait();
    std::vector<input_rows> inputs(3, data.input());
    inputs[1].x = placed(on_device, data.x, rows, d, stride, memory_space::device);
    inputs[1].weights = placed(device_weights, data.weights, rows, 1, 1, memory_space::device);
    inputs[2].x = placed(pinned, data.x, rows, d, stride, memory_space::pinned);
    std::vector<std::vector<std::int64_t>> sums;
    std::vector<std::vector<double>> means;
    for (const input_rows& in : inputs) {
        const auto engine = make_gmm_engine(ctx, shape, element_type::float32);
        engine->reserve(rows, true);
        engine->load(in, {{0.5, -1, 0}, {2, 0.25, 1}}, 0);
        engine->set_parameters(test::random_parameters(shape, 1.0, 21));
        engine->clear_sums(0x1p40, 0x1p60);
        engine->accumulate(0, rows);
        sums.push_back(engine->sums().limbs);
        unit_summaries units;
        EXPECT_EQ(engine->summarize(in, units), -1);
        ASSERT_EQ(units.size(), 2);
        means.emplace_back(units[1].mean.begin(), units[1].mean.end());
        EXPECT_EQ(units[1].positive, 1);
    }
    EXPECT_EQ(sums[1], sums[0]);
    EXPECT_EQ(sums[2], sums[0]);
    EXPECT_EQ(means[1], means[0]);
    EXPECT_EQ(means[2], means[0]);
}

struct reference_case {
    cuda::e_step_variant variant; ///< that runs it in float32
    family f;
    std::int64_t rows, d, K;
};

void check_sums(const reference_case& c, element_type type, bool clusters = true) {
    SCOPED_TRACE(std::string(gmm::to_string(c.f)) + " N=" + std::to_string(c.rows) + " d=" + std::to_string(c.d) +
                 " K=" + std::to_string(c.K) + (type == element_type::float32 ? " float32" : " float64"));
    const gmm_shape shape{c.f, c.d, c.K};
    if (type == element_type::float32) {
        ASSERT_EQ(cuda::choose_variant(shape, 4), c.variant);
    }
    const rows_of data(c.rows, c.d);
    const auto engine = make_gmm_engine(context::cuda(), shape, type);
    dynamic_cast<cuda::cuda_engine_base&>(*engine).leave_tensor(); // cuda_tensor_test.cpp
    if (!clusters)
        dynamic_cast<cuda::cuda_engine_base&>(*engine).leave_clusters();
    engine->reserve(c.rows, true);
    engine->load(data.input(), test::identity_frame(c.d), 0);
    engine->set_parameters(test::random_parameters(shape, 1.0, 21));
    engine->clear_sums(0x1p40, 0x1p60);
    engine->accumulate(0, c.rows);
    const auto want =
        test::reference_sums(shape, engine->parameters(), std::vector<double>(data.x.begin(), data.x.end()),
                             data.weights, type == element_type::float32 ? 0x1p-24 : 0x1p-53);
    const std::vector<double> got = engine->sums().values();
    for (std::size_t i = 0; i < got.size(); ++i)
        ASSERT_LE(std::abs(got[i] - want.values[i]), want.bounds[i] + 1e-15) << "sum " << i;
}

// At and beside the ends of chains (64), tiles (64 to 256), chunks (1024, 4096) and units (4096) of rows, of quads of
// dimensions and of the component counts that kernels are compiled for.
TEST(CudaEngine, SumsMatchReferenceAtTheEdges) {
    using enum cuda::e_step_variant;
    const reference_case cases[] = {
        {registers, family::full, 4095, 2, 8},
        {registers, family::full, 4096, 1, 1},
        {registers, family::full, 4097, 3, 7},
        {registers, family::full, 8200, 4, 5},
        {registers, family::diagonal, 257, 4, 8},
        {registers, family::spherical, 4097, 3, 2},
        {fused, family::tied, 4097, 5, 2},
        {fused, family::full, 1025, 5, 3},
        {fused, family::full, 63, 8, 33},
        {fused, family::full, 257, 17, 7},
        {fused, family::diagonal, 4097, 2, 33},
        {fused, family::spherical, 1023, 33, 7},
        {fused, family::tied_diagonal, 255, 64, 9},
        {fused, family::full, 129, 64, 2},
        {fused, family::tied_spherical, 4095, 1, 9},
        {fused, family::full, 65, 129, 1},
        {fused, family::full, 65, 33, 60}, // from here on a cluster of 2 to 8 blocks
        {fused, family::diagonal, 4097, 1, 800},
        {fused, family::diagonal, 33, 129, 200},
        {fused, family::spherical, 65, 31, 700},
        {fused, family::spherical, 33, 128, 1024},
        {fused, family::tied_diagonal, 129, 64, 515},
        {fused, family::tied, 31, 64, 900},
        {fused, family::diagonal, 17, 784, 10}, // one block again: long rows, small tiles
        {slab, family::full, 65, 33, 600},
        {slab, family::diagonal, 33, 1, 20000},
        {slab, family::diagonal, 33, 129, 1200},
        {fused, family::spherical, 63, 900, 40},
        {slab, family::spherical, 63, 1200, 40}, // rows too long for shared memory
        {slab, family::tied, 31, 64, 9000},
        {slab, family::full, 9, 513, 2},
        {slab, family::full, 1, 900, 1},
    };
    for (const reference_case& c : cases)
        for (element_type type : {element_type::float32, element_type::float64})
            check_sums(c, type);
}

TEST(CudaEngine, ShapesOfClustersRunWithoutThem) {
    for (family f : {family::full, family::diagonal, family::tied}) {
        const reference_case c{cuda::e_step_variant::fused, f, 65, 24, f == family::full ? 100 : 600};
        ASSERT_GT(cuda::shape_fused({f, c.d, c.K}, 4).ranks, 1);
        check_sums(c, element_type::float32, false);
    }
}

TEST(CudaEngine, ParametersComeBackRounded) {
    for (family f : test::all_families) {
        const gmm_shape shape{f, 5, 3};
        const gmm_parameters p = test::random_parameters(shape, 1.0, 2);
        const auto exact = make_gmm_engine(context::cuda(), shape, element_type::float64);
        exact->set_parameters(p);
        const gmm_parameters same = exact->parameters();
        EXPECT_EQ(same.means, p.means);
        EXPECT_EQ(same.precision_cholesky, p.precision_cholesky) << gmm::to_string(f);
        EXPECT_EQ(same.log_weights, p.log_weights);
        const auto rounded = make_gmm_engine(context::cuda(), shape, element_type::float32);
        rounded->set_parameters(p);
        const gmm_parameters q = rounded->parameters();
        for (std::size_t i = 0; i < p.precision_cholesky.size(); ++i)
            EXPECT_EQ(q.precision_cholesky[i], static_cast<float>(p.precision_cholesky[i]));
    }
}

/// Two engines with the same sums; the outcomes and the next parameters must agree.
void expect_same_update(family f, const std::vector<double>& x, gmm_parameters p, std::int64_t d, double lambda,
                        gmm::collapse_policy policy) {
    SCOPED_TRACE(gmm::to_string(f));
    const std::int64_t rows = static_cast<std::int64_t>(x.size()) / d;
    const gmm_shape shape{f, d, static_cast<std::int64_t>(p.log_weights.size())};
    const auto device = make_gmm_engine(context::cuda(), shape, element_type::float64);
    const auto reference = make_gmm_engine(context::reference(), shape, element_type::float64);
    update_rule rule;
    rule.total_weight = static_cast<double>(rows);
    rule.lambda.assign(d, lambda);
    rule.on_collapse = policy;
    for (gmm_engine* e : {device.get(), reference.get()}) {
        e->reserve(rows, false);
        e->load({matrix_view<const double>(x.data(), rows, d), {}, 1}, test::identity_frame(d), 0);
        e->set_parameters(p);
        e->clear_sums(0x1p40, 0x1p60);
    }
    if (gmm::is_tied(f)) {
        fixed_sums scatter(scatter_size(shape), 0x1p40);
        reference->accumulate_scatter(0, rows, scatter);
        rule.scatter = scatter.values();
    }
    reference->accumulate(0, rows);
    device->set_sums(reference->sums());
    const update_outcome got = device->update(rule), want = reference->update(rule);
    ASSERT_EQ(got.events.size(), want.events.size());
    for (std::size_t i = 0; i < got.events.size(); ++i) {
        EXPECT_EQ(got.events[i].component, want.events[i].component);
        EXPECT_EQ(got.events[i].what, want.events[i].what);
        EXPECT_EQ(got.events[i].action, want.events[i].action);
    }
    // Both sum in float64 in different orders: the terms of the bound are of the size of N log p.
    EXPECT_NEAR(got.elbo_after, want.elbo_after, 1e-11 * (std::abs(want.elbo_after) + 100));
    if (policy == gmm::collapse_policy::fail)
        return;
    device->adopt();
    reference->adopt();
    const gmm_parameters a = device->parameters(), b = reference->parameters();
    EXPECT_EQ(std::isinf(a.log_weights[0]), std::isinf(b.log_weights[0]));
    for (std::int64_t k = 0; k < shape.components; ++k) {
        if (std::isinf(b.log_weights[k]))
            continue;
        EXPECT_NEAR(a.log_weights[k], b.log_weights[k], 1e-12);
        for (std::int64_t j = 0; j < d; ++j)
            EXPECT_NEAR(a.means[k * d + j], b.means[k * d + j], 1e-12 * (1 + std::abs(b.means[k * d + j])));
        const std::int64_t size = geometry(f).stride(d);
        // A floor of 2^-20 of the trace: conditions up to 2^20, so relative errors up to 2^-53 · 2^20 · d.
        for (std::int64_t i = k * size; i < (k + 1) * size; ++i)
            EXPECT_NEAR(a.precision_cholesky[i], b.precision_cholesky[i],
                        1e-9 * (1 + std::abs(b.precision_cholesky[i])));
    }
}

TEST(CudaEngine, CollapseMatchesReference) {
    const std::int64_t d = 3;
    std::vector<double> healthy = test::clustered(200, d, 2, 3.0, 5);
    std::vector<double> flat = healthy; // no variance in the last dimension
    for (std::size_t i = d - 1; i < flat.size(); i += d)
        flat[i] = 0.5;
    const std::vector<double> one_point(40 * d, 1.25);
    for (auto policy : {gmm::collapse_policy::reseed, gmm::collapse_policy::drop, gmm::collapse_policy::fail})
        for (family f : test::all_families) {
            gmm_parameters p = test::random_parameters({f, d, 3}, 1.0, 4);
            expect_same_update(f, healthy, p, d, 0, policy);
            expect_same_update(f, flat, p, d, 0, policy);    // full, diagonal, tied: nothing healthy is left
            expect_same_update(f, flat, p, d, 1e-3, policy); // λ keeps them healthy
            gmm_parameters on_point = p;                     // variances of exactly zero, not of rounding noise
            on_point.means.assign(on_point.means.size(), one_point[0]);
            if (!gmm::is_tied(f)) // whose variance is a difference of sums of rounded counts
                expect_same_update(f, one_point, on_point, d, 0, policy);
            for (std::int64_t j = 0; j < d; ++j)
                p.means[d + j] = 1e4; // component 1 is empty
            expect_same_update(f, healthy, p, d, 0, policy);
            p.log_weights[1] = -INFINITY; // component 1 was dropped before
            expect_same_update(f, healthy, p, d, 0, policy);
        }
}

TEST(CudaEngine, LargeMatricesAreFactoredInDeviceMemory) {
    const std::int64_t d = 133; // above factor_in_shared
    for (family f : {family::full, family::tied})
        expect_same_update(f, test::clustered(300, d, 1, 0, 5), test::random_parameters({f, d, 1}, 0.1, 4), d, 1e-3,
                           gmm::collapse_policy::reseed);
}

TEST(CudaEngine, BytesNeededAreWhatIsAllocated) {
    for (const gmm_shape& shape :
         {gmm_shape{family::full, 3, 5}, gmm_shape{family::full, 40, 9}, gmm_shape{family::tied, 130, 7}}) {
        const context ctx = context::cuda();
        const auto used = [&] {
            cudaMemPool_t pool{};
            std::uint64_t bytes = 0;
            ctx.wait();
            cuda::check(cudaDeviceGetDefaultMemPool(&pool, ctx.device()), "cudaDeviceGetDefaultMemPool");
            cuda::check(cudaMemPoolGetAttribute(pool, cudaMemPoolAttrUsedMemCurrent, &bytes),
                        "cudaMemPoolGetAttribute");
            return static_cast<std::int64_t>(bytes);
        };
        const std::int64_t before = used();
        const auto engine = make_gmm_engine(ctx, shape, element_type::float32);
        engine->reserve(1000, true);
        engine->clear_sums(1, 1); // what training needs is taken when it begins
        // The pool may round each of some twenty allocations up.
        EXPECT_GE(used() - before, engine->bytes_needed(1000, true));
        EXPECT_LE(used() - before, engine->bytes_needed(1000, true) + 20 * 512);
    }
}

TEST(CudaEngine, TooManyRowsAreRefusedWithNumbers) {
    const auto engine = make_gmm_engine(context::cuda(), {family::full, 2, 2}, element_type::float32);
    const std::int64_t rows = std::int64_t(1) << 44;
    try {
        engine->reserve(rows, false);
        FAIL() << "expected out_of_memory";
    } catch (const out_of_memory& e) {
        EXPECT_EQ(e.wanted, static_cast<std::uint64_t>(rows) * 8);
        EXPECT_GT(e.free, 0u);
        EXPECT_NE(std::string(e.what()).find("normalised rows"), std::string::npos) << e.what();
    }
    engine->reserve(10, false); // still usable
}

TEST(CudaContext, ReportsMissingDevices) {
    EXPECT_THROW(context::cuda(1000), not_available);
    EXPECT_THROW(context::cuda(-1), invalid_argument);
    const device_list all = devices();
    EXPECT_EQ(all.cuda_status, "available");
    ASSERT_GE(all.devices.size(), 2u);
    EXPECT_EQ(all.devices[1].where, backend::cuda);
    EXPECT_GT(all.devices[1].total_bytes, 0);
}

} // namespace
} // namespace elbo
