// Rows in units, which parallel_for shares out, and the rows of one unit of an input.
#pragma once

#include "elbo/error.hpp"
#include "kernels/contract/gmm_engine.hpp"
#include "kernels/cpu/gmm/kernel_table.hpp"
#include "kernels/shared/threads/parallel.hpp"

#include <algorithm>
#include <cstdint>
#include <fmt/format.h>

namespace elbo::kernels::cpu {

constexpr std::int64_t units_of(std::int64_t rows) {
    return (rows + unit_rows - 1) / unit_rows;
}

/// Σ_j term(j) as eight sums, so that the compiler can use vectors without changing the order of additions.
template <class Term>
double sum_of_terms(std::int64_t count, const Term& term) {
    constexpr std::int64_t lanes = 8;
    double sums[lanes] = {};
    std::int64_t j = 0;
    for (; j + lanes <= count; j += lanes)
        for (std::int64_t l = 0; l < lanes; ++l)
            sums[l] += term(j + l);
    for (; j < count; ++j)
        sums[j % lanes] += term(j);
    return ((sums[0] + sums[1]) + (sums[2] + sums[3])) + ((sums[4] + sums[5]) + (sums[6] + sums[7]));
}

inline void require_host_memory(const any_matrix_view& v, const char* name) {
    if (v.data != nullptr && v.space == memory_space::device)
        throw invalid_argument(fmt::format("{} is in device memory: expected host memory for the cpu back end", name));
}

/// The rows of unit u of an input.
inline input_view unit_of(const input_rows& in, std::int64_t u) {
    const std::int64_t first = u * unit_rows;
    const std::int64_t rows = std::min(unit_rows, in.x.rows - first);
    return {in.x.slice(first, rows), in.weights.slice(first, rows), in.weight_scale};
}

} // namespace elbo::kernels::cpu
