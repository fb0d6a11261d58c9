// A training step on the device: passes forward and backward, gradients, optimiser.
#pragma once

#include "kernels/cuda/vae/network.hpp"
#include "kernels/cuda/vae/wide/steps.hpp"

#include <array>
#include <optional>

namespace elbo::kernels::cuda {

/// The first so many tasks of weights, and their blocks.
struct task_count {
    std::int64_t tasks = 0, blocks = 0;
};

/// Memory of training steps of up to `rows` rows with up to `samples` draws, and how they are enqueued.
class vae_training {
public:
    /// `layout`: with the places of the device.
    vae_training(const state_pointer& state, const vae_layout& layout, std::int64_t rows, std::int64_t samples);
    static std::int64_t bytes(const internal::wide_limits& wide, const vae_layout& layout, std::int64_t rows,
                              std::int64_t samples);

    /// One step on up to `rows` rows; `moves` the parameters, else the gradient alone is wanted.
    void enqueue(const vae_network& network, const vae_settings& s, const step_pointer& step, std::int64_t rows,
                 bool moves);
    /// The products of the last step that the library has done, each with the algorithm that was chosen for it.
    std::vector<std::string> products() const;
    const float* gradient() const { return gradient_.data(); }

private:
    void forward(const vae_network& network, const vae_settings& s, const pass& p) const;
    void backward(const vae_network& network, const vae_settings& s, const pass& p) const;
    void sum_gradients(const vae_network& network, const vae_settings& s, const pass& p) const;
    objective_rule rule(const vae_settings& s) const;
    /// The wide layers of steps of so many rows, or null where there are none.
    const wide_step* wide_for(const vae_network& network, const wide_setup& setup);
    likelihood_parts parts_of(const pass& p) const;
    const task_count& weight_count(const pass& p) const;
    /// `before`: what the layer's input comes from, the gradient of which is wanted.
    void backward_one(const vae_network& network, const vae_settings& s, const pass& p, bool decoder,
                      const dense_layer& layer, const operand& gradient, const layer_memory& before,
                      bool to_heads) const;

    state_pointer state_;
    const vae_layout& layout_;
    pass_owner memory_;
    bool sharded_;
    device_buffer<float> gradient_; ///< [padded parameters], of each shard where they are added up later
    device_buffer<double> square_sums_;
    device_buffer<optimizer_step<float>> next_;
    std::array<task_count, 3> weight_counts_; ///< without wide layers, without wide decoder layers, all
    std::int64_t column_blocks_ = 0;
    device_buffer<weight_task> weight_tasks_;
    device_buffer<column_task> column_tasks_;
    wide_memory wide_memory_;
    std::optional<wide_step> wide_;
};

} // namespace elbo::kernels::cuda
