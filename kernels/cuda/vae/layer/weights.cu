// One launch for the gradients of all weights, biases and scales, and for the sums of a step. Each number is a sum over
// rows in an order that depends on the number of rows alone.
#include "kernels/cuda/core/launch.cuh"
#include "kernels/cuda/gmm/e_step/sums.cuh"
#include "kernels/cuda/vae/layer/dense.hpp"
#include "kernels/cuda/vae/layer/tile.cuh"

namespace elbo::kernels::cuda {

namespace {

/// The task of a block: the last that begins at it or before.
template <class Task>
__device__ const Task& task_of(const Task* tasks, std::int64_t count, std::int64_t block) {
    std::int64_t t = count - 1;
    while (t > 0 && tasks[t].first_block > block)
        --t;
    return tasks[t];
}

__device__ void store_squares(const gradient_arguments& a, double squares) {
    __shared__ double scratch[32];
    squares = block_sum(squares, scratch);
    if (threadIdx.x == 0 && blockIdx.y == 0)
        a.square_sums[blockIdx.x] = squares;
}

/// xᵀ G of a layer with its bias as a last row: x has a column of ones.
template <class Math>
__device__ void weight_block(const gradient_arguments& a, tile_memory& memory) {
    const weight_task& task = task_of(a.tasks, a.task_count, blockIdx.x);
    const std::int64_t block = blockIdx.x - task.first_block;
    const std::int64_t first_input = block / task.column_tiles * tile_m;
    const std::int64_t first_output = block % task.column_tiles * tile_n;
    const std::int64_t rows = a.step.rows() * (task.decoder ? a.draws.count : 1);
    const std::int64_t first = rows * blockIdx.y / a.shards, last = rows * (blockIdx.y + 1) / a.shards;
    transposed_rows_and_ones left(task.input, first_input, first, last);
    matrix_columns b(task.gradient, first_output, first, last);
    multiply<Math>(memory, left, b, last - first,
                   {task.input.columns + 1 - first_input, task.gradient.columns - first_output});
    float* out = a.gradient + blockIdx.y * a.size + task.offset;
    double squares = 0;
    for_each_product(memory, [&](int i, int j, float value) {
        const std::int64_t input = first_input + i, column = first_output + j;
        if (input > task.input.columns || column >= task.gradient.columns)
            return;
        out[input * task.gradient.columns + column] = value;
        squares += static_cast<double>(value) * static_cast<double>(value);
    });
    store_squares(a, squares);
}

/// Weight of decoder row r in the gradient of the mean objective.
__device__ double row_weight(const gradient_arguments& a, std::int64_t r, double scale) {
    return a.rule.weights ? scale * static_cast<double>(a.rule.weights[r]) : scale;
}

/// Sums of columns: of the decoder's output gradient the centre of a sphere, and ln σ² of each dimension, where
/// ω ½ ((x − mean)²/σ² − 1) = ½ (G² σ²/ω − ω) of the gradient G = ω (x − mean)/σ²; or of own gradients.
__device__ void column_block(const gradient_arguments& a) {
    __shared__ double parts[tile_threads];
    const std::int64_t index = blockIdx.x - a.weight_blocks;
    const column_task& task = task_of(a.columns, a.column_task_count, index);
    const std::int64_t d = a.output_gradient.columns, batch = a.step.rows();
    const std::int64_t column = (index - task.first_block) * column_task_width + threadIdx.x % column_task_width;
    const double scale = draw_scale(a.rule.objective, batch, a.draws.all);
    const bool squared = task.what == column_task::kind::squares, own = task.what == column_task::kind::own;
    const double variance = squared && column < d ? exp(static_cast<double>(a.likelihood.own[column])) : 0;
    const matrix& of = own ? a.likelihood.own_gradient : a.output_gradient;
    double sum = 0;
    for (std::int64_t r = threadIdx.x / column_task_width; column < d && r < batch * a.draws.count;
         r += tile_threads / column_task_width) {
        const double g = static_cast<double>(of(r, column));
        const double weight = row_weight(a, r, scale);
        sum += own ? weight * g : !squared ? g : weight > 0 ? 0.5 * (g * g * variance / weight - weight) : 0;
    }
    parts[threadIdx.x] = sum;
    __syncthreads();
    double squares = 0;
    if (threadIdx.x < column_task_width && column < d) {
        for (int other = column_task_width; other < tile_threads; other += column_task_width)
            sum += parts[threadIdx.x + other];
        const float value = static_cast<float>(sum);
        a.gradient[task.offset + column] = value;
        squares = static_cast<double>(value) * static_cast<double>(value);
    }
    store_squares(a, squares);
}

/// Sums over the rows, by one block.
struct step_sums {
    double reconstruction, squared_error, weighted_squared_error, kl, objective, own, radius;
};

__device__ step_sums add_rows(const gradient_arguments& a) {
    __shared__ double scratch[32];
    const std::int64_t batch = a.step.rows();
    const double scale = draw_scale(a.rule.objective, batch, a.draws.all),
                 d = static_cast<double>(a.likelihood.x.columns);
    const double precision =
        a.own < 0 || !a.squared_errors ? 0 : exp(-static_cast<double>(a.likelihood.own[0])); // 1/σ²
    step_sums s = {};
    for (std::int64_t r = threadIdx.x; r < batch * a.draws.count; r += tile_threads) {
        const double second = a.parts.sum(a.parts.second, r), error = a.squared_errors ? second : 0;
        s.reconstruction += a.parts.sum(a.parts.log_likelihood, r);
        s.squared_error += error;
        s.weighted_squared_error += a.rule.weights ? error * static_cast<double>(a.rule.weights[r]) : 0;
        s.own += row_weight(a, r, scale) * (a.squared_errors ? 0.5 * (error * precision - d) : second);
        s.radius += a.along ? a.along[r] : 0;
    }
    for (std::int64_t n = threadIdx.x; n < batch; n += tile_threads) {
        s.kl += a.latents.kl[n];
        s.objective += a.log_mean_weight ? a.log_mean_weight[n] : 0;
    }
    const double draws = static_cast<double>(a.draws.all);
    const double squared_error = block_sum(s.squared_error, scratch) / draws;
    return {block_sum(s.reconstruction, scratch) / draws,
            squared_error,
            a.rule.weights ? block_sum(s.weighted_squared_error, scratch) : squared_error,
            block_sum(s.kl, scratch),
            block_sum(s.objective, scratch),
            block_sum(s.own, scratch),
            block_sum(s.radius, scratch)};
}

/// J with β and free bits.
__device__ double elbo_objective(const gradient_arguments& a, const step_sums& s) {
    if (!(a.rule.free_bits > 0))
        return s.reconstruction - a.step.beta() * s.kl;
    double kl = 0;
    for (std::int64_t l = 0; l < a.latents.latent; ++l)
        kl += a.latents.unit_kl_means[l] < a.rule.free_bits ? a.rule.free_bits : a.latents.unit_kl_means[l];
    return s.reconstruction - a.step.beta() * kl * static_cast<double>(a.step.rows());
}

__device__ void terms_block(const gradient_arguments& a) {
    const step_sums s = add_rows(a);
    if (threadIdx.x > 0)
        return;
    const slice_plan& plan = *a.step.plan;
    const slice_state& state = *a.step.state;
    step_record& record = plan.records[state.step];
    record.rows = a.step.rows();
    record.reconstruction = s.reconstruction;
    record.kl = s.kl;
    record.squared_error = s.squared_error;
    record.weighted_squared_error = s.weighted_squared_error;
    record.scale = state.scale;
    record.objective = a.rule.objective == vae::objective::elbo ? elbo_objective(a, s) : s.objective;
    *a.next = make_optimizer_step<float>(a.optimizer, plan.schedule[state.step].learning_rate,
                                         state.steps_done + state.step, 1);
    double squares = 0;
    const auto put = [&](std::int64_t offset, double value) {
        const float rounded = static_cast<float>(value);
        a.gradient[offset] = rounded;
        squares += static_cast<double>(rounded) * static_cast<double>(rounded);
    };
    if (a.own >= 0)
        put(a.own, s.own);
    if (a.along)
        put(a.radius, s.radius);
    a.square_sums[blockIdx.x] = squares;
}

template <class Math>
__global__ void __launch_bounds__(tile_threads) gradients(const gradient_arguments a) {
    __shared__ tile_memory memory;
    if (a.step.rows() == 0)
        return;
    if (blockIdx.x < a.weight_blocks)
        weight_block<Math>(a, memory);
    else if (blockIdx.y > 0)
        return;
    else if (blockIdx.x < a.weight_blocks + a.column_blocks)
        column_block(a);
    else
        terms_block(a);
}

__global__ void __launch_bounds__(shard_sum_threads)
    sum_shards(const step_pointer step, float* gradient, std::int64_t size, std::int64_t shards, double* square_sums) {
    __shared__ double scratch[32];
    if (step.rows() == 0)
        return;
    double squares = 0;
    for (int piece = 0; piece < shard_sum_block / shard_sum_threads; ++piece) {
        const std::int64_t i = blockIdx.x * shard_sum_block + piece * shard_sum_threads + threadIdx.x;
        if (i >= size)
            break;
        float part[largest_shards] = {};
#pragma unroll
        for (int s = 0; s < largest_shards; ++s)
            part[s] = s < shards ? gradient[s * size + i] : 0.0f;
        // Shards beyond the last are 0, which changes nothing.
        const float sum = ((part[0] + part[1]) + (part[2] + part[3])) + ((part[4] + part[5]) + (part[6] + part[7]));
        if (shards > 1)
            gradient[i] = sum;
        squares += static_cast<double>(sum) * static_cast<double>(sum);
    }
    squares = block_sum(squares, scratch);
    if (threadIdx.x == 0)
        square_sums[blockIdx.x] = squares;
}

} // namespace

std::int64_t weight_tiles(std::int64_t inputs, std::int64_t outputs) {
    return blocks_for(inputs + 1, tile_m) * blocks_for(outputs, tile_n);
}

void weight_gradients(const internal::cuda_state& state, vae::training_precision precision,
                      const gradient_arguments& a) {
    const launch_shape shape{a.weight_blocks + a.column_blocks + 1, tile_threads, 0, a.shards};
    with_math(precision, [&](auto math) { launch(state, "gradients", shape, gradients<decltype(math)>, a); });
}

void add_shards(const internal::cuda_state& state, const step_pointer& step, float* gradient, std::int64_t size,
                std::int64_t shards, double* square_sums) {
    launch(state, "sum_shards", {blocks_for(size, shard_sum_block), shard_sum_threads}, sum_shards, step, gradient,
           size, shards, square_sums);
}

} // namespace elbo::kernels::cuda
