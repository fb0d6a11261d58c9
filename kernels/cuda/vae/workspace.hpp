// Memory of a pass through a network, and of the rows it works on.
#pragma once

#include "kernels/cuda/core/carver.hpp"
#include "kernels/cuda/core/device_buffer.hpp"
#include "kernels/cuda/vae/layer/dense.hpp"
#include "kernels/cuda/vae/views.hpp"

#include <vector>

namespace elbo::kernels::cuda {

/// One layer in a pass. `kept` is what the slope of its activation comes from, without data for the identity.
struct layer_memory {
    operand output;
    operand kept = {};
    operand gradient = {}; ///< of the output before the activation; training alone
};

/// What a pass over `rows` rows with pairs of (row, draw) needs. The last encoder layer puts out the heads, the last
/// decoder layer (or the sphere) `output`, whose place the gradient takes. Of x, z and that gradient products take
/// operands: the same memory, or that of rounded numbers.
struct pass_memory {
    std::int64_t rows = 0, pairs = 0;
    matrix x = {};
    operand input = {};     ///< what the encoder sees: x, or ln(1 + x)
    float* total = nullptr; ///< [rows] sums of x, with likelihood.library_size
    std::vector<layer_memory> encoder, decoder;
    latent_view latents = {};
    matrix output = {};
    operand output_gradient = {};
    matrix own_gradient = {}; ///< as output: of each own parameter of the likelihood, where has_own_gradients
    likelihood_parts parts = {};
    float* weights = nullptr;          ///< [pairs] importance weights, training alone
    double* log_mean_weight = nullptr; ///< [rows]
    float* inverse_norm = nullptr;     ///< [pairs] sphere
    double* along = nullptr;           ///< [pairs] sphere, training alone
    row_sums sums = {};                ///< [rows] evaluation alone
};
/// Whether terms of log p(x|z) come from whole rows of outputs, not from the last layer tile by tile.
bool likelihood_of_rows(const vae_layout& l, bool training);
/// Tiles of columns of the last layer, of each of which the terms are added up.
std::int64_t output_parts(std::int64_t pairs, std::int64_t d);
/// `rounded`: of a pass in bfloat16. Operands have the same places in either case.
pass_memory carve_pass(const vae_layout& l, std::int64_t rows, std::int64_t pairs, bool training, bool rounded,
                       carver from, std::int64_t* used = nullptr);

/// Owner of the memory of a pass.
class pass_owner {
public:
    pass_owner() = default;
    pass_owner(const state_pointer& state, const vae_layout& l, std::int64_t rows, std::int64_t pairs, bool training);
    static std::int64_t bytes(const vae_layout& l, std::int64_t rows, std::int64_t pairs, bool training);
    const pass_memory& view(bool rounded = false) const { return rounded ? rounded_view_ : view_; }

private:
    device_buffer<unsigned char> memory_;
    pass_memory view_, rounded_view_;
};

} // namespace elbo::kernels::cuda
