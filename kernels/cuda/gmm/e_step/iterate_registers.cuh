// The update of a block that iterates alone (accumulate_registers.cu): its memory, the model from the sums, and the end
// of an iteration beside the next E-step.
#pragma once

#include "kernels/cuda/gmm/e_step/register_rows.cuh"
#include "kernels/cuda/gmm/m_step/own_families.cuh"
#include "kernels/cuda/gmm/m_step/parameter_set.hpp"

namespace elbo::kernels::cuda {

/// Threads with rows, and a warp without.
inline constexpr int iteration_threads = register_threads + 32;

/// What a block that iterates alone has in dynamic shared memory: arguments, sums, matrices of its warps, arrays.
struct iteration_memory {
    static constexpr std::int64_t argument_doubles = (sizeof(update_arguments<float>) + 7) / 8;
    update_arguments<float>* arguments;
    std::int64_t* limbs;
    double* values; ///< of the limbs
    double* matrices;
    unsigned char* arrays;

    __device__ iteration_memory(double* shared, std::int64_t sums, const gmm_shape& shape)
        : arguments(reinterpret_cast<update_arguments<float>*>(shared)),
          limbs(reinterpret_cast<std::int64_t*>(shared + argument_doubles)),
          values(shared + argument_doubles + limb_count * sums), matrices(values + sums),
          arrays(reinterpret_cast<unsigned char*>(matrices + warp_team::count() * matrix_doubles(shape))) {}
    static std::int64_t bytes(std::int64_t sums, const gmm_shape& shape) {
        constexpr std::int64_t teams = iteration_threads / 32;
        return 8 * (argument_doubles + (limb_count + 1) * sums + teams * matrix_doubles(shape)) +
               update_memory::bytes(shape);
    }
};

/// The update by this block alone, to the model as the next E-step reads it; returns its actions. Not inlined: it is
/// the same for any room for components. Family and dimensions are known when it is compiled: of an update of few
/// components half the instructions would be addresses.
template <family F, int D>
__device__ __noinline__ std::int64_t update_alone(double* shared) {
    __shared__ std::int64_t actions;
    update_arguments<float> a = *reinterpret_cast<const update_arguments<float>*>(shared);
    a.shape.family = F;
    a.shape.dimensions = D;
    __builtin_assume(a.sums.values != nullptr);
    const warp_team team;
    double* own = iteration_memory(shared, a.sums.count, a.shape).matrices + team.index() * matrix_doubles(a.shape);
    if (team.index() == team.count() - 1)
        weigh_ahead(team, a); // the warp that has a component last, or none
    for (std::int64_t k = team.index(); k < a.shape.components; k += team.count())
        finish_component(team, a, k, own);
    __syncthreads();
    if (team.index() == 0) {
        const std::int64_t taken = complete_model(team, a, true, own);
        if (team.rank() == 0)
            actions = taken;
    }
    __syncthreads();
    return actions;
}

/// Record and end of an iteration with these actions, by a warp; whether the loop goes on.
__device__ inline __noinline__ bool end_alone(const double* shared, std::int64_t actions) {
    const auto& a = *reinterpret_cast<const update_arguments<float>*>(shared);
    const warp_team team;
    const recalled_state before = recall(a.loop);
    const update_record record = sum_up(team, a, actions);
    return team.any(team.rank() == 0 && end_iteration(a, before, record));
}

/// The sums as numbers, once for all who read them; the limbs are zero afterwards.
__device__ inline void read_sums(std::int64_t* limbs, const device_sums& sums, double* values) {
    for (std::int64_t i = threadIdx.x; i < sums.count; i += iteration_threads) {
        const bool scalar = i >= sums.count - scalar_count;
        values[i] = join_fixed(limbs, sums.count, i, scalar ? sums.scalar_exponent : sums.component_exponent);
        clear_sum(sums, i);
    }
}

} // namespace elbo::kernels::cuda
