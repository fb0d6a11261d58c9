// Owning arrays on the memory of a context.
#pragma once

#include "elbo/context.hpp"
#include "elbo/matrix_view.hpp"

#include <cstdint>
#include <memory>
#include <type_traits>
#include <utility>

namespace elbo {

namespace internal {
/// Memory of the context's device, or of the host for the other back ends; keeps the stream alive that frees it.
/// Throws out_of_memory.
std::shared_ptr<void> allocate(const context& ctx, std::int64_t bytes);
/// Throws invalid_argument unless rows, cols >= 0 and rows * cols <= size.
void check_matrix_size(std::int64_t rows, std::int64_t cols, std::int64_t size);
/// Copies rows * row_bytes bytes between any memories in the order of the context's stream.
void copy_rows(const context& ctx, void* to, std::int64_t to_stride, const void* from, std::int64_t from_stride,
               std::int64_t row_bytes, std::int64_t rows);
[[noreturn]] void throw_copy_sizes(std::int64_t from_rows, std::int64_t from_cols, std::int64_t to_size);
} // namespace internal

/// Move-only array of `size` elements in the memory that a context computes on: device memory for cuda, host memory
/// else. Not initialised. Freed in the order of the context's stream.
template <class T>
class buffer {
    static_assert(std::is_trivially_copyable_v<T>, "the elements are copied as bytes");

public:
    /// Throws out_of_memory (with the bytes wanted and free) and invalid_argument if size < 0.
    buffer(const context& ctx, std::int64_t size)
        : memory_(internal::allocate(ctx, size < 0 ? size : size * static_cast<std::int64_t>(sizeof(T)))), size_(size),
          space_(ctx.memory()) {}
    buffer(buffer&& other) noexcept
        : memory_(std::move(other.memory_)), size_(std::exchange(other.size_, 0)), space_(other.space_) {}
    buffer& operator=(buffer&& other) noexcept {
        std::swap(memory_, other.memory_);
        std::swap(size_, other.size_);
        std::swap(space_, other.space_);
        return *this;
    }

    T* data() noexcept { return static_cast<T*>(memory_.get()); }
    const T* data() const noexcept { return static_cast<const T*>(memory_.get()); }
    std::int64_t size() const noexcept { return size_; }
    memory_space space() const noexcept { return space_; }

    /// The first rows * cols elements as a matrix. Throws invalid_argument if the buffer is smaller.
    matrix_view<T> view(std::int64_t rows, std::int64_t cols) {
        internal::check_matrix_size(rows, cols, size_);
        return {data(), rows, cols, space_};
    }
    matrix_view<const T> view(std::int64_t rows, std::int64_t cols) const {
        internal::check_matrix_size(rows, cols, size_);
        return {data(), rows, cols, space_};
    }

private:
    std::shared_ptr<void> memory_;
    std::int64_t size_;
    memory_space space_;
};

/// Copies a matrix (any stride, any memory) to the front of a buffer, packed. Enqueued on the context's stream: the
/// caller keeps `from` until ctx.wait(). Throws invalid_argument if the buffer is too small, cuda_error.
template <class T>
void copy(const context& ctx, matrix_view<const std::type_identity_t<T>> from, buffer<T>& to) {
    if (from.rows * from.cols > to.size())
        internal::throw_copy_sizes(from.rows, from.cols, to.size());
    constexpr auto size = static_cast<std::int64_t>(sizeof(T));
    internal::copy_rows(ctx, to.data(), from.cols * size, from.data, from.stride * size, from.cols * size, from.rows);
}

/// Copies a matrix from anywhere to a matrix of the same size anywhere, with the same rules.
template <class T>
void copy(const context& ctx, matrix_view<const std::type_identity_t<T>> from, matrix_view<T> to) {
    if (from.rows != to.rows || from.cols != to.cols)
        internal::throw_copy_sizes(from.rows, from.cols, to.rows * to.cols);
    constexpr auto size = static_cast<std::int64_t>(sizeof(T));
    internal::copy_rows(ctx, to.data, to.stride * size, from.data, from.stride * size, from.cols * size, from.rows);
}

} // namespace elbo
