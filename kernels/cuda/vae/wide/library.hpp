// cuBLASLt, loaded when the first wide layer wants it: other programs do not need the library.
#pragma once

#include "kernels/cuda/core/cuda_state.hpp"

#include <cublasLt.h>

#include <cstdint>
#include <memory>
#include <string>
#include <type_traits>

namespace elbo::kernels::cuda {

/// Its functions that are used here.
struct blas_library {
    decltype(&cublasLtCreate) create;
    decltype(&cublasLtDestroy) destroy;
    decltype(&cublasLtGetVersion) version;
    decltype(&cublasLtGetStatusString) status_text;
    decltype(&cublasLtMatmulDescCreate) create_operation;
    decltype(&cublasLtMatmulDescDestroy) destroy_operation;
    decltype(&cublasLtMatmulDescSetAttribute) set_operation;
    decltype(&cublasLtMatrixLayoutCreate) create_layout;
    decltype(&cublasLtMatrixLayoutDestroy) destroy_layout;
    decltype(&cublasLtMatrixLayoutSetAttribute) set_layout;
    decltype(&cublasLtMatmulPreferenceCreate) create_preference;
    decltype(&cublasLtMatmulPreferenceDestroy) destroy_preference;
    decltype(&cublasLtMatmulPreferenceSetAttribute) set_preference;
    decltype(&cublasLtMatmulAlgoGetHeuristic) propose;
    decltype(&cublasLtMatmulAlgoConfigGetAttribute) get_choice;
    decltype(&cublasLtMatmul) multiply;

    /// Throws cuda_error with the call unless the status is that of success.
    void check(cublasStatus_t status, const char* call) const;
};

/// Throws not_available, saying what is missing.
const blas_library& load_blas();

/// Owner of an object of the library.
template <class Handle>
using unique_blas = std::unique_ptr<std::remove_pointer_t<Handle>, cublasStatus_t (*)(Handle)>;

using blas_handle = unique_blas<cublasLtHandle_t>;
blas_handle make_blas_handle();

/// Scratch memory that products may use, as NVIDIA advises for compute capability 9.0.
inline constexpr std::int64_t blas_workspace_bytes = std::int64_t(32) << 20;

} // namespace elbo::kernels::cuda
