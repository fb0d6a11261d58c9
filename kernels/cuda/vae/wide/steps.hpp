// The wide layers of training steps: products by cuBLASLt with elementwise kernels around them.
#pragma once

#include "kernels/cuda/vae/layer/dense.hpp"
#include "kernels/cuda/vae/wide/memory.hpp"
#include "kernels/cuda/vae/wide/product.hpp"
#include "kernels/cuda/vae/workspace.hpp"

#include <optional>
#include <string>
#include <vector>

namespace elbo::kernels::cuda {

/// What a step is set up for.
struct wide_setup {
    wide_extent extent;
    vae::training_precision precision;

    bool operator==(const wide_setup& o) const {
        return extent.rows == o.extent.rows && extent.samples == o.extent.samples && extent.shards == o.extent.shards &&
               precision == o.precision;
    }
};

/// The flat vectors that products read and write.
struct wide_vectors {
    const float* weights;
    const __nv_bfloat16* rounded;
    float* gradient;   ///< [shards x size]
    std::int64_t size; ///< from shard to shard
};

/// One wide layer with its products.
struct wide_layer {
    wide_places at;
    unsigned char* next_input; ///< operand of the wide layer behind it
    const wide_places* before; ///< the wide layer before it
    matrix_product forward;
    std::optional<matrix_product> backward; ///< none where the input is the data
    matrix_product weights;
};

/// Enqueues only. Rows of data: `step.rows()`, at most those of the setup; shards have so many rows as the setup says.
class wide_step {
public:
    /// `memory`, `pass` and what `vectors` point at outlive it.
    wide_step(const state_pointer& state, const vae_layout& layout, const wide_memory& memory, const pass_memory& pass,
              const wide_vectors& vectors, const wide_setup& setup);
    wide_step(wide_step&&) = default;

    const wide_setup& setup() const { return setup_; }
    bool empty() const { return layers_.empty(); }
    /// Null where a layer is not wide.
    const wide_layer* find(const dense_layer& layer) const;

    /// Whether gather() is there: the rows of data go to the operand of the first layer, whose forward() gets no input.
    bool gathers() const { return !splits(); }
    void gather(const wide_layer& l, const input_arguments& a) const;
    /// As forward_layer, output_layer and backward_layer (layer/dense.hpp); terms of the likelihood go to parts().
    void forward(const wide_layer& l, const forward_arguments& a) const;
    void output(const wide_layer& l, const output_arguments& a) const;
    void backward(const wide_layer& l, const backward_arguments& a) const;
    /// Of weights and biases, after all of the above.
    void weight_gradients(const step_pointer& step) const;
    const likelihood_parts& parts() const { return workspace_.parts; }

    /// Each product with the algorithm that was chosen for it.
    std::vector<std::string> describe() const;

private:
    wide_layer make_layer(std::size_t index) const;
    void enqueue(const matrix_product& product) const;
    /// Whether factors are pieces of float16.
    bool splits() const;
    /// Whether the kernel before has written the gradient of a layer as an operand.
    bool has_gradient(const wide_layer& l, vae::objective objective) const;
    void multiply_forward(const wide_layer& l, const step_pointer& step, std::int64_t draws,
                          const operand& input) const;
    /// In pieces.
    void take_weights(const wide_layer& l) const;
    /// Unless the layer before or gather() has written it.
    void take_input(const wide_layer& l, const step_pointer& step, std::int64_t draws, const operand& input) const;
    void take_gradient(const wide_layer& l, const step_pointer& step, std::int64_t draws,
                       const operand& gradient) const;

    state_pointer state_;
    const vae_layout& layout_;
    const wide_memory& memory_;
    const pass_memory& pass_;
    wide_vectors vectors_;
    wide_setup setup_;
    bool terms_of_rows_;  ///< likelihood_of_rows
    bool keeps_gradient_; ///< of the output, as float32, for sums of its squares
    wide_workspace workspace_;
    std::vector<wide_layer> layers_;
    bool bits_as_operand_ = false; ///< the likelihood takes bits from the operand of the first layer, nobody x
};

} // namespace elbo::kernels::cuda
