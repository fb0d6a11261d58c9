#include "host/scoring.hpp"

#include "kernels/shared/threads/parallel.hpp"

#include <atomic>
#include <cmath>
#include <limits>

namespace elbo {

namespace {

using kernels::unit_rows;

template <class T>
bool all_finite(const T* row, std::int64_t cols) {
    bool beyond = false;
    for (std::int64_t j = 0; j < cols; ++j)
        beyond |= !(std::abs(row[j]) <= std::numeric_limits<T>::max());
    return !beyond;
}

/// row * cols + column of the first number in host memory that is not finite, or −1.
template <class T>
std::int64_t first_not_finite(const context& ctx, const matrix_view<const T>& x) {
    std::atomic<std::int64_t> first_row = x.rows;
    kernels::parallel_for(ctx.threads(), (x.rows + unit_rows - 1) / unit_rows, [&](std::int64_t u, int) {
        for (std::int64_t i = u * unit_rows; i < std::min((u + 1) * unit_rows, x.rows); ++i) {
            if (all_finite(x.row(i), x.cols))
                continue;
            std::int64_t known = first_row;
            while (i < known && !first_row.compare_exchange_weak(known, i))
                continue;
            return;
        }
    });
    if (first_row == x.rows)
        return -1;
    std::int64_t j = 0;
    while (std::isfinite(x(first_row, j)))
        ++j;
    return first_row * x.cols + j;
}

} // namespace

void value_check::operator()(const context& ctx, std::string_view name, const any_matrix_view& x,
                             kernels::gmm_engine* engine) {
    const std::int64_t bad = x.space == memory_space::device   ? engine->summarize({x, {}, 1}, units_)
                             : x.type == element_type::float32 ? first_not_finite(ctx, x.as<float>())
                                                               : first_not_finite(ctx, x.as<double>());
    if (bad < 0)
        return;
    const std::int64_t i = bad / x.cols, j = bad % x.cols, size = x.element_size();
    float narrow = 0;
    double wide = 0;
    internal::copy_rows(ctx, x.type == element_type::float32 ? static_cast<void*>(&narrow) : &wide, size,
                        static_cast<const char*>(x.data) + (i * x.stride + j) * size, size, size, 1);
    ctx.wait(); // the host looks at it
    const double value = x.type == element_type::float32 ? static_cast<double>(narrow) : wide;
    throw invalid_argument(fmt::format("{}: row {}, column {} is {}: expected finite numbers", name, i, j, value));
}

} // namespace elbo
