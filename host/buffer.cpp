#include "elbo/buffer.hpp"

#include "elbo/error.hpp"
#include "kernels/contract/context_state.hpp"

#include <cstring>
#include <fmt/format.h>
#include <new>

namespace elbo::internal {

std::shared_ptr<void> allocate(const context& ctx, std::int64_t bytes) {
    if (bytes < 0)
        throw invalid_argument("size of a buffer is negative: expected 0 or more elements");
    if (ctx.where() == backend::cuda)
        return allocate_device(ctx.state().cuda, bytes);
    void* data = ::operator new(static_cast<std::size_t>(bytes), std::align_val_t(64), std::nothrow);
    if (!data)
        throw out_of_memory(fmt::format("host memory for a buffer: {} bytes wanted", bytes),
                            static_cast<std::uint64_t>(bytes), 0);
    return {data, [](void* p) { ::operator delete(p, std::align_val_t(64)); }};
}

void check_matrix_size(std::int64_t rows, std::int64_t cols, std::int64_t size) {
    if (rows < 0 || cols < 0 || (cols > 0 && rows > size / cols))
        throw invalid_argument(fmt::format(
            "a view of {} x {} elements: expected sizes that fit the {} elements of the buffer", rows, cols, size));
}

void copy_rows(const context& ctx, void* to, std::int64_t to_stride, const void* from, std::int64_t from_stride,
               std::int64_t row_bytes, std::int64_t rows) {
    if (ctx.where() == backend::cuda)
        return copy_on_stream(*ctx.state().cuda, to, to_stride, from, from_stride, row_bytes, rows);
    for (std::int64_t i = 0; i < rows; ++i)
        std::memcpy(static_cast<char*>(to) + i * to_stride, static_cast<const char*>(from) + i * from_stride,
                    static_cast<std::size_t>(row_bytes));
}

void throw_copy_sizes(std::int64_t from_rows, std::int64_t from_cols, std::int64_t to_size) {
    throw invalid_argument(fmt::format("a copy of {} x {} elements: expected a destination of that size, it has {}",
                                       from_rows, from_cols, to_size));
}

} // namespace elbo::internal
