// What a test sees of the memory that work takes on a device.
#pragma once

#include "elbo/context.hpp"
#include "kernels/cuda/core/check.hpp"

#include <cstdint>

#include <cuda_runtime.h>

namespace elbo::test {

/// Bytes of the default pool in use at most while `action` runs, less those in use before.
template <class Action>
std::int64_t peak_of(const context& ctx, const Action& action) {
    using kernels::cuda::check;
    cudaMemPool_t pool{};
    std::uint64_t before = 0, zero = 0, highest = 0;
    ctx.wait();
    check(cudaDeviceGetDefaultMemPool(&pool, ctx.device()), "cudaDeviceGetDefaultMemPool");
    check(cudaMemPoolGetAttribute(pool, cudaMemPoolAttrUsedMemCurrent, &before), "cudaMemPoolGetAttribute");
    check(cudaMemPoolSetAttribute(pool, cudaMemPoolAttrUsedMemHigh, &zero), "cudaMemPoolSetAttribute");
    action();
    check(cudaMemPoolGetAttribute(pool, cudaMemPoolAttrUsedMemHigh, &highest), "cudaMemPoolGetAttribute");
    return static_cast<std::int64_t>(highest - before);
}

/// The pool of a device may round each of some fifty allocations up.
inline constexpr std::int64_t pool_rounding = 50 * 512;

} // namespace elbo::test
