#include "kernels/cpu/packed_model.hpp"

#include <algorithm>
#include <cmath>
#include <limits>
#include <numbers>

namespace elbo::kernels::cpu {

namespace {

using gmm::family;

std::int64_t factor_numbers(const gmm_shape& s) {
    switch (s.family) {
    case family::full:
        return s.components * triangle_size(s.dimensions);
    case family::diagonal:
        return s.components * s.dimensions;
    case family::spherical:
        return s.components;
    default:
        return 0;
    }
}

std::int64_t whitener_numbers(const gmm_shape& s) {
    if (!gmm::is_tied(s.family))
        return 0;
    return s.family == family::tied ? triangle_size(s.dimensions) : s.dimensions;
}

/// Σ_i log U_ii of the factor whose diagonal begins at `u` with the given step.
double log_determinant(const double* u, std::int64_t step, std::int64_t d) {
    double sum = 0;
    for (std::int64_t i = 0; i < d; ++i)
        sum += std::log(u[i * step]);
    return sum;
}

} // namespace

template <class T>
packed_model<T>::packed_model(const gmm_shape& shape, const kernel_table<T>& kernels, std::int64_t block_rows)
    : shape_(shape), kernels_(&kernels), means_(shape.components * shape.dimensions), factors_(factor_numbers(shape)),
      centres_(gmm::is_tied(shape.family) ? shape.components * shape.dimensions : 0),
      whitener_(whitener_numbers(shape)), offsets_(shape.components),
      exact_offsets_(static_cast<std::size_t>(shape.components)) {
    const bool tied = gmm::is_tied(shape.family);
    view_.family = shape.family;
    view_.dimensions = shape.dimensions;
    view_.components = shape.components;
    view_.block_rows = block_rows;
    view_.means = means_.data();
    view_.factors = factors_.data();
    view_.centres = tied ? centres_.data() : means_.data();
    view_.whitener = tied ? whitener_.data() : nullptr;
    view_.offsets = offsets_.data();
    view_.threshold = static_cast<T>(24 * std::numbers::ln2 + std::log(static_cast<double>(shape.components)));
    view_.triangle = triangle_size(shape.dimensions);
}

template <class T>
void packed_model<T>::pack(const gmm_parameters& p) {
    std::ranges::transform(p.means, means_.data(), [](double m) { return static_cast<T>(m); });
    if (gmm::is_tied(shape_.family))
        pack_common_factor(p);
    else
        pack_factors(p.precision_cholesky);
    pack_offsets(p);
}

template <class T>
void packed_model<T>::pack_factors(const std::vector<double>& u) {
    const std::int64_t d = shape_.dimensions;
    for (std::int64_t k = 0; k < shape_.components; ++k)
        switch (shape_.family) {
        case family::full:
            kernels_->pack_triangle(&u[k * d * d], family::full, d, factors_.data() + k * view_.triangle);
            break;
        case family::diagonal:
            for (std::int64_t j = 0; j < d; ++j)
                factors_[k * d + j] = static_cast<T>(u[k * d + j]);
            break;
        default:
            factors_[k] = static_cast<T>(u[k] * u[k]);
        }
}

template <class T>
void packed_model<T>::pack_common_factor(const gmm_parameters& p) {
    const std::int64_t d = shape_.dimensions;
    const std::vector<double>& u = p.precision_cholesky;
    const auto diagonal = [&](std::int64_t j) { return shape_.family == family::tied_diagonal ? u[j] : u[0]; };
    if (shape_.family == family::tied)
        kernels_->pack_triangle(u.data(), family::tied, d, whitener_.data());
    else
        for (std::int64_t j = 0; j < d; ++j)
            whitener_[j] = static_cast<T>(diagonal(j));
    for (std::int64_t k = 0; k < shape_.components; ++k)
        for (std::int64_t j = 0; j < d; ++j) {
            const double* mean = &p.means[k * d];
            double sum = 0;
            if (shape_.family == family::tied)
                for (std::int64_t t = 0; t <= j; ++t)
                    sum += u[t * d + j] * mean[t];
            else
                sum = diagonal(j) * mean[j];
            centres_[k * d + j] = static_cast<T>(sum);
        }
}

template <class T>
void packed_model<T>::pack_offsets(const gmm_parameters& p) {
    const std::int64_t d = shape_.dimensions;
    const double* u = p.precision_cholesky.data();
    const auto log_determinant_of = [&](std::int64_t k) {
        switch (shape_.family) {
        case family::full:
            return log_determinant(u + k * d * d, d + 1, d);
        case family::diagonal:
            return log_determinant(u + k * d, 1, d);
        case family::spherical:
            return log_determinant(u + k, 0, d);
        case family::tied:
            return log_determinant(u, d + 1, d);
        case family::tied_diagonal:
            return log_determinant(u, 1, d);
        default:
            return log_determinant(u, 0, d);
        }
    };
    const bool tied = gmm::is_tied(shape_.family);
    const double common = tied ? log_determinant_of(0) : 0;
    double largest = -std::numeric_limits<double>::infinity();
    for (std::int64_t k = 0; k < shape_.components; ++k) {
        const bool dropped = std::isinf(p.log_weights[k]);
        const double c = p.log_weights[k] - 0.5 * static_cast<double>(d) * std::log(2 * std::numbers::pi);
        exact_offsets_[k] = dropped ? p.log_weights[k] : c + (tied ? common : log_determinant_of(k));
        largest = std::max(largest, exact_offsets_[k]);
    }
    view_.reference_offset = largest;
    for (std::int64_t k = 0; k < shape_.components; ++k)
        offsets_[k] = static_cast<T>(exact_offsets_[k] - largest);
}

template <class T>
std::int64_t packed_model<T>::bytes(const gmm_shape& s) {
    const std::int64_t vectors = gmm::is_tied(s.family) ? 2 : 1;
    return aligned_array<T>::bytes(vectors * s.components * s.dimensions + factor_numbers(s) + whitener_numbers(s)) +
           s.components * static_cast<std::int64_t>(sizeof(T) + 8);
}

template class packed_model<float>;
template class packed_model<double>;

} // namespace elbo::kernels::cpu
