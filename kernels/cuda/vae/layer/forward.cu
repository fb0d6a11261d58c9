// Forward pass of layers, and the output layer with its likelihood: logits are never stored.
#include "kernels/cuda/core/dependent.cuh"
#include "kernels/cuda/core/launch.cuh"
#include "kernels/cuda/vae/layer/dense.hpp"
#include "kernels/cuda/vae/layer/likelihood.cuh"
#include "kernels/cuda/vae/layer/source.cuh"
#include "kernels/cuda/vae/layer/warp.cuh"
#include "kernels/math/vae_activation.hpp"

namespace elbo::kernels::cuda {

namespace {

// Of a number of float32 data 4 bytes read, 8 written and 65 lane instructions, with ln(1 + x) and the sums. Predicted
// for an H200: 2.8 us a million numbers, by bytes (4.27 TB/s; the instructions take 1.9 us at 33.5e12 a second).
__global__ void __launch_bounds__(row_threads) gather(const input_arguments a) {
    wait_for_predecessor();
    let_successor_start();
    const std::int64_t n = warp_index(), lane = threadIdx.x % 32;
    if (n >= a.step.rows())
        return;
    const slice_plan& plan = *a.step.plan;
    const std::int64_t slot = slot_of(a.step, n);
    double total = 0;
    for (std::int64_t j = 4 * lane; j < a.x.stride(); j += 4 * 32) {
        const float4 v = j < plan.source.dimensions ? stored_values(plan.source, slot, j) : float4{};
        total +=
            static_cast<double>(v.x) + static_cast<double>(v.y) + static_cast<double>(v.z) + static_cast<double>(v.w);
        *reinterpret_cast<float4*>(a.x.data + n * a.x.stride() + j) = v;
        if (a.input.data)
            *reinterpret_cast<float4*>(a.input.data + n * a.x.stride() + j) = {log1pf(v.x), log1pf(v.y), log1pf(v.z),
                                                                               log1pf(v.w)};
    }
    total = warp_sum(total);
    if (lane > 0)
        return;
    a.row_numbers[n] = static_cast<std::uint64_t>(plan.first_row + slot);
    if (a.total)
        a.total[n] = static_cast<float>(total);
}

template <class Math>
__global__ void __launch_bounds__(tile_threads) forward(const forward_arguments a) {
    __shared__ tile_memory memory;
    const std::int64_t rows = a.step.rows() * a.draws;
    const std::int64_t first = std::int64_t(blockIdx.x) * tile_m, first_column = std::int64_t(blockIdx.y) * tile_n;
    if (first >= rows)
        return;
    weights_for<Math> b(weights_of<Math>(a.layer), a.layer.inputs, a.layer.outputs, first_column);
    const tile_extent wanted{rows - first, a.layer.outputs - first_column};
    if (a.input.data) {
        matrix_rows left(a.input, first, rows);
        multiply<Math>(memory, left, b, a.layer.inputs, wanted);
    } else {
        data_rows left(a.step, first, a.data_copy, a.row_numbers, blockIdx.y == 0);
        multiply<Math>(memory, left, b, a.layer.inputs, wanted);
    }
    for_each_product(memory, [&](int i, int j, float value) {
        const std::int64_t row = first + i, column = first_column + j;
        if (row >= rows || column >= a.output.stride())
            return;
        const bool real = column < a.layer.outputs;
        const float sum = real ? value + a.layer.bias[column] : 0.0f;
        a.output(row, column) = real ? activate(a.layer.form, sum) : 0.0f;
        if (a.kept)
            a.kept[row * a.output.stride() + column] = sum;
    });
}

// Of a number 1.6 lane instructions a multiplication (float32) and those of its term: 328 of a poisson likelihood, 878
// of negative binomial; 4 bytes of x read, 4 of each gradient written. Predicted for an H200, by instructions (33.5e12
// a second): beside the product 10 and 26 us a million numbers.
template <class Math, class Family>
__global__ void __launch_bounds__(tile_threads) output(const output_arguments a) {
    __shared__ tile_memory memory;
    const std::int64_t batch = a.step.rows(), rows = batch * a.draws.count;
    const std::int64_t first = std::int64_t(blockIdx.x) * tile_m, first_column = std::int64_t(blockIdx.y) * tile_n;
    if (first >= rows)
        return;
    matrix_rows left(a.input, first, rows);
    weights_for<Math> b(weights_of<Math>(a.layer), a.layer.inputs, a.layer.outputs, first_column);
    const tile_extent wanted{rows - first, a.layer.outputs - first_column};
    multiply<Math>(memory, left, b, a.layer.inputs, wanted);
    const bool is_elbo = a.objective == vae::objective::elbo;
    const float scale = is_elbo ? static_cast<float>(draw_scale(a.objective, batch, a.draws.all)) : 1.0f;
    const int lane = static_cast<int>(threadIdx.x) % 32;
#pragma unroll 1
    for (int i = static_cast<int>(threadIdx.x) / 32; i < tile_m && first + i < rows; i += tile_threads / 32) {
        const std::int64_t row = first + i, source = row / a.draws.count;
        double value = 0, second = 0;
        for (int j = lane; j < tile_n; j += 32) {
            const std::int64_t column = first_column + j;
            if (column >= a.likelihood.x.stride())
                continue;
            likelihood_term<device_math> t = {};
            if (column < a.layer.outputs)
                t = term_of<Family>(a.likelihood, source, row, memory.c[i][j] + a.layer.bias[column], column);
            value += t.value;
            second += t.second;
            if (a.gradient.data)
                a.gradient(row, column) = scale * t.gradient;
        }
        value = warp_sum(value);
        second = warp_sum(second);
        if (lane == 0) {
            a.parts.log_likelihood[blockIdx.y * a.parts.capacity + row] = value;
            a.parts.second[blockIdx.y * a.parts.capacity + row] = second;
        }
    }
}

launch_shape tiles(std::int64_t rows, std::int64_t columns) {
    return {blocks_for(rows, tile_m), tile_threads, 0, blocks_for(columns, tile_n)};
}

} // namespace

std::int64_t column_tiles(std::int64_t outputs) {
    return blocks_for(outputs, tile_n);
}

void gather_input(const internal::cuda_state& state, std::int64_t rows, const input_arguments& a) {
    launch(state, "gather", dependent(warps(rows)), gather, a);
}

void forward_layer(const internal::cuda_state& state, vae::training_precision precision, std::int64_t rows,
                   const forward_arguments& a) {
    const launch_shape shape = tiles(rows * a.draws, a.layer.outputs);
    with_math(precision, [&](auto math) { launch(state, "forward", shape, forward<decltype(math)>, a); });
}

void output_layer(const internal::cuda_state& state, vae::training_precision precision, std::int64_t rows,
                  const output_arguments& a) {
    const launch_shape shape = tiles(rows * a.draws.count, a.layer.outputs);
    with_likelihood(a.likelihood.family, [&](auto family) {
        using Family = decltype(family);
        if constexpr (!Family::facts.blocks)
            with_math(precision, [&](auto math) { launch(state, "output", shape, output<decltype(math), Family>, a); });
    });
}

} // namespace elbo::kernels::cuda
