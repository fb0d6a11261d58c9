// The parameters of a network as the kernels want them: panels of weights, a transposed copy, and the optimiser's state
// in the same order.
#pragma once

#include "kernels/contract/vae_layout.hpp"
#include "kernels/cpu/core/workspace.hpp"
#include "kernels/cpu/vae/kernel_table.hpp"

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
    vae_parameters(const vae_layout& layout, const vae_table& kernels);

    /// Numbers with padding.
    std::int64_t size() const { return size_; }
    std::int64_t bytes() const { return aligned_array<float>::bytes(5 * size_ + transposed_size_); }
    layer_view view(const stored_layer& layer) const;
    /// What is not of a layer (sphere, ln σ² of the likelihood): number i of the flat vector from `first_extra` on is
    /// number extras + i − first_extra here.
    float extra(std::int64_t flat) const { return values[extras + flat - first_extra]; }

    void set(const std::vector<double>& flat, aligned_array<float>& to) const;
    std::vector<double> get(const aligned_array<float>& from) const;
    /// Memory of training, where there is none yet, with moments of zero.
    void want_training();
    /// Moments of zero, and no average.
    void clear_moments();
    /// Takes `values` and makes the transposed copy.
    void set_values(const std::vector<double>& flat);
    /// Puts one block into the transposed copy.
    void transpose_block(const stored_layer& layer, std::int64_t input, std::int64_t output);

    std::vector<stored_layer> encoder, decoder;
    std::int64_t extras = 0, extra_count = 0, first_extra = 0; ///< extra_count with padding
    aligned_array<float> values;
    aligned_array<float> gradient, first_moment, second_moment; ///< empty until want_training
    aligned_array<float> average;                               ///< empty without averaging

private:
    template <class Call>
    void for_each(const Call& call) const;
    void add_layers(const std::vector<dense_layer>& from, bool last_has_halves, std::vector<stored_layer>& to);

    const vae_table& kernels_;
    std::int64_t parameters_ = 0, size_ = 0, transposed_size_ = 0;
    aligned_array<float> transposed_;
};

} // namespace elbo::kernels::cpu
