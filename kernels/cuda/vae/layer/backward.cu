// Gradients of the data of layers: ∂/∂x = G Wᵀ, times the slope of the layer before.
#include "kernels/cuda/core/launch.cuh"
#include "kernels/cuda/vae/latent/latent.cuh"
#include "kernels/cuda/vae/layer/dense.hpp"
#include "kernels/cuda/vae/layer/tile.cuh"
#include "kernels/math/vae_activation.hpp"

namespace elbo::kernels::cuda {

namespace {

/// One draw a row: the gradient of units l and l + 1 of z goes straight on to the heads of the encoder.
__device__ void store_to_heads(const backward_arguments& a, const heads_rule& rule, std::int64_t n, std::int64_t l,
                               float2 z_gradient, bool both) {
    float normals[4];
    latent_noise(*a.step.plan, a.latents.row_numbers[n], a.draws.first, l / 4, normals);
    const auto store = [&](std::int64_t unit, float noise, float gradient) {
        latent_gradient<float> sum = {};
        rule.add(a.latents, n, n, unit, noise, gradient, sum);
        rule.store(a.latents, n, unit, sum);
    };
    store(l, l % 4 == 0 ? normals[0] : normals[2], z_gradient.x);
    if (both)
        store(l + 1, l % 4 == 0 ? normals[1] : normals[3], z_gradient.y);
}

// Predicted as forward (forward.cu).
template <class Element, class S>
__global__ void __launch_bounds__(tile_threads) backward(const backward_arguments a, const bool split) {
    extern __shared__ __align__(16) unsigned char memory[];
    const std::int64_t batch = a.step.rows(), rows = a.decoder ? batch * a.draws.count : batch;
    const std::int64_t first = std::int64_t(blockIdx.x) * S::M, first_column = std::int64_t(blockIdx.y) * S::N;
    if (first >= rows)
        return wait_for_predecessor();
    const layer_view& l = a.layer;
    const along_rows<Element> left{a.gradient.row<Element>(0), a.gradient.stride(), first, rows, l.outputs};
    const along_rows<Element> right{weights_of<Element>(l), l.weights.stride(), first_column, l.inputs, l.outputs};
    const heads_rule rule(a.step, a.rule, a.draws.all);
    for_each_pair<S>(memory, left, right, l.outputs, split, {rows - first, l.inputs - first_column},
                     [&](int i, int j, float2 v) {
                         const std::int64_t row = first + i, column = first_column + j;
                         const bool both = column + 1 < l.inputs;
                         if (a.to_heads)
                             return store_to_heads(a, rule, row, column, v, both);
                         if (a.kept.data) {
                             const float2 kept = load_pair(a.kept.row<Element>(row) + column, both);
                             v.x *= activation_slope(a.form, kept.x);
                             v.y *= activation_slope(a.form, kept.y);
                         }
                         if (a.wide)
                             store_pair(a.input_gradient.row<float>(row) + column, v, both);
                         else
                             store_pair(a.input_gradient.row<Element>(row) + column, v, both);
                     });
    if (!a.to_heads && !a.wide && first_column + S::N >= l.inputs)
        store_padding<S, Element>(a.input_gradient, first, rows, 0);
}

} // namespace

void backward_layer(const internal::cuda_state& state, vae::training_precision precision, const row_count& rows,
                    const backward_arguments& a) {
    const std::int64_t draws = a.decoder ? a.draws.count : 1;
    with_layer_tile(precision, rows.most, a.layer.inputs, [&](auto element, auto tile, bool split) {
        using S = decltype(tile);
        launch(state, "backward", grid_of<S>(rows.rows * draws, a.layer.inputs), backward<decltype(element), S>, a,
               split);
    });
}

} // namespace elbo::kernels::cuda
