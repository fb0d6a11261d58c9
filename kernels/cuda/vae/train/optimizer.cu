#include "kernels/cuda/vae/train/optimizer.hpp"

#include "kernels/cuda/core/dependent.cuh"
#include "kernels/cuda/core/launch.cuh"
#include "kernels/cuda/gmm/e_step/sums.cuh"

namespace elbo::kernels::cuda {

namespace {

inline constexpr int flat_threads = 256;

/// Whether parameter i belongs to a weight matrix.
__device__ bool is_weight(const finish_arguments& a, std::int64_t i) {
    for (std::int64_t e = 0; e < a.weight_edge_count; e += 2)
        if (i >= a.weight_edges[e] && i < a.weight_edges[e + 1])
            return true;
    return false;
}

/// Parameters i ... i + 3 and their moments.
struct four_parameters {
    float4 p, m, v;

    /// None of them is written by the kernel before this one.
    __device__ void load(const finish_arguments& a, std::int64_t i) {
        p = *reinterpret_cast<const float4*>(a.to.parameters + i);
        m = *reinterpret_cast<const float4*>(a.to.first_moment + i);
        if (a.has_second)
            v = *reinterpret_cast<const float4*>(a.to.second_moment + i);
    }
    __device__ void move(const finish_arguments& a, const optimizer_step<float>& step, const float4& g, std::int64_t i);
};

__device__ void four_parameters::move(const finish_arguments& a, const optimizer_step<float>& step, const float4& g,
                                      std::int64_t i) {
    const auto decays = [&](int k) { return step.decay > 0 && is_weight(a, i + k); };
    p.x = optimize(step, g.x, decays(0), p.x, m.x, v.x);
    p.y = optimize(step, g.y, decays(1), p.y, m.y, v.y);
    p.z = optimize(step, g.z, decays(2), p.z, m.z, v.z);
    p.w = optimize(step, g.w, decays(3), p.w, m.w, v.w);
    *reinterpret_cast<float4*>(a.to.parameters + i) = p;
    *reinterpret_cast<float4*>(a.to.first_moment + i) = m;
    if (a.has_second)
        *reinterpret_cast<float4*>(a.to.second_moment + i) = v;
    if (a.to.rounded) {
        auto* pairs = reinterpret_cast<__nv_bfloat162*>(a.to.rounded + i);
        pairs[0] = __floats2bfloat162_rn(p.x, p.y);
        pairs[1] = __floats2bfloat162_rn(p.z, p.w);
    }
    if (a.to.average) {
        float4 w = *reinterpret_cast<const float4*>(a.to.average + i);
        w = {averaged(a.average_decay, a.one_minus_average_decay, w.x, p.x),
             averaged(a.average_decay, a.one_minus_average_decay, w.y, p.y),
             averaged(a.average_decay, a.one_minus_average_decay, w.z, p.z),
             averaged(a.average_decay, a.one_minus_average_decay, w.w, p.w)};
        *reinterpret_cast<float4*>(a.to.average + i) = w;
    }
}

/// By one thread, when all blocks are done: the record, and whether the steps that follow do anything.
__device__ void end_step(const finish_arguments& a, double norm, step_record::term bad) {
    slice_state& state = *a.step.state;
    step_record& record = a.step.plan->records[state.step];
    record.gradient_norm = norm;
    record.not_finite = bad;
    state.stopped = bad != step_record::term::none;
    state.step += 1;
    state.arrived = 0;
}

// Every block adds the squares again, in one order, rather than wait for another kernel. What it moves is on its way
// meanwhile. Predicted for an H200: 30 bytes a parameter, 2.3 us for 425,000 of them in the L2 cache (5.5 TB/s), and 2
// us for the sum of the squares; the same update at the end of the gradients would save 8 bytes and a launch, about 2
// us in all, but moves parameters before it is known that the step is finite.
__global__ void __launch_bounds__(flat_threads) finish(const finish_arguments a) {
    __shared__ double scratch[32];
    const std::int64_t i = 4 * (blockIdx.x * std::int64_t(flat_threads) + threadIdx.x);
    const bool mine = a.moves && i < a.size;
    four_parameters four = {};
    float4 g = {0, 0, 0, 0};
    if (mine)
        four.load(a, i);
    wait_for_predecessor();
    let_successor_start();
    if (a.step.rows() == 0)
        return;
    if (mine)
        g = *reinterpret_cast<const float4*>(a.gradient + i);
    double squares = 0;
    for (std::int64_t k = threadIdx.x; k < a.square_sum_count; k += flat_threads)
        squares += a.square_sums[k];
    const double norm = sqrt(block_sum(squares, scratch));
    const step_record::term bad = a.step.plan->records[a.step.state->step].first_not_finite(norm);
    if (mine && bad == step_record::term::none) {
        optimizer_step<float> step = *a.next;
        step.clip = static_cast<float>(clip_factor(norm, a.clip_norm));
        four.move(a, step, g, i);
    }
    __syncthreads(); // the block has read the state of the step
    if (threadIdx.x > 0)
        return;
    __threadfence();
    if (atomicAdd(&a.step.state->arrived, 1u) == gridDim.x - 1)
        end_step(a, norm, bad);
}

__global__ void __launch_bounds__(flat_threads)
    round_all(const float* parameters, __nv_bfloat16* rounded, std::int64_t size) {
    wait_for_predecessor();
    let_successor_start();
    const std::int64_t i = blockIdx.x * std::int64_t(flat_threads) + threadIdx.x;
    if (i < size)
        rounded[i] = __float2bfloat16_rn(parameters[i]);
}

} // namespace

void finish_step(const internal::cuda_state& state, const finish_arguments& a) {
    launch(state, "finish", dependent({a.moves ? blocks_for(a.size, 4 * flat_threads) : 1, flat_threads}), finish, a);
}

void round_parameters(const internal::cuda_state& state, const float* parameters, __nv_bfloat16* rounded,
                      std::int64_t size) {
    launch(state, "round_all", dependent({blocks_for(size, flat_threads), flat_threads}), round_all, parameters,
           rounded, size);
}

} // namespace elbo::kernels::cuda
