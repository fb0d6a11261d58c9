#include "kernels/cuda/vae/wide/product.hpp"

#include "elbo/error.hpp"

#include <algorithm>
#include <cstdint>
#include <fmt/format.h>

namespace elbo::kernels::cuda {

namespace {

std::int64_t bytes_of(cudaDataType type) {
    return type == CUDA_R_32F ? 4 : 2;
}

/// Greatest power of two that divides addresses of columns and matrices, at most 256.
std::uint32_t alignment_of(const product_matrix& m) {
    const auto address = reinterpret_cast<std::uintptr_t>(m.data);
    const auto bytes = static_cast<std::uintptr_t>(bytes_of(m.type));
    const auto stride = static_cast<std::uintptr_t>(m.stride), distance = static_cast<std::uintptr_t>(m.distance);
    const std::uintptr_t all = address | bytes * stride | bytes * distance | 256;
    return static_cast<std::uint32_t>(all & (~all + 1));
}

unique_blas<cublasLtMatmulDesc_t> make_operation(const blas_library& blas, vae::training_precision precision,
                                                 bool transposed_a, bool transposed_b, bool scaled) {
    const bool tf32 = precision == vae::training_precision::tf32;
    cublasLtMatmulDesc_t made = nullptr;
    blas.check(blas.create_operation(&made, tf32 ? CUBLAS_COMPUTE_32F_FAST_TF32 : CUBLAS_COMPUTE_32F, CUDA_R_32F),
               "cublasLtMatmulDescCreate");
    unique_blas<cublasLtMatmulDesc_t> operation(made, blas.destroy_operation);
    const auto set = [&](cublasLtMatmulDescAttributes_t what, auto value) {
        blas.check(blas.set_operation(made, what, &value, sizeof value), "cublasLtMatmulDescSetAttribute");
    };
    set(CUBLASLT_MATMUL_DESC_TRANSA, transposed_a ? CUBLAS_OP_T : CUBLAS_OP_N);
    set(CUBLASLT_MATMUL_DESC_TRANSB, transposed_b ? CUBLAS_OP_T : CUBLAS_OP_N);
    if (scaled)
        set(CUBLASLT_MATMUL_DESC_POINTER_MODE, CUBLASLT_POINTER_MODE_DEVICE);
    return operation;
}

} // namespace

unique_blas<cublasLtMatrixLayout_t> matrix_product::layout_of(const product_matrix& m, std::int64_t count) const {
    cublasLtMatrixLayout_t made = nullptr;
    blas_.check(blas_.create_layout(&made, m.type, static_cast<std::uint64_t>(m.rows),
                                    static_cast<std::uint64_t>(m.columns), m.stride),
                "cublasLtMatrixLayoutCreate");
    unique_blas<cublasLtMatrixLayout_t> layout(made, blas_.destroy_layout);
    const auto set = [&](cublasLtMatrixLayoutAttribute_t what, auto value) {
        blas_.check(blas_.set_layout(made, what, &value, sizeof value), "cublasLtMatrixLayoutSetAttribute");
    };
    if (count > 1) {
        set(CUBLASLT_MATRIX_LAYOUT_BATCH_COUNT, static_cast<std::int32_t>(count));
        set(CUBLASLT_MATRIX_LAYOUT_STRIDED_BATCH_OFFSET, m.distance);
    }
    return layout;
}

matrix_product::matrix_product(const blas_handle& handle, vae::training_precision precision, const product_matrix& a,
                               const product_matrix& b, const product_matrix& c, std::int64_t count, const float* scale)
    : blas_(load_blas()), a_(a), b_(b), c_(c), count_(count), precision_(precision), scale_(scale),
      operation_(make_operation(blas_, precision, a.transposed, b.transposed, scale != nullptr)),
      layout_a_(layout_of(a, count)), layout_b_(layout_of(b, count)), layout_c_(layout_of(c, count)) {
    choose(handle);
}

void matrix_product::choose(const blas_handle& handle) {
    cublasLtMatmulPreference_t made = nullptr;
    blas_.check(blas_.create_preference(&made), "cublasLtMatmulPreferenceCreate");
    const unique_blas<cublasLtMatmulPreference_t> preference(made, blas_.destroy_preference);
    const auto set = [&](cublasLtMatmulPreferenceAttributes_t what, auto value) {
        blas_.check(blas_.set_preference(made, what, &value, sizeof value), "cublasLtMatmulPreferenceSetAttribute");
    };
    set(CUBLASLT_MATMUL_PREF_MAX_WORKSPACE_BYTES, static_cast<std::uint64_t>(blas_workspace_bytes));
    // Parts of the depth are added by a kernel of their own, in order; in place they would be as blocks come.
    set(CUBLASLT_MATMUL_PREF_REDUCTION_SCHEME_MASK, static_cast<std::uint32_t>(CUBLASLT_REDUCTION_SCHEME_COMPUTE_TYPE));
    set(CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_A_BYTES, alignment_of(a_));
    set(CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_B_BYTES, alignment_of(b_));
    set(CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_C_BYTES, alignment_of(c_));
    set(CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_D_BYTES, alignment_of(c_));
    cublasLtMatmulHeuristicResult_t best{};
    int found = 0;
    blas_.check(blas_.propose(handle.get(), operation_.get(), layout_a_.get(), layout_b_.get(), layout_c_.get(),
                              layout_c_.get(), made, 1, &best, &found),
                "cublasLtMatmulAlgoGetHeuristic");
    if (found == 0)
        throw not_available(fmt::format("cuBLASLt knows no algorithm for the product {}", shape()));
    blas_.check(best.state, "cublasLtMatmulAlgoGetHeuristic");
    algorithm_ = best.algo;
}

void matrix_product::multiply(const internal::cuda_state& state, const blas_handle& handle, void* workspace,
                              const void* a, const void* b, const float* factor, const float* before) const {
    void* const c = const_cast<void*>(c_.data);
    blas_.check(blas_.multiply(handle.get(), operation_.get(), factor, a, layout_a_.get(), b, layout_b_.get(), before,
                               c, layout_c_.get(), c, layout_c_.get(), &algorithm_, workspace,
                               static_cast<std::size_t>(blas_workspace_bytes), state.stream),
                "cublasLtMatmul");
}

void matrix_product::enqueue(const internal::cuda_state& state, const blas_handle& handle, void* workspace) const {
    const auto multiply = [&](const void* a, const void* b, const float* factor, const float* before) {
        this->multiply(state, handle, workspace, a, b, factor, before);
    };
    if (!scale_) {
        const float one = 1, zero = 0;
        multiply(a_.data, b_.data, &one, &zero);
        return;
    }
    multiply(a_.low, b_.data, scale_, scale_ + 1);
    multiply(a_.data, b_.low, scale_, scale_ + 2);
    multiply(a_.data, b_.data, scale_, scale_ + 2);
}

std::string matrix_product::shape() const {
    const bool tf32 = precision_ == vae::training_precision::tf32;
    return fmt::format("{}{} {} x {} x {} x {} {}", a_.transposed ? 'T' : 'N', b_.transposed ? 'T' : 'N', c_.rows,
                       c_.columns, a_.transposed ? a_.rows : a_.columns, count_,
                       a_.type == CUDA_R_16BF  ? "bfloat16"
                       : a_.type == CUDA_R_16F ? "float32 in float16 pieces"
                       : tf32                  ? "tf32"
                                               : "float32");
}

std::string matrix_product::describe() const {
    const auto value = [&](cublasLtMatmulAlgoConfigAttributes_t what, auto kind) {
        std::size_t written = 0;
        blas_.check(blas_.get_choice(&algorithm_, what, &kind, sizeof kind, &written),
                    "cublasLtMatmulAlgoConfigGetAttribute");
        return static_cast<std::int64_t>(kind);
    };
    constexpr std::int32_t number = 0;
    constexpr std::uint32_t word = 0;
    constexpr std::uint16_t half_word = 0;
    return fmt::format(
        "{}: cuBLASLt {}, algorithm {}, tile {}, stages {}, split {}, reduction {}, swizzle {}, option "
        "{}, inner shape {}, cluster {}",
        shape(), blas_.version(), value(CUBLASLT_ALGO_CONFIG_ID, number), value(CUBLASLT_ALGO_CONFIG_TILE_ID, word),
        value(CUBLASLT_ALGO_CONFIG_STAGES_ID, word), value(CUBLASLT_ALGO_CONFIG_SPLITK_NUM, number),
        value(CUBLASLT_ALGO_CONFIG_REDUCTION_SCHEME, word), value(CUBLASLT_ALGO_CONFIG_CTA_SWIZZLING, word),
        value(CUBLASLT_ALGO_CONFIG_CUSTOM_OPTION, word), value(CUBLASLT_ALGO_CONFIG_INNER_SHAPE_ID, half_word),
        value(CUBLASLT_ALGO_CONFIG_CLUSTER_SHAPE_ID, half_word));
}

} // namespace elbo::kernels::cuda
