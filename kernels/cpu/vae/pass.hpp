// A pass of rows through a network: memory, and the layers one after the other, on one thread or shared out among a
// team.
#pragma once

#include "kernels/cpu/vae/parameters.hpp"
#include "kernels/cpu/vae/rows.hpp"
#include "kernels/shared/threads/parallel.hpp"

#include <algorithm>
#include <cstdint>
#include <vector>

namespace elbo::kernels::cpu {

/// Who does a pass: so many threads, which share its layers out in tasks. 0: the calling thread, which does each layer
/// as a whole, for passes of few rows that are themselves shared out.
struct team {
    int threads = 0;
};

/// Calls work(i) for 0 ≤ i < count.
template <class Work>
void for_tasks(team who, std::int64_t count, const Work& work) {
    if (who.threads > 1) {
        parallel_for(who.threads, count, [&](std::int64_t i, int) { work(i); });
        return;
    }
    for (std::int64_t i = 0; i < count; ++i)
        work(i);
}

/// Rows and panels of a product cut into tasks of some ten microseconds.
class task_grid {
public:
    /// `depth`: terms of each sum; panels are cut at multiples of `unit`. One task where there is no team.
    task_grid(team who, std::int64_t rows, std::int64_t panels, std::int64_t depth, std::int64_t unit = 1);
    std::int64_t tasks() const { return row_parts_ * panel_parts_; }
    panel_range task(std::int64_t i) const;

private:
    std::int64_t rows_, panels_, row_parts_, panel_parts_, panels_a_part_;
};

/// Hands out panels of one array; without one it counts.
struct panel_arena {
    float* base = nullptr;
    std::int64_t used = 0;
    panel_matrix take(std::int64_t panels, std::int64_t rows) {
        // An odd number of cache lines: panels do not share cache sets.
        const panel_matrix m{base ? base + used : nullptr, (rows | 1) * panel_width};
        used += panels * m.stride;
        return m;
    }
};

/// Memory for what place(arena) takes from an arena: first it only counts.
template <class Place>
aligned_array<float> allocate_panels(const Place& place) {
    panel_arena arena;
    place(arena);
    aligned_array<float> memory(arena.used);
    arena = {memory.data(), 0};
    place(arena);
    return memory;
}

/// Results of each layer; `sums` where the slope of the activation needs them; deltas in training alone.
struct network_memory {
    std::vector<panel_matrix> out, sums, delta;

    void place(panel_arena& arena, const std::vector<stored_layer>& layers, std::int64_t rows, bool is_decoder,
               bool training);
    const panel_matrix& kept(std::size_t layer) const { return sums[layer].data ? sums[layer] : out[layer]; }
};

struct decoder_pass;

/// Rows of data, and q(z|x).
struct encoder_pass {
    std::int64_t rows = 0;
    panel_matrix x, log_variance, sigma;
    panel_matrix input; ///< what the encoder sees: x, or ln(1 + x)
    network_memory network;
    std::vector<std::uint64_t> index; ///< in the user's data
    std::vector<double> kl;
    std::vector<float> total; ///< sums of the rows, with likelihood.library_size

    void place(panel_arena& arena, const vae_layout& layout, const vae_parameters& p, std::int64_t capacity,
               bool training);
    latent_view latent(const vae_layout& layout) const {
        return {layout.architecture.latent, network.out.back(), log_variance, sigma};
    }
    /// What rows of the decoder are judged by.
    target_view target(const decoder_pass& draws) const;
};

/// Draws of z, each with its row of data: rows of the decoder.
struct decoder_pass {
    std::int64_t rows = 0, groups = 0;
    panel_matrix noise, z, z_gradient, output;
    panel_matrix own_gradient; ///< of each own parameter of the likelihood, where has_own_gradients
    network_memory network;
    std::vector<std::int32_t> row, draw;
    std::vector<double> log_ratio, along; ///< along: sphere, Σ_j ∂E/∂x_j u_j
    std::vector<double> value, second;    ///< [rows][groups]

    void place(panel_arena& arena, const vae_layout& layout, const vae_parameters& p, std::int64_t capacity,
               bool training);
    double sum(const std::vector<double>& parts, std::int64_t i) const;
};

/// A likelihood with its own parameters. All log p(x|z) are value sums of the kernels plus `constant`.
struct likelihood_form {
    likelihood_view view{};
    double constant = 0;
    aligned_array<float> numbers;

    /// `own`: [1] or [d], empty for likelihoods without.
    likelihood_form(const vae_layout& layout, const std::vector<double>& own);
};
/// The own parameters of the likelihood.
std::vector<double> own_numbers(const vae_layout& layout, const vae_parameters& p);

/// The layers of a network with its parameters.
class vae_network {
public:
    vae_network(const vae_layout& layout, const vae_table& kernels) : layout(layout), kernels(kernels) {}

    void forward(team who, const vae_parameters& p, const std::vector<stored_layer>& layers, const panel_matrix& in,
                 const network_memory& memory, std::int64_t rows, std::size_t layer_count) const;
    /// From the delta of the last layer to the deltas of the others and, if it has data, of the input.
    void backward(team who, const vae_parameters& p, const std::vector<stored_layer>& layers,
                  const network_memory& memory, std::int64_t rows, const panel_matrix& input_gradient) const;
    /// Rows into panels, encoder and q(z|x).
    void encode(team who, const vae_parameters& p, const row_source& source, std::int64_t first_row,
                const noise_key* binarization, encoder_pass& pass) const;
    /// Decoder of pass.z to pass.output.
    void decode(team who, const vae_parameters& p, decoder_pass& pass) const;
    /// The same, with log p(x|z) in pass.value and pass.square. With `scale` not 0 the output becomes its gradient.
    void decode_and_score(team who, const vae_parameters& p, const likelihood_form& form, const target_view& target,
                          float scale, decoder_pass& pass) const;
    /// From the gradient in pass.output to pass.z_gradient.
    void decode_backward(team who, const vae_parameters& p, decoder_pass& pass) const;

    const vae_layout& layout;
    const vae_table& kernels;

private:
    void expand_row(const row_source& source, std::int64_t number, const noise_key* binarization, std::int64_t r,
                    encoder_pass& pass) const;
    bool is_sphere() const { return layout.decoder.empty(); }
    void sphere_row(const vae_parameters& p, decoder_pass& pass, std::int64_t row) const;
    void sphere_row_backward(const vae_parameters& p, decoder_pass& pass, std::int64_t row) const;
};

} // namespace elbo::kernels::cpu
