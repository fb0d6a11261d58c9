// The parameters of a network as the kernels want them: panels of weights, a transposed copy, and the optimiser's state
// in the same order.
#pragma once

#include "kernels/contract/vae_layout.hpp"
#include "kernels/cpu/core/workspace.hpp"
#include "kernels/cpu/vae/kernel_table.hpp"

#include <algorithm>
#include <cstdint>
#include <vector>

namespace elbo::kernels::cpu {

/// Where the numbers of a layer lie: offsets into `values` and into `transposed`.
struct stored_layer {
    dense_layer form;
    std::int64_t halves, input_panels, output_panels;
    std::int64_t weights, bias, transposed;

    /// Block of 16 x 16 weights of an input and an output panel.
    std::int64_t block(std::int64_t input, std::int64_t output) const {
        return weights + (output * input_panels + input) * panel_width * panel_width;
    }
    std::int64_t transposed_block(std::int64_t input, std::int64_t output) const {
        return transposed + (input * output_panels + output) * panel_width * panel_width;
    }
};

class vae_parameters {
public:
    vae_parameters(const vae_layout& layout, const vae_table& kernels)
        : kernels_(kernels), parameters_(layout.parameters) {
        add_layers(layout.encoder, true, encoder);
        add_layers(layout.decoder, false, decoder);
        const dense_layer& last = (layout.decoder.empty() ? layout.encoder : layout.decoder).back();
        first_extra = last.bias + last.outputs;
        extras = size_;
        extra_count = panels_of(parameters_ - first_extra) * panel_width;
        size_ += extra_count;
        values = aligned_array<float>(size_);
        transposed_ = aligned_array<float>(transposed_size_);
    }

    /// Numbers with padding.
    std::int64_t size() const { return size_; }
    std::int64_t bytes() const { return aligned_array<float>::bytes(5 * size_ + transposed_size_); }
    layer_view view(const stored_layer& layer) const {
        return {layer.form.inputs,
                layer.form.outputs,
                layer.halves,
                layer.input_panels,
                layer.output_panels,
                layer.form.form,
                values.data() + layer.weights,
                transposed_.data() + layer.transposed,
                values.data() + layer.bias};
    }

    /// What is not of a layer (sphere, ln σ² of the likelihood): number i of the flat vector from `first_extra` on is
    /// number extras + i − first_extra here.
    float extra(std::int64_t flat) const { return values[extras + flat - first_extra]; }

    void set(const std::vector<double>& flat, aligned_array<float>& to) const {
        for_each([&](std::int64_t from, std::int64_t at) { to[at] = static_cast<float>(flat[from]); });
    }
    std::vector<double> get(const aligned_array<float>& from) const {
        std::vector<double> flat(static_cast<std::size_t>(parameters_));
        for_each([&](std::int64_t to, std::int64_t at) { flat[to] = from[at]; });
        return flat;
    }
    /// Memory of training, where there is none yet, with moments of zero.
    void want_training() {
        for (aligned_array<float>* a : {&gradient, &first_moment, &second_moment})
            if (a->size() == 0)
                *a = aligned_array<float>(size_);
    }
    /// Moments of zero, and no average.
    void clear_moments() {
        for (aligned_array<float>* a : {&first_moment, &second_moment})
            std::fill_n(a->data(), a->size(), 0.0f);
        average = aligned_array<float>();
    }
    /// Takes `values` and makes the transposed copy.
    void set_values(const std::vector<double>& flat) {
        set(flat, values);
        for (const auto* layers : {&encoder, &decoder})
            for (const stored_layer& layer : *layers)
                for (std::int64_t i = 0; i < layer.input_panels; ++i)
                    for (std::int64_t j = 0; j < layer.output_panels; ++j)
                        transpose_block(layer, i, j);
    }

    /// Puts one block into the transposed copy.
    void transpose_block(const stored_layer& layer, std::int64_t input, std::int64_t output) {
        kernels_.transpose(values.data() + layer.block(input, output),
                           transposed_.data() + layer.transposed_block(input, output));
    }

    std::vector<stored_layer> encoder, decoder;
    std::int64_t extras = 0, extra_count = 0, first_extra = 0; ///< extra_count with padding
    aligned_array<float> values;
    aligned_array<float> gradient, first_moment, second_moment; ///< empty until want_training
    aligned_array<float> average;                               ///< empty without averaging

private:
    /// Calls call(number in the flat vector, number here) for every parameter.
    template <class Call>
    void for_each(const Call& call) const {
        for (const auto* layers : {&encoder, &decoder})
            for (const stored_layer& layer : *layers) {
                const std::int64_t columns = layer.form.outputs / layer.halves;
                for (std::int64_t j = 0; j < layer.form.outputs; ++j) {
                    const std::int64_t half = j / columns, in_half = j % columns;
                    const std::int64_t column = half * panels_of(columns) * panel_width + in_half;
                    call(layer.form.bias + j, layer.bias + column);
                    for (std::int64_t i = 0; i < layer.form.inputs; ++i)
                        call(layer.form.weights + i * layer.form.outputs + j,
                             layer.block(0, column / panel_width) + i * panel_width + column % panel_width);
                }
            }
        for (std::int64_t i = first_extra; i < parameters_; ++i)
            call(i, extras + i - first_extra);
    }

    void add_layers(const std::vector<dense_layer>& from, bool last_has_halves, std::vector<stored_layer>& to) {
        for (const dense_layer& form : from) {
            stored_layer layer{form, last_has_halves && &form == &from.back() ? 2 : 1, panels_of(form.inputs), 0, 0, 0,
                               0};
            layer.output_panels = layer.halves * panels_of(form.outputs / layer.halves);
            const std::int64_t weights = layer.input_panels * layer.output_panels * panel_width * panel_width;
            layer.weights = size_;
            layer.bias = size_ + weights;
            layer.transposed = transposed_size_;
            size_ = layer.bias + layer.output_panels * panel_width;
            transposed_size_ += weights;
            to.push_back(layer);
        }
    }

    const vae_table& kernels_;
    std::int64_t parameters_ = 0, size_ = 0, transposed_size_ = 0;
    aligned_array<float> transposed_;
};

} // namespace elbo::kernels::cpu
