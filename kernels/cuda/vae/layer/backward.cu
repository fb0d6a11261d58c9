// Gradients of the data of layers: ∂/∂x = G Wᵀ, times the slope of the layer before.
#include "kernels/cuda/core/launch.cuh"
#include "kernels/cuda/vae/latent/latent.cuh"
#include "kernels/cuda/vae/layer/dense.hpp"
#include "kernels/cuda/vae/layer/tile.cuh"
#include "kernels/math/vae_activation.hpp"

namespace elbo::kernels::cuda {

namespace {

/// One draw a row: the gradient of z goes straight on to the heads of the encoder.
__device__ void store_to_heads(const backward_arguments& a, const heads_rule& rule, std::int64_t n, std::int64_t l,
                               float z_gradient) {
    float normals[4];
    latent_noise(*a.step.plan, a.latents.row_numbers[n], a.draws.first, l / 4, normals);
    const float noise = l % 4 == 0 ? normals[0] : l % 4 == 1 ? normals[1] : l % 4 == 2 ? normals[2] : normals[3];
    latent_gradient<float> sum = {};
    rule.add(a.latents, n, n, l, noise, z_gradient, sum);
    rule.store(a.latents, n, l, sum);
}

template <class Math>
__global__ void __launch_bounds__(tile_threads) backward(const backward_arguments a) {
    __shared__ tile_memory memory;
    const std::int64_t batch = a.step.rows(), rows = a.decoder ? batch * a.draws.count : batch;
    const std::int64_t first = std::int64_t(blockIdx.x) * tile_m, first_column = std::int64_t(blockIdx.y) * tile_n;
    if (first >= rows)
        return;
    matrix_rows left(a.gradient, first, rows);
    weights_for<Math, true> b(weights_of<Math>(a.layer), a.layer.inputs, a.layer.outputs, first_column);
    multiply<Math>(memory, left, b, a.layer.outputs, {rows - first, a.layer.inputs - first_column});
    const heads_rule rule(a.step, a.rule, a.draws.all);
    for_each_product(memory, [&](int i, int j, float value) {
        const std::int64_t row = first + i, column = first_column + j;
        if (row >= rows || column >= a.input_gradient.stride())
            return;
        const std::int64_t at = row * a.input_gradient.stride() + column;
        if (column >= a.layer.inputs)
            a.input_gradient.data[at] = 0;
        else if (a.to_heads)
            store_to_heads(a, rule, row, column, value);
        else
            a.input_gradient.data[at] = a.kept ? value * activation_slope(a.form, a.kept[at]) : value;
    });
}

} // namespace

void backward_layer(const internal::cuda_state& state, vae::training_precision precision, std::int64_t rows,
                    const backward_arguments& a) {
    const launch_shape shape{blocks_for(a.decoder ? rows * a.draws.count : rows, tile_m), tile_threads, 0,
                             blocks_for(a.layer.inputs, tile_n)};
    with_math(precision, [&](auto math) { launch(state, "backward", shape, backward<decltype(math)>, a); });
}

} // namespace elbo::kernels::cuda
