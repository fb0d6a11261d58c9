// Activations, slopes, operands and sums of columns. Bytes of a number: what is named in the arguments, once each.
#include "kernels/cuda/vae/wide/elementwise.hpp"

#include "kernels/cuda/core/launch.cuh"
#include "kernels/cuda/vae/layer/source.cuh"
#include "kernels/cuda/vae/wide/strip.cuh"
#include "kernels/math/vae_activation.hpp"

namespace elbo::kernels::cuda {

namespace {

__device__ eight load_bias(const float* bias, std::int64_t column, std::int64_t columns) {
    eight r = {};
#pragma unroll
    for (int i = 0; i < thread_columns; ++i)
        if (column + i < columns)
            r.v[i] = bias[column + i]; // at any address
    return r;
}

// Predicted for an H200, by bytes (4.27 TB/s), where there are blocks for its 132 multiprocessors (512 x 1024 numbers
// are 64): a million numbers in bfloat16 0.9 us (2 bytes read, 2 written; 1.4 where the slope needs the sum), in
// float32 twice that.
template <class T>
__global__ void __launch_bounds__(strip_threads) wide_activate(const activation_arguments<T> a) {
    strip_place at(a.extent.end);
    const std::int64_t rows = a.extent.rows(), columns = a.product.columns;
    const eight bias = load_bias(a.bias, at.column, columns);
    float largest = 0;
    for (; at.row < at.end; at.row += strip_warps) {
        eight r = {};
        if (at.row < rows) {
            r = load_eight(a.product.data + at.row * a.product.stride, at.column, columns);
#pragma unroll
            for (int i = 0; i < thread_columns; ++i)
                r.v[i] += bias.v[i];
            if (a.kept)
                store_eight(a.kept + at.row * a.kept_stride, at.column, a.kept_stride, r);
#pragma unroll
            for (int i = 0; i < thread_columns; ++i)
                r.v[i] = at.column + i < columns    ? activate(a.form, r.v[i])
                         : at.column + i == columns ? a.behind
                                                    : 0.0f;
#pragma unroll
            for (int i = 0; i < thread_columns; ++i)
                largest = at.column + i < columns ? fmaxf(largest, fabsf(r.v[i])) : largest;
        }
        store_eight(a.out.data + at.row * a.out.stride, at.column, a.out.stride, r);
    }
    if (a.largest)
        store_largest(largest, a.largest);
}

// Predicted likewise: 1.4 us a million numbers in bfloat16 (4 bytes read, 2 written), 2.8 in float32.
template <class T>
__global__ void __launch_bounds__(strip_threads) wide_slopes(const slope_arguments<T> a) {
    strip_place at(a.extent.end);
    const std::int64_t rows = a.extent.rows(), columns = a.product.columns;
    eight sum = {};
    float largest = 0;
    for (; at.row < at.end; at.row += strip_warps) {
        eight r = {};
        if (at.row < rows) {
            r = load_eight(a.product.data + at.row * a.product.stride, at.column, columns);
            if (a.kept) {
                const eight kept = load_eight(a.kept + at.row * a.kept_stride, at.column, columns);
#pragma unroll
                for (int i = 0; i < thread_columns; ++i)
                    r.v[i] *= activation_slope(a.form, kept.v[i]);
            }
#pragma unroll
            for (int i = 0; i < thread_columns; ++i) {
                sum.v[i] += r.v[i];
                largest = fmaxf(largest, fabsf(r.v[i]));
            }
        }
        store_eight(a.out.data + at.row * a.out.stride, at.column, a.out.stride, r);
    }
    if (a.largest)
        store_largest(largest, a.largest);
    if (a.sums)
        store_sums(sum, columns, a.sums);
}

// Predicted likewise: 1.4 us a million numbers from float32 to bfloat16 (4 bytes read, 2 written), 1.9 to float32.
template <class T>
__global__ void __launch_bounds__(strip_threads) wide_convert(const operand_arguments<T> a) {
    strip_place at(a.extent.end);
    const std::int64_t rows = a.extent.rows();
    eight sum = {};
    for (; at.row < at.end; at.row += strip_warps) {
        eight r = {};
        if (at.row < rows)
            r = load_eight(a.from.data + at.row * a.from.stride, at.column, a.from.columns);
#pragma unroll
        for (int i = 0; i < thread_columns; ++i)
            sum.v[i] += r.v[i];
        store_eight(a.out.data + at.row * a.out.stride, at.column, a.out.stride, r);
    }
    if (a.sums)
        store_sums(sum, a.from.columns, a.sums);
}

// Predicted likewise: 0.5 us a million bits to bfloat16 (2 bytes written for an eighth of one read), 1.9 of float32
// rows.
template <class T>
__global__ void __launch_bounds__(strip_threads) wide_gather_rows(const gather_arguments<T> a) {
    strip_place at(a.extent.end);
    const slice_plan& plan = *a.extent.step.plan;
    const std::int64_t rows = a.extent.rows(), columns = a.x.columns;
    const bool writes_x = !(a.bits_as_operand && has_bits(plan));
    for (; at.row < at.end; at.row += strip_warps) {
        eight r = {};
        if (at.row < rows) {
            const std::int64_t slot = slot_of(a.extent.step, at.row);
            const auto number = static_cast<std::uint64_t>(plan.first_row + slot);
#pragma unroll
            for (int q = 0; q < thread_columns; q += 4) {
                if (at.column + q >= columns)
                    continue;
                const float4 v = step_values(plan, slot, number, at.column + q);
                const float values[] = {v.x, v.y, v.z, v.w};
#pragma unroll
                for (int i = 0; i < 4; ++i)
                    r.v[q + i] = at.column + q + i < columns ? values[i] : 0.0f;
            }
            if (writes_x)
                store_eight(a.x.data + at.row * a.x.stride(), at.column, a.x.stride(), r);
            if (at.column == 0)
                a.row_numbers[at.row] = number;
        }
        store_eight(a.out.data + at.row * a.out.stride, at.column, a.out.stride, r);
    }
}

// 32 columns of a shard a block, eight parts of its strips. Reads 4 bytes a column and strip: of 784-1024-1024-(128)
// with 8192 rows 5.3 MB, predicted 1.2 us by bytes.
__global__ void __launch_bounds__(strip_threads) wide_bias_sums(const bias_arguments a, std::int64_t shards) {
    __shared__ float parts[strip_warps][32];
    const bias_task& task = a.tasks[blockIdx.y / shards];
    const std::int64_t shard = blockIdx.y % shards, column = std::int64_t(blockIdx.x) * 32 + threadIdx.x % 32;
    if (a.step.rows() == 0)
        return;
    const int part = static_cast<int>(threadIdx.x) / 32;
    float sum = 0;
    if (column < task.columns)
        for (std::int64_t s = part; s < task.strips; s += strip_warps)
            sum += task.sums[(shard * task.strips + s) * task.columns + column];
    parts[part][threadIdx.x % 32] = sum;
    __syncthreads();
    if (part > 0 || column >= task.columns)
        return;
    for (int other = 1; other < strip_warps; ++other)
        sum += parts[other][threadIdx.x];
    a.gradient[shard * a.size + task.offset + column] = sum;
}

} // namespace

template <class T>
void wide_activation(const internal::cuda_state& state, const activation_arguments<T>& a) {
    launch(state, "wide_activate", strips(a.extent.end, a.out.stride), wide_activate<T>, a);
}
template <class T>
void wide_slope(const internal::cuda_state& state, const slope_arguments<T>& a) {
    launch(state, "wide_slopes", strips(a.extent.end, a.out.stride), wide_slopes<T>, a);
}
template <class T>
void wide_operand(const internal::cuda_state& state, const operand_arguments<T>& a) {
    launch(state, "wide_convert", strips(a.extent.end, a.out.stride), wide_convert<T>, a);
}
template <class T>
void wide_gather(const internal::cuda_state& state, const gather_arguments<T>& a) {
    launch(state, "wide_gather_rows", strips(a.extent.end, a.out.stride), wide_gather_rows<T>, a);
}
template void wide_activation(const internal::cuda_state&, const activation_arguments<float>&);
template void wide_activation(const internal::cuda_state&, const activation_arguments<__nv_bfloat16>&);
template void wide_slope(const internal::cuda_state&, const slope_arguments<float>&);
template void wide_slope(const internal::cuda_state&, const slope_arguments<__nv_bfloat16>&);
template void wide_operand(const internal::cuda_state&, const operand_arguments<float>&);
template void wide_operand(const internal::cuda_state&, const operand_arguments<__nv_bfloat16>&);
template void wide_gather(const internal::cuda_state&, const gather_arguments<float>&);
template void wide_gather(const internal::cuda_state&, const gather_arguments<__nv_bfloat16>&);
void wide_biases(const internal::cuda_state& state, const bias_arguments& a, std::int64_t tasks, std::int64_t shards) {
    std::int64_t widest = 0;
    for (std::int64_t t = 0; t < tasks; ++t)
        widest = std::max(widest, a.tasks[t].columns);
    launch(state, "wide_bias_sums", {blocks_for(widest, 32), strip_threads, 0, tasks * shards}, wide_bias_sums, a,
           shards);
}

} // namespace elbo::kernels::cuda
