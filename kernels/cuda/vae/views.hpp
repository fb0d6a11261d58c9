// What the kernels of variational autoencoders see: pointers into device memory. Matrices are row-major with rows of
// row_stride(columns) numbers, so that 16 bytes of either type can be read at a time.
#pragma once

#include "kernels/contract/vae_engine.hpp"
#include "kernels/cuda/gmm/e_step/tuning.hpp"
#include "kernels/math/vae_latent.hpp"
#include "kernels/math/vae_optimizer.hpp"
#include "kernels/math/vae_random.hpp"

#include <cuda_bf16.h>

#include <cstdint>

namespace elbo::kernels::cuda {

/// Rows of data in device memory.
struct row_source {
    const void* data;
    row_storage form;
    std::int64_t stride; ///< words of 32 bits, bytes or floats from row to row
    std::int64_t dimensions;
};

/// What a launch of steps (or a pass of an evaluation) works on; in device memory, so that a graph outlives it.
struct slice_plan {
    row_source source;
    shuffle_order order; ///< rows == 0: in their own order
    std::int64_t rows;   ///< in the window
    std::int64_t first_row, first_position, batch, steps;
    noise_key latent, binarization;
    bool binarize;
    double scale_window;           ///< rows, of gaussian_scale::optimal
    const step_schedule* schedule; ///< [steps]
    step_record* records;          ///< [steps]
};

/// How far the steps of a slice are.
struct slice_state {
    std::int64_t step;       ///< of the slice
    std::int64_t steps_done; ///< of the optimiser, before the slice began
    bool stopped;            ///< a step was not finite: nothing is done any more
    unsigned arrived;        ///< blocks of the last kernel that are done
    running_scale scale; ///< of gaussian_scale::optimal, with the rows of the step once they are through the decoder
};

/// The step that is being worked on.
struct step_pointer {
    const slice_plan* plan;
    slice_state* state;

    __device__ std::int64_t first() const { return plan->first_position + state->step * plan->batch; }
    /// Rows of the step; 0 after one that was not finite.
    __device__ std::int64_t rows() const {
        const std::int64_t left = plan->rows - first();
        return state->stopped ? 0 : left < plan->batch ? left : plan->batch;
    }
    __device__ double beta() const { return plan->schedule[state->step].beta; }
};

/// Numbers from one row to the next: room for a column more, in whole pieces of 16 bytes of bfloat16 numbers.
__host__ __device__ constexpr std::int64_t row_stride(std::int64_t columns) {
    return (columns + 8) / 8 * 8;
}

struct matrix {
    float* data;
    std::int64_t columns;

    __host__ __device__ std::int64_t stride() const { return row_stride(columns); }
    __device__ float& operator()(std::int64_t i, std::int64_t j) const { return data[i * stride() + j]; }
};

/// A matrix that products are made of: float32 numbers, or bfloat16 ones in a pass in that precision. Behind the last
/// column of inputs of a layer is a column of ones, whose products with the gradients are the gradients of the biases;
/// behind that, and behind gradients, are zeros.
struct operand {
    void* data;
    std::int64_t columns;
    bool rounded; ///< bfloat16

    __host__ __device__ std::int64_t stride() const { return row_stride(columns); }
    template <class Element>
    __device__ Element* row(std::int64_t i) const {
        return static_cast<Element*>(data) + i * stride();
    }
    __device__ void set(std::int64_t i, std::int64_t j, float value) const {
        if (rounded)
            row<__nv_bfloat16>(i)[j] = __float2bfloat16_rn(value);
        else
            row<float>(i)[j] = value;
    }
    /// What is behind the last column of row i; behind: 1 or 0.
    __device__ void pad(std::int64_t i, float behind) const {
        for (std::int64_t j = columns; j < stride(); ++j)
            set(i, j, j == columns ? behind : 0.0f);
    }
    /// The same memory where it is not rounded.
    matrix as_matrix() const { return {static_cast<float*>(data), columns}; }
};

/// Draws of z that are worked on at once: numbers first ... first + count − 1 of `all`. Row n, draw s is row
/// n · count + s of the decoder.
struct draw_range {
    std::int64_t first, count, all;
};

/// Latents and their gradients.
struct latent_view {
    std::int64_t latent;
    matrix heads;               ///< [rows x 2 latent] μ and a
    matrix log_variance;        ///< [rows x latent] ln σ²
    matrix z;                   ///< [rows · draws x latent]
    operand z_operand;          ///< the same
    matrix z_gradient;          ///< [rows · draws x latent]
    operand heads_gradient;     ///< [rows x 2 latent]
    std::uint64_t* row_numbers; ///< [rows] for the noise
    double* kl;                 ///< [rows]
    double* log_ratios;         ///< [rows · draws] ln p(z) − ln q(z|x)
    double* unit_kl_means;      ///< [latent] means over the batch, with free bits
};

/// Terms of log p(x|z) for each row of the decoder, in `parts` parts that lie one behind the other.
struct likelihood_parts {
    double* log_likelihood; ///< [parts x rows · draws]
    double* second;         ///< [parts x rows · draws] second_sum of the likelihood
    std::int64_t parts;
    std::int64_t capacity; ///< rows of a part

    __device__ double sum(const double* of, std::int64_t r) const {
        double all = 0;
        for (std::int64_t t = 0; t < parts; ++t)
            all += of[t * capacity + r];
        return all;
    }
};

/// What is maximised.
struct objective_rule {
    vae::objective objective;
    vae::gradient_estimator estimator;
    double free_bits;
    const float* weights; ///< importance: [rows · draws] w̃
};

/// 1/rows, or with the ELBO 1/(rows · draws): what ∂ ln p(x|z) of a draw counts in the gradient of the mean objective,
/// before importance weights.
__device__ inline double draw_scale(vae::objective objective, std::int64_t rows, std::int64_t draws) {
    return 1 / static_cast<double>(objective == vae::objective::elbo ? rows * draws : rows);
}

/// How log p(x | z) is computed.
struct likelihood_view {
    vae::likelihood_family family;
    vae::count_mean mean;
    matrix x;           ///< [rows x d]
    const float* total; ///< [rows] sums of them where they are a factor of the mean, else null
    const float* own;   ///< its own parameters: [1] or [d]
    std::int64_t own_count;
    const std::int64_t* blocks; ///< where they begin, and d; of likelihoods of blocks
    std::int64_t block_count;
    matrix own_gradient; ///< [rows · draws x d] the derivative with respect to each, or no data
};

/// Work on the gradient of one layer: inputs + 1 rows of outputs, those of the bias last.
struct weight_task {
    operand input, gradient; ///< of either type
    std::int64_t offset;     ///< in the flat vector
    bool decoder;            ///< rows · draws rows, else rows
    std::int64_t first_block, column_tiles;
};

/// Sums of columns of the gradient of the decoder's output.
struct column_task {
    enum class kind { sum, squares, own } what; ///< of the gradient; ln σ² from its squares; of the own parameters
    std::int64_t offset;
    std::int64_t first_block;
};

} // namespace elbo::kernels::cuda
