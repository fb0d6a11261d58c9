#include "kernels/cuda/vae/wide/library.hpp"

#include "elbo/error.hpp"

#include <dlfcn.h>
#include <fmt/format.h>

namespace elbo::kernels::cuda {

namespace {

template <class Function>
void find_function(void* library, const std::string& file, const char* name, Function& to) {
    to = reinterpret_cast<Function>(dlsym(library, name));
    if (!to)
        throw not_available(fmt::format("{} has no function {}: wide layers of autoencoders need a version of cuBLASLt "
                                        "with it",
                                        file, name));
}

blas_library open_blas() {
    const std::string file = fmt::format("libcublasLt.so.{}", CUBLAS_VER_MAJOR);
    void* const library = dlopen(file.c_str(), RTLD_NOW | RTLD_LOCAL); // stays for as long as the process
    if (!library) {
        const char* const why = dlerror();
        throw not_available(fmt::format("{} cannot be loaded ({}): wide layers of autoencoders need it; it comes with "
                                        "the CUDA toolkit, and the folder with it must be where libraries are looked "
                                        "for (LD_LIBRARY_PATH)",
                                        file, why ? why : "no reason given"));
    }
    blas_library b{};
    const auto find = [&](const char* name, auto& to) { find_function(library, file, name, to); };
    find("cublasLtCreate", b.create);
    find("cublasLtDestroy", b.destroy);
    find("cublasLtGetVersion", b.version);
    find("cublasLtGetStatusString", b.status_text);
    find("cublasLtMatmulDescCreate", b.create_operation);
    find("cublasLtMatmulDescDestroy", b.destroy_operation);
    find("cublasLtMatmulDescSetAttribute", b.set_operation);
    find("cublasLtMatrixLayoutCreate", b.create_layout);
    find("cublasLtMatrixLayoutDestroy", b.destroy_layout);
    find("cublasLtMatrixLayoutSetAttribute", b.set_layout);
    find("cublasLtMatmulPreferenceCreate", b.create_preference);
    find("cublasLtMatmulPreferenceDestroy", b.destroy_preference);
    find("cublasLtMatmulPreferenceSetAttribute", b.set_preference);
    find("cublasLtMatmulAlgoGetHeuristic", b.propose);
    find("cublasLtMatmulAlgoConfigGetAttribute", b.get_choice);
    find("cublasLtMatmul", b.multiply);
    return b;
}

} // namespace

void blas_library::check(cublasStatus_t status, const char* call) const {
    if (status != CUBLAS_STATUS_SUCCESS)
        throw cuda_error(fmt::format("{} failed: {} (status {})", call, status_text(status), static_cast<int>(status)));
}

const blas_library& load_blas() {
    static const blas_library library = open_blas(); // once more after a throw
    return library;
}

blas_handle make_blas_handle() {
    const blas_library& blas = load_blas();
    cublasLtHandle_t handle = nullptr;
    blas.check(blas.create(&handle), "cublasLtCreate");
    return {handle, blas.destroy};
}

} // namespace elbo::kernels::cuda
