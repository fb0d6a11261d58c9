// Memory of the wide layers of a network: operands, sums of columns, and what the library works in.
#pragma once

#include "kernels/cuda/core/carver.hpp"
#include "kernels/cuda/core/device_buffer.hpp"
#include "kernels/cuda/vae/views.hpp"
#include "kernels/cuda/vae/wide/library.hpp"
#include "kernels/cuda/vae/wide/shape.hpp"

#include <vector>

namespace elbo::kernels::cuda {

/// A step for which layers are wide or not. `rows` of data with `samples` draws each; sums over rows in `shards` parts.
struct wide_extent {
    std::int64_t rows, samples, shards;
};

/// One wide layer: where its operands lie, in numbers of 2 or 4 bytes. Strides are operand_stride(columns).
struct wide_places {
    const dense_layer* layer;
    bool decoder, first, last;    ///< of its half of the network
    bool after_wide, before_wide; ///< the layer before it in its half, after it, is wide, too
    std::int64_t rows, end;       ///< of the step, of an operand
    unsigned char* input;         ///< [end x inputs]
    unsigned char* gradient;      ///< [end x outputs]
    unsigned char* kept;          ///< [rows x outputs] before the activation, where the slope needs it; else null
    unsigned char* weights;       ///< [inputs x outputs], where those of the network are not aligned; else null
    float* sums;                  ///< [end / strip_rows x outputs] of the gradient
};

/// All of a step.
struct wide_workspace {
    std::vector<wide_places> layers;  ///< encoder, then decoder, in their order
    unsigned char* product = nullptr; ///< [rows x widest] between two wide layers, before it becomes an operand
    likelihood_parts parts = {};      ///< of the last decoder layer, where it is wide
};
wide_workspace carve_wide(const internal::wide_limits& limits, const vae_layout& l, const wide_extent& e,
                          std::int64_t number_bytes, carver& from);

/// Owner of the memory of steps of up to an extent, and of the library's handle; empty where no layer is wide.
class wide_memory {
public:
    wide_memory(const state_pointer& state, const vae_layout& l, const wide_extent& most);
    static std::int64_t bytes(const internal::wide_limits& limits, const vae_layout& l, const wide_extent& most);

    /// For at most the extent that memory was taken for.
    wide_workspace carve(const vae_layout& l, const wide_extent& e, std::int64_t number_bytes) const;
    const blas_handle& handle() const { return handle_; }
    void* blas_workspace() const { return memory_.data(); }

private:
    internal::wide_limits limits_;
    device_buffer<unsigned char> memory_; ///< the library's first
    blas_handle handle_{nullptr, nullptr};
};

} // namespace elbo::kernels::cuda
