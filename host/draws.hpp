// Drawing rows of samples: loops over rows that do not depend on each other, and random numbers that are pure functions
// of (seed, purpose, row, number), so the same everywhere.
#pragma once

#include "kernels/math/philox.hpp"
#include "kernels/shared/threads/parallel.hpp"
#include "kernels/shared/threads/processors.hpp"

#include <algorithm>
#include <cstdint>
#include <vector>

namespace elbo {

/// Calls work(i) for each row, on the threads that the machine has room for; `numbers` is about how many numbers one
/// has. Few are left to the calling thread.
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

/// `count` standard normal numbers of a row, from the random words `first_item` ... on.
inline void draw_normals(std::uint64_t seed, kernels::random_purpose purpose, std::uint64_t row, std::int64_t count,
                         double* out, std::int64_t first_item = 0) {
    for (std::int64_t i = 0; i < count; i += 2) {
        double pair[2];
        kernels::normal_pair(kernels::random_block(seed, purpose, row, static_cast<std::uint32_t>(first_item + i / 2)),
                             pair[0], pair[1]);
        std::copy_n(pair, std::min<std::int64_t>(2, count - i), out + i);
    }
}

/// Draws the component that a row comes from.
class component_draw {
public:
    explicit component_draw(const std::vector<double>& weights) {
        double sum = 0;
        for (const double w : weights)
            running_.push_back(sum += w);
    }
    std::int64_t operator()(std::uint64_t seed, std::uint64_t row) const {
        const kernels::philox_block choice = random_block(seed, kernels::random_purpose::sample_component, row);
        const double u = kernels::uniform_double(choice.word[0], choice.word[1]) * running_.back();
        return std::min<std::int64_t>(std::ranges::upper_bound(running_, u) - running_.begin(),
                                      std::ssize(running_) - 1);
    }

private:
    std::vector<double> running_; ///< sums of the weights
};

} // namespace elbo
