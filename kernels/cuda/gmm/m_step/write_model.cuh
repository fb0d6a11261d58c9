// Parameters in float64 to the form that the kernels of the E-step read, and what an update keeps of those before.
#pragma once

#include "kernels/cuda/gmm/e_step/device_model.cuh"
#include "kernels/cuda/gmm/m_step/m_step.hpp"
#include "kernels/cuda/gmm/m_step/team.cuh"

namespace elbo::kernels::cuda {

/// Whether this block is the last one of the grid to come here: then it sees what all others have written before.
__device__ inline bool arrives_last(std::uint32_t* arrived) {
    __shared__ bool last;
    if (gridDim.x == 1) {
        __syncthreads();
        return true;
    }
    __threadfence();
    __syncthreads();
    if (threadIdx.x == 0)
        last = atomicInc(arrived, gridDim.x - 1) == gridDim.x - 1; // the last one sets it back to 0
    __syncthreads();
    __threadfence();
    return last;
}

/// Position of the diagonal element j of U_k in the factors of gmm::model.
__device__ inline std::int64_t diagonal_at(const gmm_shape& s, std::int64_t k, std::int64_t j) {
    const gmm::family_geometry g = geometry(s.family);
    return k * g.stride(s.dimensions) + g.at(j, j, s.dimensions);
}

/// Rounds an upper triangular [d x d] factor into [p x p].
template <class Team, class T>
__device__ void round_matrix(const Team& team, const double* u, std::int64_t d, std::int64_t p, T* out) {
    using element = typename Team::element;
    const auto row = static_cast<element>(p);
    for (element e = team.rank(); e < row * row; e += team.size()) {
        const element i = e / row, j = e - i * row;
        out[e] = i < d && j < d && j >= i ? static_cast<T>(u[i * d + j]) : T(0);
    }
}

/// Numbers of `whitened` of a component.
__device__ inline std::int64_t whitened_width(const gmm_shape& s) {
    return form_of(s.family) == density_form::full && s.dimensions > register_row_dimensions ? 0 : padded(s.dimensions);
}

/// Component k of the current parameters into `previous`; of a common factor all components copy a part.
template <class Team, class T>
__device__ void keep_previous(const Team& team, const update_arguments<T>& a, std::int64_t k) {
    const std::int64_t K = a.shape.components, p = padded(a.shape.dimensions), whitened = whitened_width(a.shape);
    const bool common = form_of(a.shape.family) == density_form::whitened;
    const device_model<T>&from = a.model, &to = a.previous;
    team.each(p, [&](int j) { to.means[k * p + j] = from.means[k * p + j]; });
    team.each(whitened, [&](int j) { to.whitened[k * whitened + j] = from.whitened[k * whitened + j]; });
    const std::int64_t size = form_of(a.shape.family) == density_form::diagonal ? p : p * p; // of a factor
    const T* factor = from.factors + (common ? 0 : k * size);
    T* kept = to.factors + (common ? 0 : k * size);
    for (std::int64_t e = (common ? k * team.size() : 0) + team.rank(); e < size;
         e += common ? K * team.size() : team.size())
        kept[e] = factor[e];
    if (team.rank() == 0) {
        to.log_weights[k] = from.log_weights[k];
        to.constants[k] = from.constants[k];
        to.offsets[k] = from.offsets[k];
        if (suits_dot_form(a.shape))
            to.norms[k] = from.norms[k];
        if (k == 0)
            *to.reference = *from.reference;
    }
}

/// Mean and factor of component k rounded to T, and log det of the rounded factor.
template <class Team, class T>
__device__ void write_component(const Team& team, const update_arguments<T>& a, std::int64_t k) {
    const std::int64_t d = a.shape.dimensions, p = padded(d);
    const update_arrays& arrays = a.arrays;
    const device_model<T>& model = a.model;
    const density_form form = form_of(a.shape.family);
    team.each(p, [&](int j) { model.means[k * p + j] = j < d ? static_cast<T>(arrays.means[k * d + j]) : T(0); });
    if (form == density_form::full)
        round_matrix(team, arrays.factors + k * d * d, d, p, model.factors + k * p * p);
    else if (form == density_form::diagonal)
        team.each(p, [&](int j) {
            model.factors[k * p + j] = j < d ? static_cast<T>(arrays.factors[diagonal_at(a.shape, k, j)]) : T(0);
        });
    else if (k == 0)
        round_matrix(team, arrays.factors, d, p, model.factors);

    const auto rounded = [&](std::int64_t at) { return static_cast<double>(static_cast<T>(arrays.factors[at])); };
    constexpr int most = 128; // threads that add up, so that the order is the same for any team that is as large
    const int adders = min(team.size(), most);
    double log_determinant = 0;
#pragma unroll 1
    for (std::int64_t j = team.rank(); j < d && team.rank() < adders; j += adders)
        log_determinant += ::log(rounded(diagonal_at(a.shape, k, j)));
    log_determinant = team.sum_first(d, log_determinant);
    const std::int64_t width = whitened_width(a.shape);
    team.each(width, [&](int j) {
        double y = 0; // Uᵀμ, number j
        for (std::int64_t i = form == density_form::diagonal ? j : 0; j < d && i <= j; ++i)
            y += rounded(form == density_form::diagonal ? diagonal_at(a.shape, k, j)
                         : form == density_form::full   ? (k * d + i) * d + j
                                                        : i * d + j) *
                 static_cast<double>(static_cast<T>(arrays.means[k * d + i]));
        model.whitened[k * p + j] = static_cast<T>(y);
    });
    if (suits_dot_form(a.shape)) {
        team.sync(); // the centre has been written
        const T* centre = (geometry(a.shape.family).spherical() ? model.means : model.whitened) + k * p;
        double squares = 0;
        for (std::int64_t j = team.rank(); j < d && team.rank() < adders; j += adders)
            squares += static_cast<double>(centre[j]) * static_cast<double>(centre[j]);
        squares = team.sum(squares);
        if (team.rank() == 0)
            model.norms[k] = static_cast<T>(squares);
    }
    if (team.rank() == 0)
        arrays.constants[k] = log_determinant;
}

/// log α_k, c_k = log α_k + Σ_i log U_ii − d/2 log 2π, the reference and what c_k exceeds it by, after all components
/// have been written; one team.
template <class Team, class T>
__device__ void finish_model(const Team& team, const update_arguments<T>& a) {
    constexpr double half_log_2pi = 0.91893853320467274178;
    const device_model<T>& model = a.model;
    const std::int64_t K = a.shape.components;
    double largest = -INFINITY;
#pragma unroll 1
    for (std::int64_t k = team.rank(); k < K; k += team.size()) {
        const double log_weight = a.arrays.log_weights[k];
        const double constant = ::isinf(log_weight)
                                    ? log_weight
                                    : ::fma(-static_cast<double>(a.shape.dimensions), half_log_2pi, // rounded once
                                            log_weight + a.arrays.constants[k]);
        model.log_weights[k] = log_weight;
        model.constants[k] = a.arrays.constants[k] = constant;
        largest = ::fmax(largest, constant);
    }
    largest = team.reduce_first(K, largest, [](double x, double y) { return ::fmax(x, y); });
    for (std::int64_t k = team.rank(); k < K; k += team.size())
        model.offsets[k] = static_cast<T>((a.arrays.constants[k] - largest) * log2_e);
    if (team.rank() == 0)
        *model.reference = largest;
}

} // namespace elbo::kernels::cuda
