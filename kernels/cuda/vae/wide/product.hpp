// One product of matrices by cuBLASLt, set up once and enqueued in each step.
#pragma once

#include "kernels/cuda/vae/wide/library.hpp"

#include "elbo/vae/train.hpp"

#include <string>

namespace elbo::kernels::cuda {

/// A matrix in device memory in the order of columns, or several of them at equal distances.
struct product_matrix {
    const void* data;
    cudaDataType type;
    std::int64_t rows, columns, stride; ///< numbers from column to column
    std::int64_t distance = 0;          ///< numbers from matrix to matrix
    bool transposed = false;
    const void* low = nullptr; ///< of numbers in two pieces the lower ones
};

/// C = A B, or with factors in pieces 2^e (low(A) high(B) + high(A) low(B) + high(A) high(B)), 2^e and the factors 0
/// and 1 of what is there already in device memory at `scale`. The algorithm is the first that the library's heuristic
/// proposes among those that add up in a fixed order: a function of the shapes, of the alignment and of the library's
/// version, never of a timing.
class matrix_product {
public:
    matrix_product(const blas_handle& handle, vae::training_precision precision, const product_matrix& a,
                   const product_matrix& b, const product_matrix& c, std::int64_t count = 1,
                   const float* scale = nullptr);

    void enqueue(const internal::cuda_state& state, const blas_handle& handle, void* workspace) const;
    /// Shape, library and algorithm, in words.
    std::string describe() const;

private:
    std::string shape() const;
    void multiply(const internal::cuda_state& state, const blas_handle& handle, void* workspace, const void* a,
                  const void* b, const float* factor, const float* before) const;
    unique_blas<cublasLtMatrixLayout_t> layout_of(const product_matrix& m, std::int64_t count) const;
    void choose(const blas_handle& handle);

    const blas_library& blas_;
    product_matrix a_, b_, c_;
    std::int64_t count_;
    vae::training_precision precision_;
    const float* scale_;
    unique_blas<cublasLtMatmulDesc_t> operation_;
    unique_blas<cublasLtMatrixLayout_t> layout_a_, layout_b_, layout_c_;
    cublasLtMatmulAlgo_t algorithm_{};
};

} // namespace elbo::kernels::cuda
