// Loops over rows that do not depend on each other, on the threads that the machine has room for.
#pragma once

#include "kernels/shared/threads/parallel.hpp"
#include "kernels/shared/threads/processors.hpp"

#include <algorithm>
#include <cstdint>

namespace elbo {

/// Calls work(i) for each row; `numbers` is about how many numbers one has. Few are left to the calling thread.
template <class Work>
void for_independent_rows(std::int64_t rows, std::int64_t numbers, const Work& work) {
    constexpr std::int64_t range_numbers = 1 << 11, worth_threads = 1 << 15; // some ten, some hundred microseconds
    const std::int64_t step = std::max<std::int64_t>(1, range_numbers / std::max<std::int64_t>(1, numbers));
    const int threads = rows > worth_threads / std::max<std::int64_t>(1, numbers) ? kernels::default_threads() : 1;
    kernels::parallel_ranges(threads, rows, step, [&](std::int64_t first, std::int64_t last) {
        for (std::int64_t i = first; i < last; ++i)
            work(i);
    });
}

} // namespace elbo
