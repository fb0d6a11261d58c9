// Parameters in float64 to the form that the kernels read.
#include "kernels/cuda/core/launch.cuh"
#include "kernels/cuda/gmm/e_step/device_model.cuh"
#include "kernels/cuda/gmm/e_step/sums.cuh"
#include "kernels/cuda/gmm/m_step/m_step.hpp"

namespace elbo::kernels::cuda {

namespace {

inline constexpr int write_threads = 128;

/// Position of the diagonal element j of U_k in the factors of gmm::model.
__device__ std::int64_t diagonal_at(const gmm_shape& s, std::int64_t k, std::int64_t j) {
    const gmm::family_geometry g = geometry(s.family);
    return k * g.stride(s.dimensions) + g.at(j, j, s.dimensions);
}

/// Rounds an upper triangular [d x d] factor into [p x p].
template <class T>
__device__ void round_matrix(const double* u, std::int64_t d, std::int64_t p, T* out) {
    for (std::int64_t e = threadIdx.x; e < p * p; e += blockDim.x) {
        const std::int64_t i = e / p, j = e - i * p;
        out[e] = i < d && j < d && j >= i ? static_cast<T>(u[i * d + j]) : T(0);
    }
}

// Component blockIdx.x: mean and factor rounded to T, c_k = log α_k + Σ_i log U_ii − d/2 log 2π from the rounded
// factor.
template <class T>
__global__ void __launch_bounds__(write_threads)
    write_components(const gmm_shape shape, const update_arrays arrays, const device_model<T> model) {
    __shared__ double scratch[32];
    const std::int64_t k = blockIdx.x;
    const std::int64_t d = shape.dimensions, p = padded(d);
    const density_form form = form_of(shape.family);
    for (std::int64_t j = threadIdx.x; j < p; j += blockDim.x)
        model.means[k * p + j] = j < d ? static_cast<T>(arrays.means[k * d + j]) : T(0);
    if (form == density_form::full)
        round_matrix(arrays.factors + k * d * d, d, p, model.factors + k * p * p);
    else if (form == density_form::diagonal)
        for (std::int64_t j = threadIdx.x; j < p; j += blockDim.x)
            model.factors[k * p + j] = j < d ? static_cast<T>(arrays.factors[diagonal_at(shape, k, j)]) : T(0);
    else if (k == 0)
        round_matrix(arrays.factors, d, p, model.factors);

    const auto rounded = [&](std::int64_t at) { return static_cast<double>(static_cast<T>(arrays.factors[at])); };
    double log_determinant = 0;
    for (std::int64_t j = threadIdx.x; j < d; j += blockDim.x)
        log_determinant += ::log(rounded(diagonal_at(shape, k, j)));
    log_determinant = block_sum(log_determinant, scratch);
    for (std::int64_t j = threadIdx.x; j < p && (form != density_form::full || d <= register_row_dimensions);
         j += blockDim.x) {
        double y = 0; // Uᵀμ, number j
        for (std::int64_t i = form == density_form::diagonal ? j : 0; j < d && i <= j; ++i)
            y += rounded(form == density_form::diagonal ? diagonal_at(shape, k, j)
                         : form == density_form::full   ? (k * d + i) * d + j
                                                        : i * d + j) *
                 static_cast<double>(static_cast<T>(arrays.means[k * d + i]));
        model.whitened[k * p + j] = static_cast<T>(y);
    }
    if (threadIdx.x == 0) {
        constexpr double half_log_2pi = 0.91893853320467274178;
        const double log_weight = arrays.log_weights[k];
        model.log_weights[k] = log_weight;
        model.constants[k] =
            ::isinf(log_weight) ? log_weight : log_weight + log_determinant - static_cast<double>(d) * half_log_2pi;
    }
}

// reference = max c_k, and c_k less it, in units of ln 2; one block.
template <class T>
__global__ void __launch_bounds__(write_threads) write_offsets(std::int64_t components, const device_model<T> model) {
    __shared__ double scratch[32];
    double largest = -INFINITY;
    for (std::int64_t k = threadIdx.x; k < components; k += blockDim.x)
        largest = ::fmax(largest, model.constants[k]);
    largest = block_reduce(largest, scratch, [](double a, double b) { return ::fmax(a, b); });
    for (std::int64_t k = threadIdx.x; k < components; k += blockDim.x)
        model.offsets[k] = static_cast<T>((model.constants[k] - largest) * log2_e);
    if (threadIdx.x == 0)
        *model.reference = largest;
}

} // namespace

template <class T>
void write_model(const internal::cuda_state& state, const gmm_shape& shape, const update_arrays& arrays,
                 const device_model<T>& model) {
    launch(state, "write_components", {shape.components, write_threads}, write_components<T>, shape, arrays, model);
    launch(state, "write_offsets", {1, write_threads}, write_offsets<T>, shape.components, model);
}

template void write_model(const internal::cuda_state&, const gmm_shape&, const update_arrays&,
                          const device_model<float>&);
template void write_model(const internal::cuda_state&, const gmm_shape&, const update_arrays&,
                          const device_model<double>&);

} // namespace elbo::kernels::cuda
