// The likelihood of what a wide last layer puts out. A number: 4 bytes of the product and 4 of x (or 2 of bits) read, 2
// or 4 of the operand written, and the instructions of its term, as in output (layer/forward.cu).
#include "kernels/cuda/core/launch.cuh"
#include "kernels/cuda/vae/layer/likelihood.cuh"
#include "kernels/cuda/vae/wide/strip.cuh"

namespace elbo::kernels::cuda {

namespace {

/// One number of row r of the decoder: its term added to value and second; its gradient.
template <class T, class Family>
__device__ float output_term(const wide_output_arguments<T>& a, std::int64_t r, std::int64_t column, float x,
                             float product, double& value, double& second) {
    if (column >= a.product.columns)
        return 0;
    const float total = Family::facts.counts && a.likelihood.total ? a.likelihood.total[r / a.draws.count] : 1.0f;
    const likelihood_term<device_math> t =
        Family::template term<device_math>(observed<Family>(a.likelihood, x, total, product + a.bias[column], column));
    if constexpr (Family::facts.second == second_sum::own_gradient)
        if (a.likelihood.own_gradient.data)
            a.likelihood.own_gradient(r, column) = t.second;
    value += static_cast<double>(t.value);
    second += static_cast<double>(t.second);
    return t.gradient;
}

/// x of eight numbers; `bits`: it is there as an operand alone.
template <class T>
__device__ eight observed_eight(const wide_output_arguments<T>& a, std::int64_t n, std::int64_t column, bool bits) {
    const matrix& x = a.likelihood.x;
    return bits ? load_eight(a.bits + n * operand_stride(x.columns), column, x.columns)
                : load_eight(x.data + n * x.stride(), column, x.columns);
}

/// Eight numbers, with their gradients in place.
template <class T, class Family>
__device__ void output_terms(const wide_output_arguments<T>& a, std::int64_t r, std::int64_t column, float scale,
                             eight x, eight& numbers, double& value, double& second) {
    if constexpr (Family::facts.counts) {
        // Hundreds of instructions a term: one after the other, the first in turn, so that no register has an index.
#pragma unroll 1
        for (int i = 0; i < thread_columns; ++i) {
            const float g = scale * output_term<T, Family>(a, r, column + i, x.v[0], numbers.v[0], value, second);
#pragma unroll
            for (int k = 0; k + 1 < thread_columns; ++k) {
                x.v[k] = x.v[k + 1];
                numbers.v[k] = numbers.v[k + 1];
            }
            numbers.v[thread_columns - 1] = g;
        }
    } else {
#pragma unroll
        for (int i = 0; i < thread_columns; ++i)
            numbers.v[i] = scale * output_term<T, Family>(a, r, column + i, x.v[i], numbers.v[i], value, second);
    }
}

// Predicted for an H200, by bytes (4.27 TB/s): 1.9 us a million numbers of bits in bfloat16 (4 + 2 bytes read, 2
// written), 2.8 in float32; the 30 instructions of a Bernoulli term take 0.9 at 33.5e12 a second.
template <class T, class Family>
__global__ void __launch_bounds__(strip_threads) wide_likelihood(const wide_output_arguments<T> a) {
    strip_place at(a.end);
    const std::int64_t batch = a.step.rows(), rows = batch * a.draws.count, columns = a.product.columns;
    const bool is_elbo = a.objective == vae::objective::elbo;
    const float scale = is_elbo ? static_cast<float>(draw_scale(a.objective, batch, a.draws.all)) : 1.0f;
    const bool bits = !Family::facts.counts && a.bits && has_bits(*a.step.plan);
    eight sum = {};
    for (; at.row < at.end; at.row += strip_warps) {
        eight r = {};
        if (at.row < rows) {
            float* const product = a.product.data + at.row * a.product.stride();
            r = load_eight(product, at.column, columns);
            double value = 0, second = 0;
            output_terms<T, Family>(a, at.row, at.column, scale,
                                    observed_eight(a, at.row / a.draws.count, at.column, bits), r, value, second);
            value = warp_sum(value);
            second = warp_sum(second);
            if (threadIdx.x % 32 == 0) {
                a.parts.log_likelihood[blockIdx.y * a.parts.capacity + at.row] = value;
                a.parts.second[blockIdx.y * a.parts.capacity + at.row] = second;
            }
            if (a.keeps)
                store_eight(product, at.column, a.product.stride(), r);
#pragma unroll
            for (int i = 0; i < thread_columns; ++i)
                sum.v[i] += r.v[i];
        }
        if (a.out.data)
            store_eight(a.out.data + at.row * a.out.stride, at.column, a.out.stride, r);
    }
    if (a.out.data)
        store_sums(sum, columns, a.sums);
}

} // namespace

template <class T>
void wide_output(const internal::cuda_state& state, const wide_output_arguments<T>& a) {
    with_likelihood(a.likelihood.family, [&](auto family) {
        using Family = decltype(family);
        if constexpr (!Family::facts.blocks)
            launch(state, "wide_likelihood", strips(a.end, a.out.data ? a.out.stride : a.product.stride()),
                   wide_likelihood<T, Family>, a);
    });
}
template void wide_output(const internal::cuda_state&, const wide_output_arguments<float>&);
template void wide_output(const internal::cuda_state&, const wide_output_arguments<__nv_bfloat16>&);

} // namespace elbo::kernels::cuda
