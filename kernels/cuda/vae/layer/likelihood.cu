#include "kernels/cuda/vae/layer/dense.hpp"

#include "kernels/cuda/core/launch.cuh"
#include "kernels/cuda/gmm/e_step/sums.cuh"
#include "kernels/cuda/vae/layer/likelihood.cuh"
#include "kernels/cuda/vae/layer/warp.cuh"
#include "kernels/math/vae_activation.hpp"

namespace elbo::kernels::cuda {

namespace {

/// Terms of one block by one lane.
__device__ double block_terms(const likelihood_arguments& a, std::int64_t r, const float* x, std::int64_t block,
                              float scale) {
    const std::int64_t first = a.likelihood.blocks[block], last = a.likelihood.blocks[block + 1];
    float* output = &a.output(r, 0);
    const float lse = log_sum_exp(output + first, last - first);
    double value = 0;
    for (std::int64_t j = first; j < last; ++j) {
        const auto term = categorical_term(x[j], output[j], lse);
        value += static_cast<double>(term.value);
        if (a.wants_gradient)
            output[j] = scale * term.gradient;
    }
    return value;
}

// A warp a row of the decoder. A term costs what it does in output (forward.cu), with the output read and its gradient
// written: 12 bytes a number, 2.8 us a million of them on an H200 where the term is not more.
template <class Family>
__global__ void __launch_bounds__(row_threads) row_likelihood(const likelihood_arguments a) {
    const std::int64_t batch = a.step.rows(), r = warp_index(), lane = threadIdx.x % 32;
    if (r >= batch * a.draws.count)
        return;
    const bool is_elbo = a.objective == vae::objective::elbo;
    const float scale = is_elbo ? static_cast<float>(draw_scale(a.objective, batch, a.draws.all)) : 1.0f;
    const std::int64_t n = r / a.draws.count;
    double value = 0, second = 0;
    if constexpr (Family::facts.blocks) {
        for (std::int64_t block = lane; block < a.likelihood.block_count; block += 32)
            value += block_terms(a, r, &a.likelihood.x(n, 0), block, scale);
    } else {
        for (std::int64_t j = lane; j < a.output.columns; j += 32) {
            const likelihood_term<device_math> t = term_of<Family>(a.likelihood, n, r, a.output(r, j), j);
            value += static_cast<double>(t.value);
            second += static_cast<double>(t.second);
            if (a.wants_gradient)
                a.output(r, j) = scale * t.gradient;
        }
    }
    value = warp_sum(value);
    second = warp_sum(second);
    if (lane == 0) {
        a.parts.log_likelihood[r] = value;
        a.parts.second[r] = second;
    }
}

__global__ void __launch_bounds__(row_threads) row_error(const likelihood_arguments a) {
    const std::int64_t r = warp_index(), lane = threadIdx.x % 32;
    if (r >= a.step.rows() * a.draws.count)
        return;
    double error = 0;
    for (std::int64_t j = lane; j < a.output.columns; j += 32) {
        const float difference = a.likelihood.x(r / a.draws.count, j) - a.output(r, j);
        error += static_cast<double>(difference * difference);
    }
    error = warp_sum(error);
    if (lane == 0)
        a.parts.second[r] = error;
}

// One block.
__global__ void __launch_bounds__(row_threads) mean_error(const likelihood_arguments a) {
    __shared__ double scratch[32];
    const std::int64_t rows = a.step.rows() * a.draws.count;
    double sum = 0;
    for (std::int64_t r = threadIdx.x; r < rows; r += row_threads)
        sum += a.parts.second[r];
    sum = block_sum(sum, scratch);
    if (threadIdx.x > 0 || rows == 0)
        return;
    running_scale& scale = a.step.state->scale;
    scale = with_batch(scale, sum / static_cast<double>(a.draws.count), static_cast<double>(a.step.rows()),
                       a.step.plan->scale_window);
    *a.own = static_cast<float>(optimal_log_variance(scale, a.output.columns));
}

// A thread a number, or a block.
template <class Family>
__global__ void __launch_bounds__(row_threads)
    means(const likelihood_view likelihood, const matrix output, std::int64_t rows, float* out, std::int64_t stride) {
    const std::int64_t items = Family::facts.blocks ? likelihood.block_count : output.columns;
    for (std::int64_t i = blockIdx.x * std::int64_t(row_threads) + threadIdx.x; i < rows * items;
         i += gridDim.x * std::int64_t(row_threads)) {
        const std::int64_t row = i / items, item = i % items;
        if constexpr (Family::facts.blocks) {
            const std::int64_t first = likelihood.blocks[item], last = likelihood.blocks[item + 1];
            const float lse = log_sum_exp(&output(row, first), last - first);
            for (std::int64_t j = first; j < last; ++j)
                out[row * stride + j] = expf(output(row, j) - lse);
        } else {
            out[row * stride + item] =
                Family::template mean<device_math>(observed<Family>(likelihood, 0.0f, 1.0f, output(row, item), item));
        }
    }
}

// A thread a row of data.
__global__ void __launch_bounds__(row_threads)
    add_row_draws(const step_pointer step, const draw_range draws, const likelihood_parts parts,
                  const double* log_ratios, const row_sums sums) {
    const std::int64_t n = blockIdx.x * std::int64_t(row_threads) + threadIdx.x;
    if (n >= step.rows())
        return;
    double reconstruction = 0, error = 0;
    importance_sum weights;
    if (draws.first > 0) {
        reconstruction = sums.reconstruction ? sums.reconstruction[n] : 0;
        error = sums.squared_error ? sums.squared_error[n] : 0;
        if (sums.weights)
            weights = sums.weights[n];
    }
    for (std::int64_t r = n * draws.count; r < (n + 1) * draws.count; ++r) {
        const double log_likelihood = parts.sum(parts.log_likelihood, r);
        reconstruction += log_likelihood;
        error += parts.sum(parts.second, r);
        if (sums.weights)
            weights.add(log_likelihood + log_ratios[r]);
    }
    if (sums.reconstruction)
        sums.reconstruction[n] = reconstruction;
    if (sums.squared_error)
        sums.squared_error[n] = error;
    if (sums.weights)
        sums.weights[n] = weights;
}

} // namespace

void row_likelihoods(const internal::cuda_state& state, std::int64_t rows, const likelihood_arguments& a) {
    with_likelihood(a.likelihood.family, [&](auto family) {
        launch(state, "row_likelihood", warps(rows * a.draws.count), row_likelihood<decltype(family)>, a);
    });
}

void optimal_variance(const internal::cuda_state& state, std::int64_t rows, const likelihood_arguments& a) {
    launch(state, "row_error", warps(rows * a.draws.count), row_error, a);
    launch(state, "mean_error", {1, row_threads}, mean_error, a);
}

void likelihood_means(const internal::cuda_state& state, const likelihood_view& likelihood, const matrix& output,
                      std::int64_t rows, float* out, std::int64_t out_stride) {
    const std::int64_t blocks =
        std::min(blocks_for(rows * output.columns, row_threads), std::int64_t(state.multiprocessors) * 8);
    with_likelihood(likelihood.family, [&](auto family) {
        launch(state, "means", {blocks, row_threads}, means<decltype(family)>, likelihood, output, rows, out,
               out_stride);
    });
}

void add_draws(const internal::cuda_state& state, std::int64_t rows, const step_pointer& step, const draw_range& draws,
               const likelihood_parts& parts, const double* log_ratios, const row_sums& sums) {
    launch(state, "add_row_draws", {blocks_for(rows, row_threads), row_threads}, add_row_draws, step, draws, parts,
           log_ratios, sums);
}

} // namespace elbo::kernels::cuda
