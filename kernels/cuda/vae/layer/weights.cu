// One launch for the gradients of all weights, biases and scales, and for the sums of a step. Each number is a sum over
// rows in an order that depends on the number of rows alone.
#include "kernels/cuda/core/launch.cuh"
#include "kernels/cuda/gmm/e_step/sums.cuh"
#include "kernels/cuda/vae/layer/dense.hpp"
#include "kernels/cuda/vae/layer/tile.cuh"

namespace elbo::kernels::cuda {

namespace {

/// All rows by one block, of which each warp sums a shard, or a shard by a block.
using warp_tile = tile_shape<warp_team, 32, 64, 1, 1, 1, 32, 3, true>;
using shard_tile = tile_128;
static_assert(warp_tile::M == weight_tiles[0].rows && warp_tile::N == weight_tiles[0].columns &&
              shard_tile::M == weight_tiles[1].rows && shard_tile::N == weight_tiles[1].columns);

/// The task of a block: the last that begins at it or before. All lanes look, each at tasks of its own.
template <class Task>
__device__ const Task& task_of(const Task* tasks, std::int64_t count, std::int64_t block) {
    std::int64_t found = 0;
    for (std::int64_t first = 0; first < count; first += 32) {
        const std::int64_t t = first + threadIdx.x % 32;
        const unsigned begun = __ballot_sync(~0u, t < count && tasks[t].first_block <= block);
        if (begun)
            found = first + 31 - __clz(static_cast<int>(begun));
    }
    return tasks[found];
}

__device__ void store_squares(const gradient_arguments& a, double squares) {
    __shared__ double scratch[32];
    squares = block_sum(squares, scratch);
    if (threadIdx.x == 0 && blockIdx.y == 0)
        a.square_sums[blockIdx.x] = squares;
}

/// A tile of xᵀ G of a layer with its bias as a last row: x has a column of ones.
template <class Element>
struct weight_block {
    const gradient_arguments& a;
    const weight_task& task;
    std::int64_t first_input, first_output;

