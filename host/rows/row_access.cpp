#include "host/rows/row_access.hpp"

#include "host/check.hpp"
#include "kernels/contract/context_state.hpp"
#include "kernels/shared/threads/processors.hpp"

#include <fmt/format.h>

namespace elbo {

any_matrix_view on_host(const any_matrix_view& view, std::vector<char>& staging) {
    if (view.data == nullptr || view.space != memory_space::device)
        return view;
    const std::int64_t bytes = ((view.rows - 1) * view.stride + view.cols) * view.element_size();
    staging.resize(bytes);
    kernels::queue_of(view.data)->copy(staging.data(), view.data, 1, bytes, bytes);
    any_matrix_view host = view;
    host.data = staging.data();
    host.space = memory_space::host;
    return host;
}

any_matrix_view readable(const context& ctx, const any_matrix_view& view, std::vector<char>& staging) {
    return ctx.memory() == memory_space::device ? view : on_host(view, staging);
}

context on_host(const context& ctx) {
    return ctx.memory() == memory_space::device ? context::cpu() : ctx;
}

const data_source& check_width(const data_source& data, std::int64_t dimensions, std::string_view whose) {
    expects(data.cols() == dimensions, [&] {
        return fmt::format("{} has {} columns: expected {}, the dimensions of {}", data.description(), data.cols(),
                           dimensions, whose);
    });
    return data;
}

std::string column_label(const data_source& data, std::int64_t column) {
    const auto& names = data.column_names();
    return column < static_cast<std::int64_t>(names.size()) ? fmt::format("{} (\"{}\")", column, names[column])
                                                            : fmt::format("{}", column);
}

std::int64_t available_bytes(const context& ctx, std::int64_t limit) {
    if (limit > 0)
        return limit;
    if (ctx.memory() == memory_space::device) {
        for (const device_info& device : ctx.state().table.devices())
            if (device.ordinal == ctx.device())
                return device.free_bytes / 10 * 9;
    }
    // Of the host's memory at most half, since the data lies there too.
    return kernels::machine_memory() / 2;
}

} // namespace elbo
