// Layers of a network on the device: forward pass, likelihood, gradients of data and of weights.
#pragma once

#include "kernels/cuda/core/cuda_state.hpp"
#include "kernels/cuda/vae/layer/shapes.hpp"
#include "kernels/cuda/vae/views.hpp"
#include "kernels/math/vae_importance.hpp"

#include <cstdint>

namespace elbo::kernels::cuda {

/// Weights [inputs x outputs] and bias of one layer; `rounded` are the weights for products of bfloat16 numbers, with
/// the stride of the others.
struct layer_view {
    std::int64_t inputs, outputs;
    matrix weights;
    const __nv_bfloat16* rounded;
    const float* bias;
    vae::activation form;
};

/// Rows of data of a launch, and how many rows, of all draws, there may be in another: tiles are chosen for those.
struct row_count {
    std::int64_t rows, most;
};

/// The rows of a step before the first layer, drawn as bits where that is asked for: reads d numbers as they are stored
/// and writes what pointers are given for: the rows, the encoder's input, their sums and numbers.
struct input_arguments {
    step_pointer step;
    matrix x;                   ///< [rows x d] or no data
    operand input;              ///< as x
    bool logs;                  ///< the input is ln(1 + x)
    float* total;               ///< [rows] or null
    std::uint64_t* row_numbers; ///< [rows]
};
void gather_input(const internal::cuda_state& state, std::int64_t rows, const input_arguments& a);

/// y = f(x W + b) for the rows of a step, `draws` times as many.
struct forward_arguments {
    step_pointer step;
    std::int64_t draws;
    layer_view layer;
    operand input;
    operand output; ///< [rows · draws x outputs]
    bool wide;      ///< the output is float32 and no input of a layer
    operand kept;   ///< as output, before the activation; no data where the slope comes from the output
};

/// The last layer of a decoder with the likelihood of what it puts out (not of blocks).
struct output_arguments {
    step_pointer step;
    draw_range draws;
    layer_view layer;
    operand input;
    likelihood_view likelihood;
    vae::objective objective;
    operand gradient; ///< [rows · draws x d] ∂ ln p(x|z), times draw_scale for the ELBO; data == nullptr: not wanted
    likelihood_parts parts;
};

/// ∂/∂x of a layer, with the slope of the layer before it: of the input's pre-activation.
struct backward_arguments {
    step_pointer step;
    draw_range draws;
    bool decoder; ///< rows · draws rows, else rows
    layer_view layer;
    operand gradient;       ///< of the outputs
    operand input_gradient; ///< [rows (· draws) x inputs]
    bool wide;              ///< input_gradient is float32
    vae::activation form;   ///< of the layer before
    operand kept;           ///< as input_gradient: what the slope comes from, or no data
    /// The input is z with one draw a row: the gradient goes on to that of the encoder's heads.
    bool to_heads;
    latent_view latents;
    objective_rule rule;
};

/// Gradients of all weights and biases, sums over the rows in `shards` parts, and the terms of the step.
struct gradient_arguments {
    step_pointer step;
    draw_range draws;
    const weight_task* tasks;
    std::int64_t task_count, weight_blocks;
    const column_task* columns;
    std::int64_t column_task_count, column_blocks;
    float* gradient;        ///< [parameters_padded], or so for each of the gradient_shards
    std::int64_t size;      ///< numbers from one shard to the next
    bool sharded;           ///< a block for each shard, else for all
    double* square_sums;    ///< [blocks] Σ of squares of what a block has written, if not sharded
    matrix output_gradient; ///< for the columns
    likelihood_view likelihood;
    likelihood_parts parts;
    latent_view latents;
    objective_rule rule;
    vae::optimizer optimizer;
    optimizer_step<float>* next;   ///< numbers of the coming step, but for the clipping
    const double* log_mean_weight; ///< [rows], importance
    const double* along;           ///< [rows · draws] ∂/∂r of a sphere decoder, null for others
    std::int64_t radius;           ///< offset of r
    bool squared_errors;           ///< what the likelihood adds up beside log p are squared errors
    std::int64_t own;              ///< offset of the one learned own parameter of the likelihood, or -1
};

void forward_layer(const internal::cuda_state& state, vae::training_precision precision, const row_count& rows,
                   const forward_arguments& a);
void output_layer(const internal::cuda_state& state, vae::training_precision precision, const row_count& rows,
                  const output_arguments& a);
void backward_layer(const internal::cuda_state& state, vae::training_precision precision, const row_count& rows,
                    const backward_arguments& a);
void weight_gradients(const internal::cuda_state& state, vae::training_precision precision,
                      const gradient_arguments& a);
/// Adds the shards, gradient_shards or one, in a binary tree into the first; square_sums
/// [blocks_for(size, shard_sum_block)].
void add_shards(const internal::cuda_state& state, const step_pointer& step, float* gradient, std::int64_t size,
                int shards, double* square_sums);
inline constexpr int shard_sum_threads = 256, shard_sum_block = 1024;
inline constexpr std::int64_t column_task_width = 32;

/// float32 numbers to an operand, zeros behind them.
void round_rows(const internal::cuda_state& state, std::int64_t rows, const step_pointer& step, const draw_range& draws,
                const matrix& from, const operand& to);

// The likelihood where it cannot be worked out with the decoder's last layer, and what evaluation makes of it.

struct likelihood_arguments {
    step_pointer step;
    draw_range draws;
    likelihood_view likelihood;
    vae::objective objective;
    matrix output; ///< of the decoder [rows · draws x d]; its gradient takes its place where that is wanted
    bool wants_gradient;
    likelihood_parts parts; ///< of one part
    float* own;             ///< optimal_variance: where ln σ² goes
};
/// Terms of whole rows: blocks reach over tiles, and a sphere has no last layer.
void row_likelihoods(const internal::cuda_state& state, std::int64_t rows, const likelihood_arguments& a);
/// Squared errors alone, added to the running scale, and ln of its mean over rows and dimensions.
void optimal_variance(const internal::cuda_state& state, std::int64_t rows, const likelihood_arguments& a);

/// Means of p(x|z) from outputs, to rows with a stride.
void likelihood_means(const internal::cuda_state& state, const likelihood_view& likelihood, const matrix& output,
                      std::int64_t rows, float* out, std::int64_t out_stride);

/// What evaluation keeps of each row; null where it is not wanted.
struct row_sums {
    double* reconstruction;
    double* squared_error;
    importance_sum* weights;
};
/// Adds the draws of a range, in their order; the first range begins the sums.
void add_draws(const internal::cuda_state& state, std::int64_t rows, const step_pointer& step, const draw_range& draws,
               const likelihood_parts& parts, const double* log_ratios, const row_sums& sums);

} // namespace elbo::kernels::cuda