    __device__ weight_block(const gradient_arguments& arguments, int rows, int columns)
        : a(arguments), task(task_of(a.tasks, a.task_count, blockIdx.x)) {
        const std::int64_t block = blockIdx.x - task.first_block;
        first_input = block / task.column_tiles * rows;
        first_output = block % task.column_tiles * columns;
    }
    /// Adds the products of a shard of the rows of data.
    template <class S>
    __device__ void add_shard(tile_sums<S>& sum, unsigned char* memory, std::int64_t shard, bool split) const {
        const std::int64_t batch = a.step.rows(), draws = task.decoder ? a.draws.count : 1;
        const std::int64_t first = batch * shard / gradient_shards * draws;
        const std::int64_t last = batch * (shard + 1) / gradient_shards * draws;
        multiply(sum, memory,
                 along_columns<Element>{task.input.row<Element>(0), task.input.stride(), first_input,
                                        task.input.columns + 1, first, last},
                 along_columns<Element>{task.gradient.row<Element>(0), task.gradient.stride(), first_output,
                                        task.gradient.columns, first, last},
                 last - first, split, {task.input.columns + 1 - first_input, task.gradient.columns - first_output});
    }
    /// Stores get(row, column) for pairs of a tile; the sum of their squares.
    template <class S, class Get>
    __device__ double store(float* to, Get get) const {
        const std::int64_t inputs = task.input.columns, outputs = task.gradient.columns;
        double squares = 0;
#pragma unroll 1
        for (int e = static_cast<int>(threadIdx.x); e < S::M * S::N / 2; e += tile_threads) {
            const int row = e / (S::N / 2), j = e % (S::N / 2) * 2;
            const std::int64_t input = first_input + row, column = first_output + j;
            if (input > inputs || column >= outputs)
                continue;
            const float2 v = get(row, j);
            const bool both = column + 1 < outputs;
            store_pair(to + task.offset + input * task.gradient.stride() + column, v, both);
            squares += static_cast<double>(v.x) * static_cast<double>(v.x);
            squares += both ? static_cast<double>(v.y) * static_cast<double>(v.y) : 0;
        }
        return squares;
    }
};

/// Shards added in a binary tree.
__device__ float add_tree(const float part[gradient_shards]) {
    static_assert(gradient_shards == 8);
    return ((part[0] + part[1]) + (part[2] + part[3])) + ((part[4] + part[5]) + (part[6] + part[7]));
}

template <class Element>
__device__ void sum_of_warps(const gradient_arguments& a, bool split, unsigned char* memory) {
    using S = warp_tile;
    static_assert(gradient_shards * 32 == tile_threads);
    const weight_block<Element> block(a, S::M, S::N);
    const int warp = static_cast<int>(threadIdx.x) / 32;
    float* c = reinterpret_cast<float*>(memory);
    {
        tile_sums<S> sum;
        block.add_shard(sum, memory + warp * S::bytes, warp, split);
        __syncthreads(); // sums take the place of the factors of other warps, too
        store_sums(sum, c + warp * S::c_size);
    }
    __syncthreads();
    const double squares = block.template store<S>(a.gradient, [&](int row, int column) -> float2 {
        float x[gradient_shards], y[gradient_shards];
#pragma unroll
        for (int s = 0; s < gradient_shards; ++s) {
            const float2 part = *reinterpret_cast<const float2*>(c + s * S::c_size + row * S::c_stride + column);
            x[s] = part.x;
            y[s] = part.y;
        }
        return {add_tree(x), add_tree(y)};
    });
    store_squares(a, squares);
}

template <class Element>
__device__ void sum_of_shard(const gradient_arguments& a, bool split, unsigned char* memory) {
    using S = shard_tile;
    const weight_block<Element> block(a, S::M, S::N);
    float* c = reinterpret_cast<float*>(memory);
    {
        tile_sums<S> sum;
        block.add_shard(sum, memory, blockIdx.y, split);
        store_sums(sum, c);
    }
    __syncthreads();
    block.template store<S>(a.gradient + blockIdx.y * a.size,
                            [&](int row, int column) { return product_pair<S>(c, row, column); });
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

// Predicted for an H200 at batch 100, net 784-200-200-(50): 270 blocks, two a multiprocessor, 3 us for their latencies
// and one for the last six; in large batches the factor bytes (shapes.hpp) at 5.5 TB/s.
template <class Element, bool Sharded>
__global__ void __launch_bounds__(tile_threads, sizeof(Element) == 2 ? 2 : 1)
    gradients(const gradient_arguments a, const bool split) {
    extern __shared__ __align__(16) unsigned char memory[];
    wait_for_predecessor();
    let_successor_start();
    if (a.step.rows() == 0)
        return;
    if (blockIdx.x < a.weight_blocks) {
        if constexpr (Sharded)
            sum_of_shard<Element>(a, split, memory);
        else
            sum_of_warps<Element>(a, split, memory);
    } else if (blockIdx.y > 0) {
        return;
    } else if (blockIdx.x < a.weight_blocks + a.column_blocks) {
        column_block(a);
    } else {
        terms_block(a);
    }
}

__global__ void __launch_bounds__(shard_sum_threads)
    sum_shards(const step_pointer step, float* gradient, std::int64_t size, int shards, double* square_sums) {
    __shared__ double scratch[32];
    wait_for_predecessor();
    let_successor_start();
    if (step.rows() == 0)
        return;
    double squares = 0;
    for (int piece = 0; piece < shard_sum_block / shard_sum_threads; ++piece) {
        const std::int64_t i = blockIdx.x * shard_sum_block + piece * shard_sum_threads + threadIdx.x;
        if (i >= size)
            break;
        float part[gradient_shards];
#pragma unroll
        for (int s = 0; s < gradient_shards; ++s)
            part[s] = s < shards ? gradient[s * size + i] : 0.0f;
        // Shards beyond the first are 0 where there is one, which changes nothing.
        const float sum = add_tree(part);
        if (shards > 1)
            gradient[i] = sum;
        squares += static_cast<double>(sum) * static_cast<double>(sum);
    }
    squares = block_sum(squares, scratch);
    if (threadIdx.x == 0)
        square_sums[blockIdx.x] = squares;
}

} // namespace

void weight_gradients(const internal::cuda_state& state, vae::training_precision precision,
                      const gradient_arguments& a) {
    const std::int64_t blocks = a.weight_blocks + a.column_blocks + 1;
    with_element(precision, [&](auto element, bool split) {
        using Element = decltype(element);
        if (a.sharded)
            launch(state, "gradients", dependent({blocks, tile_threads, shard_tile::bytes, gradient_shards}),
                   gradients<Element, true>, a, split);
        else
            launch(state, "gradients", dependent({blocks, tile_threads, gradient_shards * warp_tile::bytes}),
                   gradients<Element, false>, a, split);
    });
}

void add_shards(const internal::cuda_state& state, const step_pointer& step, float* gradient, std::int64_t size,
                int shards, double* square_sums) {
    launch(state, "sum_shards", dependent({blocks_for(size, shard_sum_block), shard_sum_threads}), sum_shards, step,
           gradient, size, shards, square_sums);
}

} // namespace elbo::kernels::cuda
