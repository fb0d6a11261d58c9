#include "kernels/cuda/vae/workspace.hpp"

#include "kernels/cuda/vae/layer/dense.hpp"
#include "kernels/math/likelihood/families.hpp"
#include "kernels/math/vae_activation.hpp"

namespace elbo::kernels::cuda {

namespace {

matrix take_matrix(carver& from, std::int64_t rows, std::int64_t columns) {
    return {from.take<float>(rows * padded(columns)), columns};
}

layer_memory take_layer(carver& from, const dense_layer& layer, std::int64_t rows, bool training) {
    layer_memory m{take_matrix(from, rows, layer.outputs)};
    if (!training)
        return m;
    m.gradient = take_matrix(from, rows, layer.outputs);
    if (slope_needs_input(layer.form))
        m.kept = from.take<float>(rows * padded(layer.outputs));
    else if (layer.form != vae::activation::identity)
        m.kept = m.output.data;
    return m;
}

latent_view take_latents(const vae_layout& l, std::int64_t rows, std::int64_t pairs, const layer_memory& heads,
                         carver& from) {
    const std::int64_t latent = l.architecture.latent;
    latent_view v = {};
    v.latent = latent;
    v.heads = heads.output;
    v.heads_gradient = heads.gradient;
    v.log_variance = take_matrix(from, rows, latent);
    v.z = take_matrix(from, pairs, latent);
    v.z_gradient = take_matrix(from, pairs, latent);
    v.row_numbers = from.take<std::uint64_t>(rows);
    v.kl = from.take<double>(rows);
    v.log_ratios = from.take<double>(pairs);
    v.unit_kl_means = from.take<double>(latent);
    return v;
}

} // namespace

bool likelihood_of_rows(const vae_layout& l, bool training) {
    // Blocks reach over tiles, and the optimal scale is known after all outputs of a batch.
    return l.decoder.empty() || facts_of(l.architecture.likelihood.family).blocks || (training && has_optimal_scale(l));
}

pass_memory carve_pass(const vae_layout& l, std::int64_t rows, std::int64_t pairs, bool training, carver& from) {
    const std::int64_t d = l.architecture.dimensions;
    pass_memory m;
    m.rows = rows;
    m.pairs = pairs;
    m.x = take_matrix(from, rows, d);
    m.input = l.architecture.encoder_input == vae::encoder_input::log1p ? take_matrix(from, rows, d) : m.x;
    if (l.architecture.likelihood.library_size)
        m.total = from.take<float>(rows);
    for (const dense_layer& layer : l.encoder)
        m.encoder.push_back(take_layer(from, layer, rows, training));
    m.latents = take_latents(l, rows, pairs, m.encoder.back(), from);
    m.output = take_matrix(from, pairs, d);
    if (training && has_own_gradients(l))
        m.own_gradient = take_matrix(from, pairs, d);
    for (std::size_t i = 0; i + 1 < l.decoder.size(); ++i)
        m.decoder.push_back(take_layer(from, l.decoder[i], pairs, training));
    if (!l.decoder.empty())
        m.decoder.push_back({m.output, nullptr, m.output});
    const std::int64_t parts = likelihood_of_rows(l, training) ? 1 : column_tiles(d);
    m.parts = {from.take<double>(parts * pairs), from.take<double>(parts * pairs), parts, pairs};
    m.inverse_norm = from.take<float>(pairs);
    if (training) {
        m.weights = from.take<float>(pairs);
        m.log_mean_weight = from.take<double>(rows);
        m.along = from.take<double>(pairs);
    } else {
        m.sums = {from.take<double>(rows), from.take<double>(rows), from.take<importance_sum>(rows)};
    }
    return m;
}

pass_owner::pass_owner(const state_pointer& state, const vae_layout& l, std::int64_t rows, std::int64_t pairs,
                       bool training)
    : memory_(state, training ? "activations of training" : "activations of evaluation",
              bytes(l, rows, pairs, training)) {
    carver from(memory_.data());
    view_ = carve_pass(l, rows, pairs, training, from);
}

std::int64_t pass_owner::bytes(const vae_layout& l, std::int64_t rows, std::int64_t pairs, bool training) {
    carver count(nullptr);
    carve_pass(l, rows, pairs, training, count);
    return count.used();
}

} // namespace elbo::kernels::cuda
