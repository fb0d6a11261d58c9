// Resident rows: the row at a position of a step, and its values as they are wanted, four at a time.
#pragma once

#include "kernels/cuda/vae/views.hpp"
#include "kernels/math/vae_storage.hpp"

namespace elbo::kernels::cuda {

/// Slot of row n of the step.
__device__ inline std::int64_t slot_of(const step_pointer& step, std::int64_t n) {
    const auto position = static_cast<std::uint64_t>(step.first() + n);
    return static_cast<std::int64_t>(step.plan->order.rows == 0 ? position : shuffled(step.plan->order, position));
}

/// Values k ... k + 3 of a row, 0 beyond its end; k is a multiple of 4.
__device__ inline float4 stored_values(const row_source& source, std::int64_t slot, std::int64_t k) {
    const std::int64_t at = slot * source.stride;
    switch (source.form) {
    case row_storage::bits: {
        const std::uint32_t word = static_cast<const std::uint32_t*>(source.data)[at + k / 32] >> (k % 32);
        return {static_cast<float>(word & 1), static_cast<float>(word >> 1 & 1), static_cast<float>(word >> 2 & 1),
                static_cast<float>(word >> 3 & 1)};
    }
    case row_storage::bytes: {
        const uchar4 v = *reinterpret_cast<const uchar4*>(static_cast<const unsigned char*>(source.data) + at + k);
        return {byte_value(v.x), byte_value(v.y), byte_value(v.z), byte_value(v.w)};
    }
    default:
        return *reinterpret_cast<const float4*>(static_cast<const float*>(source.data) + at + k);
    }
}

/// The same, drawn as bits where the plan asks for it; `number` of the row is for the noise.
__device__ inline float4 step_values(const slice_plan& plan, std::int64_t slot, std::uint64_t number, std::int64_t k) {
    const float4 v = stored_values(plan.source, slot, k);
    if (!plan.binarize)
        return v;
    const philox_block words = noise_words(plan.binarization, number, 0, static_cast<std::uint32_t>(k / 4));
    const auto drawn = [](std::uint32_t word, float value) { return binarized(word, value) ? 1.0f : 0.0f; };
    return {drawn(words.word[0], v.x), drawn(words.word[1], v.y), drawn(words.word[2], v.z), drawn(words.word[3], v.w)};
}

} // namespace elbo::kernels::cuda
