// Memory of the wide layers of a network: operands, sums of columns, and what the library works in.
#pragma once

#include "kernels/cuda/core/carver.hpp"
#include "kernels/cuda/core/device_buffer.hpp"
#include "kernels/cuda/vae/views.hpp"
#include "kernels/cuda/vae/wide/elementwise.hpp"
#include "kernels/cuda/vae/wide/library.hpp"
#include "kernels/cuda/vae/wide/shape.hpp"

#include <vector>

namespace elbo::kernels::cuda {

/// A step for which layers are wide or not. `rows` of data with `samples` draws each; sums over rows in `shards` parts.
struct wide_extent {
    std::int64_t rows, samples, shards;
};

/// Bytes of a number of an operand: of bfloat16, or of float32 (tf32) or two pieces of float16 (float32).
constexpr std::int64_t operand_bytes(vae::training_precision precision) {
    return precision == vae::training_precision::bfloat16 ? 2 : 4;
}

/// One wide layer: where its operands lie. Strides are operand_stride(columns); the lower pieces of a matrix lie behind
/// the higher ones of all its rows.
struct wide_places {
    const dense_layer* layer;
    bool decoder, first, last;         ///< of its half of the network
    bool after_wide, before_wide;      ///< what the layer before it, after it, puts out and takes is an operand alone
    std::int64_t rows, end;            ///< of the step, of an operand
    unsigned char* input = nullptr;    ///< [end x inputs]
    unsigned char* gradient = nullptr; ///< [end x outputs]
    unsigned char* kept = nullptr;     ///< [rows x outputs] before the activation, where the slope needs it; else null
    unsigned char* weights = nullptr;  ///< [inputs x outputs] in pieces; else null, those of the network will do
    float* sums = nullptr;             ///< [end / strip_rows x outputs] of the gradient
    // Of pieces: largest numbers of input, gradient and weights; scales of the products forward, backward and of
    // weights.
    largest_bits* largest = nullptr;
    product_scale* scales = nullptr;
    /// Where the largest gradient of the wide layer before goes, the largest input of that behind; null: there is none.
    largest_bits *largest_before = nullptr, *largest_behind = nullptr;
};

/// Numbers of largest[] and scales[] of a layer.
enum { of_input, of_gradient, of_weights };
enum { forwards, backwards, onto_weights };

/// A matrix of pieces in the memory of an operand.
inline pieces_matrix pieces_in(unsigned char* data, std::int64_t rows, std::int64_t columns) {
    auto* const high = reinterpret_cast<__half*>(data);
    return {high, high + rows * operand_stride(columns), columns, operand_stride(columns)};
}

/// All of a step.
struct wide_workspace {
    std::vector<wide_places> layers;  ///< encoder, then decoder, in their order
    unsigned char* product = nullptr; ///< [rows x widest] before it becomes an operand
    likelihood_parts parts = {};      ///< of the last decoder layer, where it is wide
    largest_bits* largest = nullptr;  ///< of all layers
};
wide_workspace carve_wide(const internal::wide_limits& limits, const vae_layout& l, const wide_extent& e,
                          vae::training_precision precision, carver& from);

/// Owner of the memory of steps of up to an extent, and of the library's handle; empty where no layer is wide.
class wide_memory {
public:
    wide_memory(const state_pointer& state, const vae_layout& l, const wide_extent& most);
    static std::int64_t bytes(const internal::wide_limits& limits, const vae_layout& l, const wide_extent& most);

    /// For at most the extent that memory was taken for.
    wide_workspace carve(const vae_layout& l, const wide_extent& e, vae::training_precision precision) const;
    const blas_handle& handle() const { return handle_; }
    void* blas_workspace() const { return memory_.data(); }

private:
    internal::wide_limits limits_;
    device_buffer<unsigned char> memory_; ///< the library's first
    blas_handle handle_{nullptr, nullptr};
};

} // namespace elbo::kernels::cuda
