// Forward pass of layers, and the output layer with its likelihood: logits are never stored.
#include "kernels/cuda/core/dependent.cuh"
#include "kernels/cuda/core/launch.cuh"
#include "kernels/cuda/vae/layer/dense.hpp"
#include "kernels/cuda/vae/layer/likelihood.cuh"
#include "kernels/cuda/vae/layer/source.cuh"
#include "kernels/cuda/vae/layer/tile.cuh"
#include "kernels/cuda/vae/layer/warp.cuh"
#include "kernels/math/vae_activation.hpp"

namespace elbo::kernels::cuda {

namespace {

// A warp a row, or a block where rows are long and few. Of a number of float32 data 4 bytes read, 4 or 8 written (6
// with bfloat16 inputs) and 65 lane instructions (105 where a block has a row), with ln(1 + x), the sums and both
// copies. Predicted for an H200: 2.8 us a million numbers, by bytes (4.27 TB/s; the instructions take 1.9 us at 33.5e12
// a second), at least 1.5 us for the launch.
__global__ void __launch_bounds__(row_threads) gather(const input_arguments a, const int threads) {
    __shared__ double parts[row_threads / 32];
    wait_for_predecessor();
    let_successor_start();
    const std::int64_t n = (blockIdx.x * std::int64_t(row_threads) + threadIdx.x) / threads;
    const int lane = static_cast<int>(threadIdx.x) % threads;
    if (n >= a.step.rows())
        return; // of a block with a row of its own all threads
    const slice_plan& plan = *a.step.plan;
    const std::int64_t slot = slot_of(a.step, n), d = a.input.columns;
    const auto number = static_cast<std::uint64_t>(plan.first_row + slot);
    double total = 0;
    for (std::int64_t j = 4 * lane; j < d; j += 4 * threads) {
        const float4 v = step_values(plan, slot, number, j);
        const float values[] = {v.x, v.y, v.z, v.w};
#pragma unroll
        for (int i = 0; i < 4 && j + i < d; ++i) {
            total += static_cast<double>(values[i]);
            if (a.x.data)
                a.x(n, j + i) = values[i];
        }
        const auto input = [&](float x) { return a.logs ? log1pf(x) : x; };
        if (a.input.rounded)
            store_pairs(a.input.row<__nv_bfloat16>(n) + j, {input(v.x), input(v.y), input(v.z), input(v.w)}, d - j);
        else
            store_pairs(a.input.row<float>(n) + j, {input(v.x), input(v.y), input(v.z), input(v.w)}, d - j);
    }
    total = warp_sum(total);
    if (threads > 32) {
        if (lane % 32 == 0)
            parts[lane / 32] = total;
        __syncthreads();
        total = (parts[0] + parts[1]) + (parts[2] + parts[3]);
    }
    if (lane > 0)
        return;
    a.input.pad(n, 1);
    a.row_numbers[n] = number;
    if (a.total)
        a.total[n] = static_cast<float>(total);
}

// Predicted for an H200 at batch 100: 1.5 us for the launch and about 2 us for the chain of chunks; in large batches
// its factor bytes (shapes.hpp) at 5.5 TB/s.
template <class Element, class S>
__global__ void __launch_bounds__(tile_threads) forward(const forward_arguments a, const bool split) {
    extern __shared__ __align__(16) unsigned char memory[];
    const std::int64_t rows = a.step.rows() * a.draws;
    const std::int64_t first = std::int64_t(blockIdx.x) * S::M, first_column = std::int64_t(blockIdx.y) * S::N;
    if (first >= rows)
        return wait_for_predecessor();
    const layer_view& l = a.layer;
    const along_rows<Element> left{a.input.row<Element>(0), a.input.stride(), first, rows, l.inputs};
    const along_columns<Element> right{
        weights_of<Element>(l), l.weights.stride(), first_column, l.outputs, 0, l.inputs};
    const auto store = [&](const operand& to, std::int64_t row, std::int64_t column, float2 v, bool both) {
        if (a.wide)
            store_pair(to.row<float>(row) + column, v, both);
        else
            store_pair(to.row<Element>(row) + column, v, both);
    };
    for_each_pair<S>(memory, left, right, l.inputs, split, {rows - first, l.outputs - first_column},
                     [&](int i, int j, float2 v) {
                         const std::int64_t row = first + i, column = first_column + j;
                         const bool both = column + 1 < l.outputs;
                         v.x += l.bias[column];
                         v.y += both ? l.bias[column + 1] : 0.0f;
                         if (a.kept.data)
                             store(a.kept, row, column, v, both);
                         store(a.output, row, column, {activate(l.form, v.x), activate(l.form, v.y)}, both);
                     });
    if (first_column + S::N >= l.outputs) {
        if (a.wide)
            store_padding<S, float>(a.output, first, rows, 0);
        else
            store_padding<S, Element>(a.output, first, rows, 1);
    }
}

// Of a number one lane instruction a multiplication (float32, small tiles) and those of its term: 408 of a poisson
// likelihood, 955 of negative binomial; 4 bytes of x read, 4 of each gradient written. Predicted for an H200, by
// instructions (33.5e12 a second): beside the product 12 and 29 us a million numbers.
template <class Element, class S, class Family>
__global__ void __launch_bounds__(tile_threads) output(const output_arguments a, const bool split) {
    extern __shared__ __align__(16) unsigned char memory[];
    const std::int64_t batch = a.step.rows(), rows = batch * a.draws.count;
    const std::int64_t first = std::int64_t(blockIdx.x) * S::M, first_column = std::int64_t(blockIdx.y) * S::N;
    if (first >= rows)
        return wait_for_predecessor();
    const layer_view& l = a.layer;
    {
        tile_sums<S> sum;
        multiply(
            sum, memory, along_rows<Element>{a.input.row<Element>(0), a.input.stride(), first, rows, l.inputs},
            along_columns<Element>{weights_of<Element>(l), l.weights.stride(), first_column, l.outputs, 0, l.inputs},
            l.inputs, split, {rows - first, l.outputs - first_column}, true);
        store_sums(sum, reinterpret_cast<float*>(memory));
    }
    __syncthreads();
    const bool is_elbo = a.objective == vae::objective::elbo;
    const float scale = is_elbo ? static_cast<float>(draw_scale(a.objective, batch, a.draws.all)) : 1.0f;
    // Eight lanes a row: few sums over lanes, and no two rows in the same bank.
    constexpr int lanes = 8, rows_at_once = tile_threads / lanes;
    static_assert(S::M % rows_at_once == 0 && S::c_stride % 16 == 8);
    const int lane = static_cast<int>(threadIdx.x) % lanes;
    const int columns = static_cast<int>(l.outputs - first_column < S::N ? l.outputs - first_column : S::N);
#pragma unroll 1
    for (int i = static_cast<int>(threadIdx.x) / lanes; i < S::M; i += rows_at_once) {
        const std::int64_t row = first + i, source = row / a.draws.count;
        double value = 0, second = 0;
        for (int j = lane; j < (row < rows ? columns : 0); j += lanes) {
            const float sum =
                product_number<S>(reinterpret_cast<const float*>(memory), i, j) + l.bias[first_column + j];
            const likelihood_term<device_math> t = term_of<Family>(a.likelihood, source, row, sum, first_column + j);
            value += static_cast<double>(t.value);
            second += static_cast<double>(t.second);
            if (a.gradient.data)
                a.gradient.set(row, first_column + j, scale * t.gradient);
        }
        value = lane_sum<lanes>(value);
        second = lane_sum<lanes>(second);
        if (lane > 0 || row >= rows)
            continue;
        a.parts.log_likelihood[blockIdx.y * a.parts.capacity + row] = value;
        a.parts.second[blockIdx.y * a.parts.capacity + row] = second;
        if (a.gradient.data && first_column + S::N >= l.outputs)
            a.gradient.pad(row, 0);
    }
}

// A warp a row.
__global__ void __launch_bounds__(row_threads)
    round_numbers(const step_pointer step, const draw_range draws, const matrix from, const operand to) {
    wait_for_predecessor();
    let_successor_start();
    const std::int64_t r = warp_index(), lane = threadIdx.x % 32;
    if (r >= step.rows() * draws.count)
        return;
    for (std::int64_t j = lane; j < from.columns; j += 32)
        to.set(r, j, from(r, j));
    if (lane == 0)
        to.pad(r, 0);
}

} // namespace

void gather_input(const internal::cuda_state& state, std::int64_t rows, const input_arguments& a) {
    static_assert(row_threads == 128);
    // Sums are of counts, and exact in any order.
    const int threads = a.input.columns > 256 && rows <= 1024 ? row_threads : 32;
    launch(state, "gather", dependent({blocks_for(rows * threads, row_threads), row_threads}), gather, a, threads);
}

void forward_layer(const internal::cuda_state& state, vae::training_precision precision, const row_count& rows,
                   const forward_arguments& a) {
    with_layer_tile(precision, rows.most, a.layer.outputs, [&](auto element, auto tile, bool split) {
        using S = decltype(tile);
        launch(state, "forward", grid_of<S>(rows.rows * a.draws, a.layer.outputs), forward<decltype(element), S>, a,
               split);
    });
}

void output_layer(const internal::cuda_state& state, vae::training_precision precision, const row_count& rows,
                  const output_arguments& a) {
    const bool small = choose_tile(output_tiles, rows.most, a.layer.outputs) == 0;
    const auto with_family = [&](auto family, auto element, auto tile, bool split) {
        using S = decltype(tile);
        if constexpr (!decltype(family)::facts.blocks)
            launch(state, "output", grid_of<S>(rows.rows * a.draws.count, a.layer.outputs),
                   output<decltype(element), S, decltype(family)>, a, split);
    };
    with_likelihood(a.likelihood.family, [&](auto family) {
        with_element(precision, [&](auto element, bool split) {
            if (small)
                with_family(family, element, tile_32(), split);
            else
                with_family(family, element, tile_128(), split);
        });
    });
}

void round_rows(const internal::cuda_state& state, std::int64_t rows, const step_pointer& step, const draw_range& draws,
                const matrix& from, const operand& to) {
    launch(state, "round_numbers", dependent(warps(rows * draws.count)), round_numbers, step, draws, from, to);
}

} // namespace elbo::kernels::cuda
