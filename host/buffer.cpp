#include "elbo/buffer.hpp"

#include "elbo/error.hpp"
#include "kernels/contract/context_state.hpp"

#include <fmt/format.h>

namespace elbo::internal {

std::shared_ptr<void> allocate(const context& ctx, std::int64_t bytes) {
    if (bytes < 0)
        throw invalid_argument("size of a buffer is negative: expected 0 or more elements");
    return ctx.state().table.allocate(ctx.state(), bytes);
}

void check_matrix_size(std::int64_t rows, std::int64_t cols, std::int64_t size) {
    if (rows < 0 || cols < 0 || (cols > 0 && rows > size / cols))
        throw invalid_argument(fmt::format(
            "a view of {} x {} elements: expected sizes that fit the {} elements of the buffer", rows, cols, size));
}

void copy_rows(const context& ctx, void* to, std::int64_t to_stride, const void* from, std::int64_t from_stride,
               std::int64_t row_bytes, std::int64_t rows) {
    ctx.state().table.copy(ctx.state(), to, to_stride, from, from_stride, row_bytes, rows);
}

void throw_copy_sizes(std::int64_t from_rows, std::int64_t from_cols, std::int64_t to_size) {
    throw invalid_argument(fmt::format("a copy of {} x {} elements: expected a destination of that size, it has {}",
                                       from_rows, from_cols, to_size));
}

} // namespace elbo::internal
