// Views of matrices that somebody else owns.
#pragma once

#include <cstdint>
#include <type_traits>

namespace elbo {

/// Where the elements of a view lie.
enum class memory_space {
    host,   ///< ordinary host memory
    pinned, ///< page-locked host memory
    device  ///< memory of a CUDA device
};

/// Type of the elements of a data matrix.
enum class element_type { float32, float64 };

/// A row-major matrix in memory that somebody else owns: element (i, j) is data[i * stride + j].
template <class T>
struct matrix_view {
    T* data = nullptr;
    std::int64_t rows = 0;
    std::int64_t cols = 0;
    std::int64_t stride = 0; ///< elements from one row to the next, at least cols
    memory_space space = memory_space::host;

    constexpr matrix_view() = default;
    constexpr matrix_view(T* first, std::int64_t row_count, std::int64_t column_count,
                          memory_space where = memory_space::host)
        : matrix_view(first, row_count, column_count, column_count, where) {}
    constexpr matrix_view(T* first, std::int64_t row_count, std::int64_t column_count, std::int64_t row_stride,
                          memory_space where)
        : data(first), rows(row_count), cols(column_count), stride(row_stride), space(where) {}
    /// A view of T converts to a view of const T.
    template <class U>
        requires(std::is_same_v<const U, T>)
    constexpr matrix_view(const matrix_view<U>& other)
        : matrix_view(other.data, other.rows, other.cols, other.stride, other.space) {}

    constexpr T* row(std::int64_t i) const { return data + i * stride; }
    constexpr T& operator()(std::int64_t i, std::int64_t j) const { return data[i * stride + j]; }
    /// Rows first ... first + count - 1. A view without data stays one.
    constexpr matrix_view slice(std::int64_t first, std::int64_t count) const {
        return {data ? data + first * stride : nullptr, count, cols, stride, space};
    }
};

/// A matrix_view whose element type is known at run time.
struct any_matrix_view {
    const void* data = nullptr;
    element_type type = element_type::float32;
    std::int64_t rows = 0;
    std::int64_t cols = 0;
    std::int64_t stride = 0;
    memory_space space = memory_space::host;

    any_matrix_view() = default;
    any_matrix_view(matrix_view<const float> v)
        : data(v.data), type(element_type::float32), rows(v.rows), cols(v.cols), stride(v.stride), space(v.space) {}
    any_matrix_view(matrix_view<const double> v)
        : data(v.data), type(element_type::float64), rows(v.rows), cols(v.cols), stride(v.stride), space(v.space) {}
    any_matrix_view(matrix_view<float> v) : any_matrix_view(matrix_view<const float>(v)) {}
    any_matrix_view(matrix_view<double> v) : any_matrix_view(matrix_view<const double>(v)) {}

    /// Bytes of one element.
    std::int64_t element_size() const { return type == element_type::float32 ? 4 : 8; }
    /// Rows first ... first + count - 1. A view without data stays one.
    any_matrix_view slice(std::int64_t first, std::int64_t count) const {
        any_matrix_view part = *this;
        if (data)
            part.data = static_cast<const char*>(data) + first * stride * element_size();
        part.rows = count;
        return part;
    }
    /// The typed view; the caller has looked at `type` before.
    template <class T>
    matrix_view<const T> as() const {
        return {static_cast<const T*>(data), rows, cols, stride, space};
    }
};

} // namespace elbo
