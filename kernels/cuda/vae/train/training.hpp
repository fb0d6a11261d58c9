// A training step on the device: passes forward and backward, gradients, optimiser.
#pragma once

#include "kernels/cuda/vae/network.hpp"

namespace elbo::kernels::cuda {

/// Memory of training steps of up to `rows` rows with up to `samples` draws, and how they are enqueued.
class vae_training {
public:
    vae_training(const state_pointer& state, const vae_layout& layout, std::int64_t rows, std::int64_t samples);
    static std::int64_t bytes(const vae_layout& layout, std::int64_t rows, std::int64_t samples);

    /// One step on up to `rows` rows; `moves` the parameters, else the gradient alone is wanted.
    void enqueue(const vae_network& network, const vae_settings& s, const step_pointer& step, std::int64_t rows,
                 bool moves) const;
    const float* gradient() const { return gradient_.data(); }

private:
    void forward(const vae_network& network, const vae_settings& s, const pass& p) const;
    void backward(const vae_network& network, const vae_settings& s, const pass& p) const;
    void sum_gradients(const vae_network& network, const vae_settings& s, const pass& p, std::int64_t shards) const;
    objective_rule rule(const vae_settings& s) const;
    /// `before`: what the layer's input comes from, the gradient of which is wanted.
    void backward_one(const vae_network& network, const vae_settings& s, const pass& p, bool decoder,
                      const dense_layer& layer, const matrix& gradient, const layer_memory& before,
                      bool to_heads) const;

    state_pointer state_;
    const vae_layout& layout_;
    pass_owner memory_;
    device_buffer<float> gradient_; ///< [shards x padded parameters]
    device_buffer<double> square_sums_;
    device_buffer<optimizer_step<float>> next_;
    std::int64_t weight_blocks_ = 0, column_blocks_ = 0;
    device_buffer<weight_task> weight_tasks_;
    device_buffer<column_task> column_tasks_;
};

} // namespace elbo::kernels::cuda
