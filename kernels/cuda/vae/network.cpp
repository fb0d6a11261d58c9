#include "kernels/cuda/vae/network.hpp"

#include "kernels/cuda/vae/wide/steps.hpp"
#include "kernels/math/likelihood/families.hpp"

#include <algorithm>

namespace elbo::kernels::cuda {

namespace {

std::vector<std::int64_t> block_edges(const vae::architecture& a) {
    if (a.likelihood.blocks.empty())
        return {};
    std::vector<std::int64_t> edges = {0};
    for (std::int64_t size : a.likelihood.blocks)
        edges.push_back(edges.back() + size);
    return edges;
}

std::vector<std::int64_t> edges_of_weights(const vae_layout& l) {
    std::vector<std::int64_t> edges;
    for (const auto* layers : {&l.encoder, &l.decoder})
        for (const dense_layer& layer : *layers)
            edges.insert(edges.end(), {layer.weights, layer.bias});
    return edges;
}

template <class T>
device_buffer<T> upload(const state_pointer& state, const char* label, const std::vector<T>& values) {
    device_buffer<T> buffer(state, label, static_cast<std::int64_t>(values.size()));
    copy_async(*state, buffer.data(), values.data(), buffer.size());
    internal::wait_for(*state); // the values are gone when this returns
    return buffer;
}

/// Calls copy(place, place on the device, count) for all parts of a flat vector that lie together in either.
template <class Copy>
void for_each_run(const vae_layout& l, const Copy& copy) {
    const vae_layout to = place_on_device(l);
    std::int64_t end = 0, device_end = 0;
    const auto add_layers = [&](const std::vector<dense_layer>& layers, const std::vector<dense_layer>& places) {
        for (std::size_t i = 0; i < layers.size(); ++i) {
            const dense_layer& layer = layers[i];
            for (std::int64_t row = 0; row <= layer.inputs; ++row)
                copy(layer.weights + row * layer.outputs, places[i].weights + row * row_stride(layer.outputs),
                     layer.outputs);
            end = layer.bias + layer.outputs;
            device_end = places[i].bias + row_stride(layer.outputs);
        }
    };
    add_layers(l.encoder, to.encoder);
    add_layers(l.decoder, to.decoder);
    copy(end, device_end, l.parameters - end);
}

} // namespace

vae_layout place_on_device(const vae_layout& l) {
    vae_layout to = l;
    std::int64_t at = 0;
    for (auto* layers : {&to.encoder, &to.decoder})
        for (dense_layer& layer : *layers) {
            layer.weights = at;
            layer.bias = at + layer.inputs * row_stride(layer.outputs);
            at = layer.bias + row_stride(layer.outputs);
        }
    // Layers come first, the rest follows them.
    const dense_layer& last = l.decoder.empty() ? l.encoder.back() : l.decoder.back();
    const std::int64_t moved = at - (last.bias + last.outputs);
    for (std::int64_t* place : {&to.sphere_radius, &to.sphere_centre, &to.own})
        *place += *place < 0 ? 0 : moved;
    to.parameters += moved;
    return to;
}

std::vector<float> to_places(const vae_layout& l, const std::vector<double>& from) {
    std::vector<float> to(static_cast<std::size_t>(padded(place_on_device(l).parameters)), 0.0f);
    for_each_run(l, [&](std::int64_t place, std::int64_t device, std::int64_t count) {
        std::transform(from.begin() + place, from.begin() + place + count, to.begin() + device,
                       [](double v) { return static_cast<float>(v); });
    });
    return to;
}

std::vector<double> from_places(const vae_layout& l, const std::vector<float>& from) {
    std::vector<double> to(static_cast<std::size_t>(l.parameters));
    for_each_run(l, [&](std::int64_t place, std::int64_t device, std::int64_t count) {
        std::copy_n(from.begin() + device, count, to.begin() + place);
    });
    return to;
}

vae_network::vae_network(const state_pointer& state, const vae_layout& layout)
    : state_(state), layout_(place_on_device(layout)), parameters_(state, "parameters", size()),
      own_(upload<float>(state, "the parameter of the likelihood",
                         {static_cast<float>(initial_own(layout.architecture.likelihood))})),
      blocks_(upload(state, "blocks of the likelihood", block_edges(layout.architecture))),
      weight_edges_(upload(state, "places of the weights", edges_of_weights(layout_))) {}

std::int64_t vae_network::bytes(const vae_layout& layout) {
    const auto small =
        static_cast<std::int64_t>(block_edges(layout.architecture).size() + edges_of_weights(layout).size());
    return padded(place_on_device(layout).parameters) * (4 * 4 + 2) + 8 * small + 4;
}

optimizer_view vae_network::vectors() const {
    return {parameters_.data(), first_moment_.data(), second_moment_.data(), average_.data(), rounded_.data()};
}

void vae_network::want_rounded() {
    if (!rounded_.data())
        rounded_ = device_buffer<__nv_bfloat16>(state_, "rounded parameters", size());
    round_parameters(*state_, parameters_.data(), rounded_.data(), size());
}

void vae_network::want_moments() {
    for (device_buffer<float>* moments : {&first_moment_, &second_moment_})
        if (!moments->data()) {
            *moments = device_buffer<float>(state_, "moments of the optimiser", size());
            clear_async(*state_, moments->data(), size());
        }
}

void vae_network::want_average() {
    if (!average_.data())
        average_ = device_buffer<float>(state_, "averaged parameters", size());
}

layer_view vae_network::view(const dense_layer& layer) const {
    return {layer.inputs,
            layer.outputs,
            {parameters_.data() + layer.weights, layer.outputs},
            rounded_.data() ? rounded_.data() + layer.weights : nullptr,
            parameters_.data() + layer.bias,
            layer.form};
}

likelihood_view vae_network::likelihood(const pass_memory& m, bool training) const {
    const vae::likelihood& form = layout_.architecture.likelihood;
    const bool given = layout_.own_count == 0 || (training && has_optimal_scale(layout_));
    return {form.family,
            form.count_mean,
            m.x,
            m.total,
            given ? own_.data() : parameters_.data() + layout_.own,
            given ? 1 : layout_.own_count,
            blocks_.data(),
            blocks_.size() - 1,
            m.own_gradient};
}

void vae_network::encode(const pass& p) const {
    const pass_memory& m = p.memory;
    const bool logs = layout_.architecture.encoder_input == vae::encoder_input::log1p;
    const wide_layer* wide = p.wide ? p.wide->find(layout_.encoder.front()) : nullptr;
    if (wide && p.wide->gathers() && !logs && !m.total) {
        p.wide->gather(*wide, {p.step, m.x, {}, false, nullptr, m.latents.row_numbers});
        return forward(p, 1, layout_.encoder, m.encoder, {}, layout_.encoder.size());
    }
    gather_input(*state_, p.rows,
                 {p.step, m.x.data == m.input.data ? matrix{} : m.x, m.input, logs, m.total, m.latents.row_numbers});
    forward(p, 1, layout_.encoder, m.encoder, m.input, layout_.encoder.size());
}

/// The first `count` layers; the last of all puts out float32 numbers.
void vae_network::forward(const pass& p, std::int64_t draws, const std::vector<dense_layer>& layers,
                          const std::vector<layer_memory>& memory, const operand& input, std::size_t count) const {
    const std::int64_t most = &layers == &layout_.encoder ? p.memory.rows : p.memory.pairs;
    for (std::size_t i = 0; i < count; ++i) {
        const layer_memory& m = memory[i];
        const bool keeps = m.kept.data != m.output.data;
        const forward_arguments a{p.step,
                                  draws,
                                  view(layers[i]),
                                  i == 0 ? input : memory[i - 1].output,
                                  m.output,
                                  i + 1 == layers.size(),
                                  keeps ? m.kept : operand{}};
        if (const wide_layer* wide = p.wide ? p.wide->find(layers[i]) : nullptr)
            p.wide->forward(*wide, a);
        else
            forward_layer(*state_, p.precision, {p.rows, most}, a);
    }
}

void vae_network::forward_decoder(const pass& p, std::size_t count) const {
    forward(p, p.draws.count, layout_.decoder, p.memory.decoder, p.memory.latents.z_operand, count);
}

sphere_arguments vae_network::sphere(const pass& p) const {
    const pass_memory& m = p.memory;
    return {p.step,
            p.draws.count,
            parameters_.data() + layout_.sphere_radius,
            parameters_.data() + layout_.sphere_centre,
            m.latents,
            m.output,
            m.inverse_norm,
            m.along};
}

void vae_network::decode(const pass& p) const {
    if (layout_.decoder.empty())
        sphere_forward(*state_, p.rows, sphere(p));
    else
        forward_decoder(p, layout_.decoder.size());
}

bool vae_network::gradient_stays_wide(vae::objective objective) const {
    // Whole rows of it are written or weighed, or its squares are added up.
    return likelihood_of_rows(layout_, true) || objective == vae::objective::importance ||
           (source_of(layout_.architecture.likelihood) == vae::parameter_source::learned_per_dimension &&
            !has_own_gradients(layout_));
}

void vae_network::evaluate_likelihood(const pass& p, vae::objective objective, bool training) const {
    const pass_memory& m = p.memory;
    const likelihood_view likelihood = this->likelihood(m, training);
    if (!likelihood_of_rows(layout_, training)) {
        const std::size_t last = layout_.decoder.size() - 1;
        forward_decoder(p, last);
        const operand gradient = !training                        ? operand{}
                                 : gradient_stays_wide(objective) ? operand{m.output.data, m.output.columns, false}
                                                                  : m.output_gradient;
        const output_arguments a{p.step,
                                 p.draws,
                                 view(layout_.decoder[last]),
                                 last == 0 ? m.latents.z_operand : m.decoder[last - 1].output,
                                 likelihood,
                                 objective,
                                 gradient,
                                 m.parts};
        if (const wide_layer* wide = p.wide ? p.wide->find(layout_.decoder[last]) : nullptr)
            p.wide->output(*wide, a);
        else
            output_layer(*state_, p.precision, {p.rows, m.pairs}, a);
        return;
    }
    decode(p);
    const likelihood_arguments a{p.step, p.draws, likelihood, objective, m.output, training, m.parts, own_.data()};
    if (training && has_optimal_scale(layout_))
        optimal_variance(*state_, p.rows, a);
    row_likelihoods(*state_, p.rows, a);
}

} // namespace elbo::kernels::cuda
