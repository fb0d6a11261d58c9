// Log-densities of the tensor variant pair by pair against float64, with the bounds of density.cuh and wide_density.cuh
// in kernels/cuda/gmm/tensor.
#include "kernels/cuda/gmm/tensor/layout.hpp"
#include "kernels/cuda/gmm/tensor/tensor.hpp"
#include "kernels/reference/gmm/engine.hpp"
#include "tests/support/gmm/tensor_problem.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <cstdio>
#include <numbers>

namespace elbo {
namespace {

using namespace kernels;
using gmm::family;

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
double check_densities(const test::tensor_case& c) {
    const context ctx = context::cuda();
    const cuda::state_pointer state = ctx.state().cuda;
    const gmm_shape shape{family::full, c.d, c.K};
    const std::int64_t d = c.d, padded = cuda::padded(d), slab = cuda::plan_tensor(shape).units * unit_rows;
    gmm_parameters p = test::conditioned(shape, c.condition, c.centre, 5);
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
    const std::vector<float> rows = test::rows_of(shape, p, c.rows);
    for (std::int64_t n = 0; n < c.rows; ++n)
        std::copy_n(&rows[n * d], d, &x[n * padded]);
    const auto device_means = uploaded(state, means), device_factors = uploaded(state, factors);
    const auto device_offsets = uploaded(state, offsets), device_x = uploaded(state, x);
    const auto reference = uploaded(state, std::vector<double>(1, 0.0));
    cuda::device_model<float> model{};
    model.means = device_means.data(), model.factors = device_factors.data();
    model.offsets = device_offsets.data(), model.reference = reference.data();
    const cuda::tensor_memory memory(state, shape);
    const cuda::device_buffer<float> densities(state, "test", c.K * slab);
    cuda::write_tensor_panels(*state, shape, model, memory.view());
    cuda::tensor_densities(*state, shape, model, {device_x.data(), nullptr, padded, c.rows}, memory.view(),
                           densities.data(), 8);
    double worst = 0;
    for (std::int64_t k = 0; k < c.K; ++k) {
        const std::vector<float> got = downloaded(state, densities.data() + k * slab, c.rows);
        for (std::int64_t n = 0; n < c.rows; ++n) {
            const std::vector<double> row(&rows[n * d], &rows[n * d] + d);
            const double q = reference::mahalanobis_squared(shape, p, k, row.data());
            const double lp = static_cast<double>(offsets[k]) - 0.5 * std::numbers::log2e * q;
            // and the roundings of two multiply-adds
            const double bound = test::product_error(shape, p, k, row.data()) * std::numbers::log2e +
                                 0x1p-23 * (std::abs(static_cast<double>(offsets[k])) + std::abs(lp));
            const double share = std::abs(static_cast<double>(got[n]) - lp) / bound;
            worst = share <= worst ? worst : share; // a NaN stays
        }
    }
    return worst;
}

TEST(CudaTensor, DensitiesWithinTheBound) {
    if (!test::tensor_supported())
        GTEST_SKIP() << "built without 90a, or another device";
    for (const test::tensor_case& c : {test::tensor_case{130, 32, 17, 1e4, 0},
                                       {130, 27, 9, 10, 100},
                                       {130, 45, 6, 10, 0},
                                       {130, 64, 6, 10, 0},
                                       {130, 75, 5, 1e4, 0},
                                       {130, 96, 5, 1e4, 0},
                                       {130, 112, 5, 10, 1},
                                       {130, 64, 5, 1e6, 100},
                                       {130, 128, 3, 1e4, 10},
                                       {130, 65, 3, 10, 1e5},
                                       {130, 129, 3, 10, 0},
                                       {130, 192, 3, 1e4, 1},
                                       {257, 300, 2, 1e6, 10},
                                       {60, 512, 2, 10, 1e3}}) {
        const double share = check_densities(c);
        EXPECT_LE(share, 1) << "d=" << c.d << " K=" << c.K;
        std::printf("d %lld condition %.0e centre %.0e: %.3f of the bound\n", static_cast<long long>(c.d), c.condition,
                    c.centre, share);
    }
}

} // namespace
} // namespace elbo
