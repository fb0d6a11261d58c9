// The network on the device: parameters with the optimiser's state, and passes of rows through it.
#pragma once

#include "kernels/cuda/vae/latent/latent.hpp"
#include "kernels/cuda/vae/layer/dense.hpp"
#include "kernels/cuda/vae/train/optimizer.hpp"
#include "kernels/cuda/vae/workspace.hpp"

#include <vector>

namespace elbo::kernels::cuda {

class wide_step;

/// What a pass works on: the rows of a step, in launches for `rows` of them.
struct pass {
    step_pointer step;
    std::int64_t rows;
    draw_range draws;
    vae::training_precision precision;
    const pass_memory& memory;
    const wide_step* wide = nullptr; ///< the layers that the library multiplies; training alone
};

/// The same network where rows of weights begin at multiples of row_stride: places in the device's flat vectors. What
/// lies behind rows is 0, and so are its gradients and moments.
vae_layout place_on_device(const vae_layout& l);
/// A flat vector as the device keeps it, and back.
std::vector<float> to_places(const vae_layout& l, const std::vector<double>& from);
std::vector<double> from_places(const vae_layout& l, const std::vector<float>& from);

/// Parameters and what depends on the architecture alone. Enqueues only.
class vae_network {
public:
    vae_network(const state_pointer& state, const vae_layout& layout);
    static std::int64_t bytes(const vae_layout& layout);

    /// With the places of the device.
    const vae_layout& layout() const { return layout_; }
    std::int64_t size() const { return padded(layout_.parameters); }
    /// Of the optimiser; moments, rounded and average once they are wanted.
    optimizer_view vectors() const;
    void want_moments();
    void want_rounded();
    void want_average();
    layer_view view(const dense_layer& layer) const;
    const std::int64_t* weight_edges() const { return weight_edges_.data(); }
    std::int64_t weight_edge_count() const { return weight_edges_.size(); }
    /// `training`: with gaussian_scale::optimal, the variance of the batch instead of that of the parameters.
    likelihood_view likelihood(const pass_memory& m, bool training) const;

    void encode(const pass& p) const;
    /// z to what the decoder puts out; the rows of p.memory.latents.z.
    void decode(const pass& p) const;
    /// z to terms of log p(x|z), and in training to the gradient of the decoder's output: to p.memory.output where
    /// gradient_stays_wide, else to its operand.
    void evaluate_likelihood(const pass& p, vae::objective objective, bool training) const;
    /// Whether the gradient of the decoder's output is read as float32 numbers before products take it.
    bool gradient_stays_wide(vae::objective objective) const;
    sphere_arguments sphere(const pass& p) const;

private:
    void forward(const pass& p, std::int64_t draws, const std::vector<dense_layer>& layers,
                 const std::vector<layer_memory>& memory, const operand& input, std::size_t count) const;
    void forward_decoder(const pass& p, std::size_t count) const;

    state_pointer state_;
    vae_layout layout_;
    device_buffer<float> parameters_, first_moment_, second_moment_, average_;
    device_buffer<__nv_bfloat16> rounded_;
    device_buffer<float> own_; ///< parameter of the likelihood: fixed, and optimal of a batch
    device_buffer<std::int64_t> blocks_, weight_edges_;
};

} // namespace elbo::kernels::cuda
