// Weights of the samples: how they are given, and what became of those that are too small to count.
#pragma once

#include "elbo/matrix_view.hpp"

#include <cstdint>
#include <memory>
#include <utility>
#include <vector>

namespace elbo::gmm {

/// Weights of the samples: [n] numbers ≥ 0 in host or device memory. Empty means all 1. They may be of any finite size:
/// they are multiplied by a power of two on their way, which changes no result.
struct sample_weights {
    any_matrix_view values; ///< [n x 1]; data == nullptr for none
    sample_weights() = default;
    /// A view of a vector, which must outlive the call that the weights are for.
    sample_weights(const std::vector<float>& v) : values(column_of(v)) {}
    sample_weights(const std::vector<double>& v) : values(column_of(v)) {}
    /// A temporary is kept, and shared by the copies of this object.
    sample_weights(std::vector<float>&& v) : sample_weights(std::make_shared<const std::vector<float>>(std::move(v))) {}
    sample_weights(std::vector<double>&& v)
        : sample_weights(std::make_shared<const std::vector<double>>(std::move(v))) {}
    sample_weights(const std::vector<float>&& v) : sample_weights(std::vector<float>(v)) {}
    sample_weights(const std::vector<double>&& v) : sample_weights(std::vector<double>(v)) {}
    /// A view of a column in host or device memory, which must outlive the call that the weights are for.
    sample_weights(any_matrix_view column) : values(column) {}
    bool empty() const { return values.data == nullptr; }

private:
    template <class T>
    explicit sample_weights(std::shared_ptr<const std::vector<T>> v) : values(column_of(*v)), kept_(std::move(v)) {}
    template <class T>
    static matrix_view<const T> column_of(const std::vector<T>& v) {
        return {v.data(), static_cast<std::int64_t>(v.size()), 1};
    }
    std::shared_ptr<const void> kept_; ///< of a temporary
};

/// Rows that cannot count beside the others: their weight is positive, but less than 2⁻⁷² (2e-22) of the sum of all,
/// which is nothing to sums in float64. They are taken as rows of weight 0.
struct negligible_weights {
    std::int64_t rows = 0;   ///< how many there are
    std::int64_t first = -1; ///< the first of them; −1 where there are none
};

} // namespace elbo::gmm
