// Rows in units: the loop over them on all threads, and the rows of one unit of an input.
#pragma once

#include "elbo/error.hpp"
#include "kernels/cpu/kernel_table.hpp"
#include "kernels/gmm_engine.hpp"

#include <algorithm>
#include <cstdint>
#include <fmt/format.h>
#include <omp.h>

namespace elbo::kernels::cpu {

constexpr std::int64_t units_of(std::int64_t rows) {
    return (rows + unit_rows - 1) / unit_rows;
}

/// Calls work(unit, thread) for every unit; on the calling thread alone where there is nothing to share out.
template <class F>
void for_units(std::int64_t units, int threads, const F& work) {
    if (units <= 1 || threads == 1) {
        for (std::int64_t u = 0; u < units; ++u)
            work(u, 0);
        return;
    }
    const int team = static_cast<int>(std::min<std::int64_t>(threads, units));
#pragma omp parallel for num_threads(team) schedule(dynamic)
    for (std::int64_t u = 0; u < units; ++u)
        work(u, omp_get_thread_num());
}

inline void require_host_memory(const any_matrix_view& v, const char* name) {
    if (v.data != nullptr && v.space == memory_space::device)
        throw invalid_argument(fmt::format("{} is in device memory: expected host memory for the cpu back end", name));
}

/// The rows of unit u of an input.
inline input_view unit_of(const input_rows& in, std::int64_t u) {
    const std::int64_t first = u * unit_rows;
    const any_matrix_view x = in.x.slice(first, std::min(unit_rows, in.x.rows - first));
    input_view v{x.data, x.type, x.stride, x.rows, x.cols, nullptr, element_type::float32, 0, in.weight_scale};
    if (in.weights.data) {
        const any_matrix_view w = in.weights.slice(first, x.rows);
        v.weights = w.data, v.weight_type = w.type, v.weight_stride = w.stride;
    }
    return v;
}

} // namespace elbo::kernels::cpu
