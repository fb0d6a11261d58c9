#include "kernels/cuda/vae/latent/latent.hpp"

#include "kernels/cuda/core/dependent.cuh"
#include "kernels/cuda/core/launch.cuh"
#include "kernels/cuda/gmm/e_step/sums.cuh"
#include "kernels/cuda/vae/latent/latent.cuh"
#include "kernels/cuda/vae/layer/warp.cuh"
#include "kernels/math/vae_importance.hpp"
#include "kernels/math/vae_latent.hpp"

namespace elbo::kernels::cuda {

namespace {

__global__ void __launch_bounds__(row_threads)
    draw(const step_pointer step, const draw_range draws, const latent_view v) {
    wait_for_predecessor();
    let_successor_start();
    const std::int64_t r = warp_index(), n = r / draws.count, s = r % draws.count;
    if (n >= step.rows())
        return;
    const std::uint64_t row_number = v.row_numbers[n];
    double kl = 0, log_ratio = 0;
    for (std::int64_t block = threadIdx.x % 32; 4 * block < v.latent; block += 32) {
        float noise[4];
        latent_noise(*step.plan, row_number, draws.first + s, block, noise);
#pragma unroll
        for (int i = 0; i < 4; ++i) {
            const std::int64_t l = 4 * block + i;
            if (l >= v.latent)
                break;
            const float mean = v.heads(n, l), log_variance = bounded_log_variance(v.heads(n, v.latent + l));
            const float z = mean + expf(0.5f * log_variance) * noise[i];
            v.z(r, l) = z;
            if (v.z_operand.rounded)
                v.z_operand.set(r, l, z);
            log_ratio += static_cast<double>(latent_log_ratio(z, noise[i], log_variance));
            kl += static_cast<double>(unit_kl(mean, log_variance));
            if (s == 0)
                v.log_variance(n, l) = log_variance;
        }
    }
    log_ratio = warp_sum(log_ratio);
    kl = warp_sum(kl);
    if (threadIdx.x % 32 == 0) {
        v.z_operand.pad(r, 1);
        v.log_ratios[r] = log_ratio;
        if (s == 0)
            v.kl[n] = kl;
    }
}

// A block a unit.
__global__ void __launch_bounds__(row_threads) unit_kl_mean(const step_pointer step, const latent_view v) {
    __shared__ double scratch[32];
    wait_for_predecessor();
    let_successor_start();
    const std::int64_t rows = step.rows(), l = blockIdx.x;
    double sum = 0;
    for (std::int64_t n = threadIdx.x; n < rows; n += row_threads)
        sum += static_cast<double>(unit_kl(v.heads(n, l), v.log_variance(n, l)));
    sum = block_sum(sum, scratch);
    if (threadIdx.x == 0 && rows > 0)
        v.unit_kl_means[l] = sum / static_cast<double>(rows);
}

// A thread for four units of a row.
__global__ void __launch_bounds__(row_threads)
    heads_gradient(const step_pointer step, const draw_range draws, const latent_view v, const objective_rule of) {
    wait_for_predecessor();
    let_successor_start();
    const std::int64_t blocks = padded(v.latent) / 4;
    const std::int64_t task = blockIdx.x * std::int64_t(row_threads) + threadIdx.x;
    const std::int64_t n = task / blocks, block = task % blocks;
    if (n >= step.rows())
        return;
    const heads_rule rule(step, of, draws.all);
    latent_gradient<float> sum[4] = {};
    for (std::int64_t s = 0; s < draws.count; ++s) {
        const std::int64_t r = n * draws.count + s;
        float noise[4];
        latent_noise(*step.plan, v.row_numbers[n], draws.first + s, block, noise);
#pragma unroll
        for (int i = 0; i < 4; ++i)
            if (4 * block + i < v.latent)
                rule.add(v, n, r, 4 * block + i, noise[i], v.z_gradient(r, 4 * block + i), sum[i]);
    }
#pragma unroll
    for (int i = 0; i < 4; ++i)
        if (4 * block + i < v.latent)
            rule.store(v, n, 4 * block + i, sum[i]);
}

// A block a row of data.
__global__ void __launch_bounds__(row_threads) weigh(const weigh_arguments a) {
    __shared__ double log_sum;
    wait_for_predecessor();
    let_successor_start();
    const std::int64_t rows = a.step.rows(), n = blockIdx.x, first = n * a.draws;
    if (n >= rows)
        return;
    if (threadIdx.x == 0) {
        importance_sum sum;
        for (std::int64_t r = first; r < first + a.draws; ++r)
            sum.add(a.parts.sum(a.parts.log_likelihood, r) + a.log_ratios[r]);
        a.log_mean_weight[n] = sum.log_mean(a.draws);
        log_sum = sum.log_mean(a.draws) + log(static_cast<double>(a.draws));
    }
    __syncthreads();
    for (std::int64_t s = threadIdx.x; s < a.draws; s += row_threads) {
        const std::int64_t r = first + s;
        const double log_weight = a.parts.sum(a.parts.log_likelihood, r) + a.log_ratios[r];
        a.weights[r] = static_cast<float>(exp(log_weight - log_sum));
    }
    __syncthreads();
    const float scale = static_cast<float>(draw_scale(vae::objective::importance, rows, a.draws));
    const std::int64_t stride = a.gradient.stride();
    for (std::int64_t i = threadIdx.x; i < a.draws * stride; i += row_threads)
        a.gradient.data[first * stride + i] *= scale * a.weights[first + i / stride];
}

// A warp a row of the decoder.
__global__ void __launch_bounds__(row_threads) sphere(const sphere_arguments a) {
    wait_for_predecessor();
    let_successor_start();
    const std::int64_t r = warp_index(), d = a.output.columns;
    if (r >= a.step.rows() * a.draws)
        return;
    double squares = 0;
    for (std::int64_t j = threadIdx.x % 32; j < d; j += 32)
        squares += static_cast<double>(a.latents.z(r, j)) * static_cast<double>(a.latents.z(r, j));
    const float inverse_norm = sphere_inverse_norm(static_cast<float>(warp_sum(squares)));
    for (std::int64_t j = threadIdx.x % 32; j < d; j += 32)
        a.output(r, j) = *a.radius * (a.latents.z(r, j) * inverse_norm) + a.centre[j];
    if (threadIdx.x % 32 == 0)
        a.inverse_norm[r] = inverse_norm;
}

__global__ void __launch_bounds__(row_threads) sphere_back(const sphere_arguments a) {
    wait_for_predecessor();
    let_successor_start();
    const std::int64_t r = warp_index(), d = a.output.columns;
    if (r >= a.step.rows() * a.draws)
        return;
    const float inverse_norm = a.inverse_norm[r];
    double along = 0;
    for (std::int64_t j = threadIdx.x % 32; j < d; j += 32)
        along += static_cast<double>(a.output(r, j)) * static_cast<double>(a.latents.z(r, j) * inverse_norm);
    along = warp_sum(along);
    for (std::int64_t j = threadIdx.x % 32; j < d; j += 32)
        a.latents.z_gradient(r, j) = sphere_latent_gradient(
            *a.radius, inverse_norm, a.output(r, j), a.latents.z(r, j) * inverse_norm, static_cast<float>(along));
    if (threadIdx.x % 32 == 0)
        a.along[r] = along;
}

} // namespace

void draw_latents(const internal::cuda_state& state, std::int64_t rows, const step_pointer& step,
                  const draw_range& draws, const latent_view& v) {
    launch(state, "draw", dependent(warps(rows * draws.count)), draw, step, draws, v);
}

void average_unit_kl(const internal::cuda_state& state, const step_pointer& step, const latent_view& v) {
    launch(state, "unit_kl_mean", dependent({v.latent, row_threads}), unit_kl_mean, step, v);
}

void heads_gradients(const internal::cuda_state& state, std::int64_t rows, const step_pointer& step,
                     const draw_range& draws, const latent_view& v, const objective_rule& rule) {
    launch(state, "heads_gradient", dependent({blocks_for(rows * padded(v.latent) / 4, row_threads), row_threads}),
           heads_gradient, step, draws, v, rule);
}

void weigh_draws(const internal::cuda_state& state, std::int64_t rows, const weigh_arguments& a) {
    launch(state, "weigh", dependent({rows, row_threads}), weigh, a);
}

void sphere_forward(const internal::cuda_state& state, std::int64_t rows, const sphere_arguments& a) {
    launch(state, "sphere", dependent(warps(rows * a.draws)), sphere, a);
}

void sphere_backward(const internal::cuda_state& state, std::int64_t rows, const sphere_arguments& a) {
    launch(state, "sphere_back", dependent(warps(rows * a.draws)), sphere_back, a);
}

} // namespace elbo::kernels::cuda
