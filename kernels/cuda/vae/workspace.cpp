#include "kernels/cuda/vae/workspace.hpp"

#include "kernels/cuda/vae/layer/dense.hpp"
#include "kernels/math/likelihood/families.hpp"
#include "kernels/math/vae_activation.hpp"

namespace elbo::kernels::cuda {

namespace {

matrix take_matrix(carver& from, std::int64_t rows, std::int64_t columns) {
    return {from.take<float>(rows * row_stride(columns)), columns};
}

operand take_operand(carver& from, std::int64_t rows, std::int64_t columns, bool rounded) {
    return {from.take<float>(rows * row_stride(columns)), columns, rounded};
}

/// float32 numbers beside an operand, which are the same where it is not rounded; training alone rounds.
matrix take_beside(carver& from, std::int64_t rows, const operand& o, bool training) {
    const matrix own = training ? take_matrix(from, rows, o.columns) : matrix{};
    return o.rounded ? own : o.as_matrix();
}

layer_memory take_layer(carver& from, const dense_layer& layer, std::int64_t rows, bool training, bool rounded) {
    layer_memory m{take_operand(from, rows, layer.outputs, rounded)};
    if (!training)
        return m;
    m.gradient = take_operand(from, rows, layer.outputs, rounded);
    if (slope_needs_input(layer.form))
        m.kept = take_operand(from, rows, layer.outputs, rounded);
    else if (layer.form != vae::activation::identity)
        m.kept = m.output;
    return m;
}

latent_view take_latents(const vae_layout& l, std::int64_t rows, std::int64_t pairs, const layer_memory& heads,
                         bool training, bool rounded, carver& from) {
    const std::int64_t latent = l.architecture.latent;
    latent_view v = {};
    v.latent = latent;
    v.heads = heads.output.as_matrix();
    v.heads_gradient = heads.gradient;
    v.log_variance = take_matrix(from, rows, latent);
    v.z_operand = take_operand(from, pairs, latent, rounded);
    v.z = take_beside(from, pairs, v.z_operand, training);
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

std::int64_t output_parts(std::int64_t pairs, std::int64_t d) {
    return blocks_for(d, output_tiles[choose_tile(output_tiles, pairs, d)].columns);
}

pass_memory carve_pass(const vae_layout& l, std::int64_t rows, std::int64_t pairs, bool training, bool rounded,
                       carver from, std::int64_t* used) {
    const std::int64_t d = l.architecture.dimensions;
    pass_memory m;
    m.rows = rows;
    m.pairs = pairs;
    m.input = take_operand(from, rows, d, rounded);
    m.x = l.architecture.encoder_input == vae::encoder_input::log1p ? take_matrix(from, rows, d)
                                                                    : take_beside(from, rows, m.input, training);
    if (l.architecture.likelihood.library_size)
        m.total = from.take<float>(rows);
    for (const dense_layer& layer : l.encoder)
        m.encoder.push_back(take_layer(from, layer, rows, training, rounded));
    m.latents = take_latents(l, rows, pairs, m.encoder.back(), training, rounded, from);
    m.output_gradient = take_operand(from, pairs, d, rounded);
    m.output = take_beside(from, pairs, m.output_gradient, training);
    if (training && has_own_gradients(l))
        m.own_gradient = take_matrix(from, pairs, d);
    for (std::size_t i = 0; i + 1 < l.decoder.size(); ++i)
        m.decoder.push_back(take_layer(from, l.decoder[i], pairs, training, rounded));
    if (!l.decoder.empty())
        m.decoder.push_back({{m.output.data, d, false}, {}, m.output_gradient});
    const std::int64_t parts = likelihood_of_rows(l, training) ? 1 : output_parts(pairs, d);
    m.parts = {from.take<double>(parts * pairs), from.take<double>(parts * pairs), parts, pairs};
    m.inverse_norm = from.take<float>(pairs);
    if (training) {
        m.weights = from.take<float>(pairs);
        m.log_mean_weight = from.take<double>(rows);
        m.along = from.take<double>(pairs);
    } else {
        m.sums = {from.take<double>(rows), from.take<double>(rows), from.take<importance_sum>(rows)};
    }
    if (used)
        *used = from.used();
    return m;
}

pass_owner::pass_owner(const state_pointer& state, const vae_layout& l, std::int64_t rows, std::int64_t pairs,
                       bool training)
    : memory_(state, training ? "activations of training" : "activations of evaluation",
              bytes(l, rows, pairs, training)) {
    clear_async(*state, memory_.data(), memory_.size()); // what is behind columns is read with them
    view_ = carve_pass(l, rows, pairs, training, false, carver(memory_.data()));
    if (training)
        rounded_view_ = carve_pass(l, rows, pairs, training, true, carver(memory_.data()));
}

std::int64_t pass_owner::bytes(const vae_layout& l, std::int64_t rows, std::int64_t pairs, bool training) {
    std::int64_t used = 0;
    carve_pass(l, rows, pairs, training, false, carver(nullptr), &used);
    return used;
}

} // namespace elbo::kernels::cuda
