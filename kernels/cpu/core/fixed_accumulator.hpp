// The fixed-point sums of a pass: every thread adds unit partials to limbs of its own, integer additions merge them.
#pragma once

#include "kernels/contract/gmm_engine.hpp"
#include "kernels/cpu/core/workspace.hpp"
#include "kernels/cpu/gmm/kernel_table.hpp"
#include "kernels/math/fixed_point.hpp"
#include "kernels/math/normalize_statistics.hpp"
#include "kernels/shared/threads/parallel.hpp"

#include <algorithm>
#include <cstdint>
#include <span>
#include <vector>

namespace elbo::kernels::cpu {

class fixed_accumulator {
public:
    fixed_accumulator(const gmm_shape& shape, int threads, const common_table& kernels)
        : shape_(shape), threads_(threads), kernels_(kernels), shared_(must_share(shape, threads)),
          sums_(sum_count(shape), scalar_count, 1, 1) {
        totals_.resize(static_cast<std::size_t>(sum_count(shape)));
    }

    void clear(double component_bound, double scalar_bound) {
        std::ranges::fill(sums_.limbs, 0);
        sums_.component_exponent = fixed_exponent(component_bound);
        sums_.scalar_exponent = fixed_exponent(scalar_bound);
    }
    /// Before a pass over `units` units.
    void begin(std::int64_t units) {
        team_ = static_cast<int>(std::min<std::int64_t>(threads_, units));
        if (team_ == 1)
            return;
        while (static_cast<int>(own_.size()) < team_)
            own_.emplace_back(own_limbs(shape_, threads_));
        for (int t = 0; t < team_; ++t)
            std::fill_n(own_[t].data(), own_[t].size(), 0);
    }

    /// Adds the partial of a unit: the statistics of the components that it touched, and the scalars.
    void add(int thread, const double* partial, const bool* touched) {
        const std::int64_t size = size_of(shape_), count = sum_count(shape_), scalars = count - scalar_count;
        const auto add_range = [&](std::int64_t first, std::int64_t n, int exponent) {
            if (team_ > 1 && shared_)
                add_shared(partial + first, first, n, exponent, own_[thread].data());
            else
                kernels_.add_fixed(partial + first, n, exponent,
                                   (team_ > 1 ? own_[thread].data() : sums_.limbs.data()) + first, count);
        };
        for (std::int64_t k = 0; k < shape_.components; ++k)
            if (touched[k])
                add_range(k * size, size, sums_.component_exponent);
        add_range(scalars, scalar_count, sums_.scalar_exponent);
    }

    /// After the pass: merges and carries.
    void end() {
        const std::int64_t count = sum_count(shape_);
        const bool merge = team_ > 1 && !shared_;
        parallel_ranges(team_, count, range_numbers, [&](std::int64_t first, std::int64_t last) {
            for (std::int64_t i = first; i < last; ++i) {
                for (int l = 0; l < limb_count; ++l)
                    for (int t = 0; merge && t < team_; ++t)
                        sums_.limbs[l * count + i] += own_[t][l * count + i];
                carry_fixed(sums_.limbs.data(), count, i);
            }
        });
    }

    const fixed_sums& sums() const { return sums_; }
    void set_sums(const fixed_sums& s) { sums_ = s; }
    /// The sums as float64, [sum_count].
    std::span<const double> totals() {
        const std::int64_t count = sum_count(shape_);
        const double unit = power_of_two(sums_.component_exponent), scalar_unit = power_of_two(sums_.scalar_exponent);
        parallel_ranges(threads_, count, range_numbers, [&](std::int64_t first, std::int64_t last) {
            for (std::int64_t i = first; i < last; ++i)
                totals_[i] =
                    join_fixed(sums_.limbs.data(), count, i, 0) * (i < count - scalar_count ? unit : scalar_unit);
        });
        normalize_statistics(totals_.data(), shape_);
        return totals_;
    }

    static std::int64_t bytes(const gmm_shape& s, int threads) {
        return 8 * ((limb_count + 1) * sum_count(s) + threads * own_limbs(s, threads));
    }

private:
    /// Numbers that a thread takes at once, some ten microseconds.
    static constexpr std::int64_t range_numbers = 4096;

    /// Limbs of all threads together stay below this.
    static constexpr std::int64_t most_bytes = std::int64_t(256) << 20;

    static std::int64_t size_of(const gmm_shape& s) { return statistics_size(s.family, s.dimensions); }

    static bool must_share(const gmm_shape& s, int threads) {
        return threads * limb_count * 8 * sum_count(s) > most_bytes;
    }

    /// Numbers of limbs that each thread holds.
    static std::int64_t own_limbs(const gmm_shape& s, int threads) {
        if (threads == 1)
            return 0;
        return limb_count * (must_share(s, threads) ? std::max<std::int64_t>(size_of(s), scalar_count) : sum_count(s));
    }

    void add_shared(const double* values, std::int64_t first, std::int64_t count, int exponent, std::int64_t* own) {
        std::fill_n(own, limb_count * count, 0);
        kernels_.add_fixed(values, count, exponent, own, count);
        for (int l = 0; l < limb_count; ++l)
            for (std::int64_t i = 0; i < count; ++i)
                if (own[l * count + i] != 0)
                    __atomic_fetch_add(&sums_.limbs[l * sum_count(shape_) + first + i], own[l * count + i],
                                       __ATOMIC_RELAXED);
    }

    gmm_shape shape_;
    int threads_, team_ = 1;
    const common_table& kernels_;
    bool shared_; ///< limbs of all threads would take too much memory: they add to the common ones atomically
    fixed_sums sums_;
    std::vector<aligned_array<std::int64_t>> own_; ///< limbs of each thread; of one component if shared_
    std::vector<double> totals_;
};

} // namespace elbo::kernels::cpu
