// What sessions ask of their caller's views, and results on their way there.
#pragma once

#include "elbo/buffer.hpp"
#include "elbo/context.hpp"
#include "elbo/matrix_view.hpp"
#include "host/check.hpp"
#include "kernels/contract/gmm_engine.hpp"

#include <algorithm>
#include <cstdint>
#include <fmt/format.h>
#include <string_view>
#include <vector>

namespace elbo {

/// Throws invalid_argument where the back end of the context cannot reach such memory.
inline void check_reach(const context& ctx, std::string_view name, memory_space space) {
    expects(ctx.where() == backend::cuda || space != memory_space::device, [&] {
        return fmt::format("{} is in device memory: expected host memory for the {} back end", name,
                           to_string(ctx.where()));
    });
}

/// Throws invalid_argument unless x has at least one row of `cols` columns, which are `what`, within reach.
inline void check_input(const context& ctx, std::string_view name, const any_matrix_view& x, std::int64_t cols,
                        std::string_view what) {
    expects(x.data != nullptr && x.rows >= 0 && x.cols == cols && x.stride >= cols, [&] {
        return fmt::format("{} is {} x {} with stride {}: expected {} columns, {}", name, x.rows, x.cols, x.stride,
                           cols, what);
    });
    check_reach(ctx, name, x.space);
}

/// Throws invalid_argument unless `to` is [rows x cols] within reach.
template <class T>
void check_result(const context& ctx, std::string_view name, const matrix_view<T>& to, std::int64_t rows,
                  std::int64_t cols) {
    expects(to.data != nullptr && to.rows == rows && to.cols == cols && to.stride >= cols, [&] {
        return fmt::format("{} is {} x {} with stride {}: expected {} x {}", name, to.rows, to.cols, to.stride, rows,
                           cols);
    });
    check_reach(ctx, name, to.space);
}
/// The same for results that are left out where there is no view.
template <class T>
void check_optional(const context& ctx, std::string_view name, const matrix_view<T>& to, std::int64_t rows,
                    std::int64_t cols) {
    if (to.data)
        check_result(ctx, name, to, rows, cols);
}

/// Finds what is no finite number in rows.
class value_check {
public:
    /// Throws invalid_argument: row, column. Rows in device memory are for an engine of mixtures of any shape to look
    /// at; for others it may be null.
    void operator()(const context& ctx, std::string_view name, const any_matrix_view& x, kernels::gmm_engine* engine);

private:
    std::vector<kernels::unit_summary> units_;
};

/// Copies results that were made whole to a view of the same size, and waits.
template <class T>
void deliver(const context& ctx, const std::vector<T>& from, const matrix_view<T>& to) {
    if (!to.data)
        return;
    copy<T>(ctx, matrix_view<const T>(from.data(), to.rows, to.cols), to);
    ctx.wait();
}

} // namespace elbo
