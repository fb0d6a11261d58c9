// One training step: objective and gradient of a batch, and the optimiser.
#pragma once

#include "kernels/contract/vae_engine.hpp"
#include "kernels/cpu/vae/pass.hpp"

#include <cstdint>
#include <vector>

namespace elbo::kernels::cpu {

/// What a step is to do.
struct step_task {
    const vae_settings& settings;
    double beta = 1;
    double learning_rate = 0;
    std::int64_t epoch = 0;
    bool moves = true; ///< else the gradient alone
};

class training_step {
public:
    training_step(const vae_network& network, vae_parameters& parameters)
        : network_(network), layout_(network.layout), p_(parameters) {}

    /// Bytes for batches of so many rows and draws.
    static std::int64_t bytes(const vae_layout& layout, const vae_parameters& p, std::int64_t batch,
                              std::int64_t samples);
    void reserve(std::int64_t batch, std::int64_t samples);

    /// Objective and gradient of the rows of `source` and, where the task says so and all is finite, one step of the
    /// optimiser. On `threads` threads; the result does not depend on them.
    step_record run(const step_task& task, const row_source& source, int threads);

    std::int64_t steps = 0; ///< done

private:
    /// A piece of the gradient: weights and biases of one output panel of a layer, whose weights lie side by side.
    struct gradient_task {
        const stored_layer* layer;
        std::int64_t output_panel;
        panel_matrix input, delta;
        std::int64_t rows;
    };

    void prepare(const step_task& task, const row_source& source);
    void forward(const step_task& task, const row_source& source);
    void finish_forward(const step_task& task);
    void weigh_draws(const step_task& task);
    void sum_divergences(const step_task& task);
    void backward(const step_task& task);
    void list_gradient_tasks();
    double take_gradient(const gradient_task& task);
    void finish_gradient(const step_task& task);
    double extra_gradient();
    void move(const gradient_task& task);
    void move_numbers(std::int64_t first, std::int64_t count, bool is_weight);
    void own_gradient(float* extra);
    bool weighs_rows(const step_task& task) const;
    double value_of(std::int64_t pair) const;

    const vae_network& network_;
    const vae_layout& layout_;
    vae_parameters& p_;
    team team_;
    std::int64_t samples_ = 1;
    aligned_array<float> memory_, unit_kl_weight_;
    encoder_pass encoder_;
    decoder_pass decoder_;
    std::vector<gradient_task> tasks_;
    std::vector<double> squares_;       ///< of the gradient, a task each
    std::vector<double> weights_;       ///< of each decoder row: 1/S or the normalised importance weight
    std::vector<double> column_sums_;   ///< [panels · 16] Σ weight · (∂ ln p/∂ mean)², or of own gradients
    std::vector<double> own_;           ///< parameters of the likelihood
    std::vector<likelihood_form> form_; ///< one while a step runs
    noise_key latent_key_{}, binarization_key_{};
    optimizer_step<float> optimizer_{};
    float average_decay_ = 0, one_minus_decay_ = 1;
    step_record record_;
};

} // namespace elbo::kernels::cpu
