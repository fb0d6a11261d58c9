// What is done to each number between the products of wide layers. Operands are bfloat16, or float32 for tf32 and
// float32 products; rows of an operand behind those of the step are zeros, and so are columns behind its last.
#pragma once

#include "kernels/cuda/vae/layer/dense.hpp"
#include "kernels/cuda/vae/wide/shape.hpp"

#include <cuda_fp16.h>

namespace elbo::kernels::cuda {

/// Rows of numbers with a stride; `columns` of them count.
template <class T>
struct strip_matrix {
    T* data;
    std::int64_t columns, stride;
};

/// A float32 matrix X in two pieces of float16, X ≈ 2^-e (high + low), e such that the largest |x| 2^e is from 2^14 to
/// 2^15; e stays from -63 to 63, so that the scales 2^-(e + e') of products are float32 numbers. The pieces leave out
/// at most max(2^-22 |x|, 2^-39 max |x|) of a number, beyond e = 63 (max |x| < 2^-49) 2^-88: of a product of factors x
/// and y of K terms 2^-21 of Σ |x||y| from the pieces and, low times low, 2^-22 of it, as plain float32 sums of K > 8
/// numbers have, and 2^-38 K max |x| max |y| where factors differ by more than 2^17. Beyond 2^79 a piece is infinite.
struct pieces_matrix {
    __half* high;
    __half* low;
    std::int64_t columns, stride;
};
inline constexpr int least_exponent = -63, most_exponent = 63;

/// Scale of a product: 2^-(e + e') of its factors, and the factors 0 and 1 of what is there already.
struct product_scale {
    float factor, zero, one;
};

/// Largest absolute values of matrices, as the bits of float32 numbers; 0 before a step.
using largest_bits = unsigned;

/// Whether the rows of a step are bits, as they are stored or drawn.
__device__ inline bool has_bits(const slice_plan& plan) {
    return plan.binarize || plan.source.form == row_storage::bits;
}

/// Rows of a step that a launch goes over: `draws` of each row of data, zeros up to `end`.
struct strip_extent {
    step_pointer step;
    std::int64_t draws, end;

    __device__ std::int64_t rows() const { return step.rows() * draws; }
};

/// y = f(a), a = product + bias. `kept` takes a; null where it is not wanted. `out` may be the product. Behind the last
/// column of `out` is `behind`, then zeros.
template <class T>
struct activation_arguments {
    strip_extent extent;
    strip_matrix<T> product;
    const float* bias;
    vae::activation form;
    T* kept;
    std::int64_t kept_stride;
    strip_matrix<T> out;
    float behind;
    largest_bits* largest; ///< of `out`, or null
};
template <class T>
void wide_activation(const internal::cuda_state& state, const activation_arguments<T>& a);

/// ∂/∂a = product · f'(a), the slope from `kept` (kernels/math/vae_activation.hpp; null for the identity); sums of its
/// columns over each strip of rows, [strips x columns], where they are wanted.
template <class T>
struct slope_arguments {
    strip_extent extent;
    strip_matrix<T> product;
    vae::activation form;
    const T* kept;
    std::int64_t kept_stride;
    strip_matrix<T> out;
    float* sums;
    largest_bits* largest; ///< of `out`, or null
};
template <class T>
void wide_slope(const internal::cuda_state& state, const slope_arguments<T>& a);

/// An operand of narrow layers as one of wide layers, with sums as above.
template <class T>
struct operand_arguments {
    strip_extent extent;
    strip_matrix<T> from;
    strip_matrix<T> out;
    float* sums;
};
template <class T>
void wide_operand(const internal::cuda_state& state, const operand_arguments<T>& a);

/// Adds the largest |x| of a matrix to what is there.
struct largest_arguments {
    strip_extent extent;
    strip_matrix<const float> from;
    largest_bits* largest;
};
void wide_largest(const internal::cuda_state& state, const largest_arguments& a);
/// The same of so many numbers in a row.
void wide_largest_weight(const internal::cuda_state& state, const float* weights, std::int64_t count,
                         largest_bits* largest);

/// A float32 matrix in pieces, with sums as above, and the scales of products of which the other factor is known.
struct pieces_arguments {
    strip_extent extent; ///< without a step: all rows up to the end
    strip_matrix<const float> from;
    pieces_matrix out;
    float* sums;
    const largest_bits* largest;
    struct {
        const largest_bits* other;
        product_scale* scale;
    } products[2]; ///< null: none
};
void wide_pieces(const internal::cuda_state& state, const pieces_arguments& a);

/// The rows of data of a step, drawn as bits where that is asked for: as float32, as an operand, and their numbers.
template <class T>
struct gather_arguments {
    strip_extent extent;
    matrix x;
    bool bits_as_operand; ///< bits are wanted as an operand alone, which holds them exactly
    strip_matrix<T> out;
    std::uint64_t* row_numbers;
};
template <class T>
void wide_gather(const internal::cuda_state& state, const gather_arguments<T>& a);

/// The likelihood of product + bias (not of blocks): its terms in parts of strip_columns columns, and its gradient as
/// output_layer (layer/dense.hpp) has it: in the place of the product where `keeps`, and as an operand with sums where
/// it has data.
template <class T>
struct wide_output_arguments {
    step_pointer step;
    draw_range draws;
    std::int64_t end;
    matrix product;
    const float* bias;
    likelihood_view likelihood;
    vae::objective objective;
    bool keeps;
    const T* bits; ///< the operand that holds x where they are bits, with the stride of operands; or null
    strip_matrix<T> out;
    float* sums;
    likelihood_parts parts;
};
template <class T>
void wide_output(const internal::cuda_state& state, const wide_output_arguments<T>& a);

/// Gradients of biases: sums over the strips of each shard, in their order.
struct bias_task {
    const float* sums; ///< [shards · strips x columns]
    std::int64_t columns, strips, offset;
};
inline constexpr int most_bias_tasks = 16;
struct bias_arguments {
    step_pointer step;
    bias_task tasks[most_bias_tasks];
    float* gradient; ///< [shards x size]
    std::int64_t size;
};
void wide_biases(const internal::cuda_state& state, const bias_arguments& a, std::int64_t tasks, std::int64_t shards);

} // namespace elbo::kernels::cuda
