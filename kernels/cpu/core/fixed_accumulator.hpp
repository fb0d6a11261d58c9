// The fixed-point sums of a pass: every thread adds unit partials to limbs of its own, integer additions merge them.
#pragma once

#include "kernels/contract/gmm_engine.hpp"
#include "kernels/cpu/core/workspace.hpp"
#include "kernels/cpu/gmm/kernel_table.hpp"

#include <span>
#include <vector>

namespace elbo::kernels::cpu {

class fixed_accumulator {
public:
    fixed_accumulator(const gmm_shape& shape, int threads, const common_table& kernels);

    void clear(double component_bound, double scalar_bound);
    /// Before a pass over `units` units.
    void begin(std::int64_t units);
    /// Adds the partial of a unit: the statistics of the components that it touched, and the scalars.
    void add(int thread, const double* partial, const bool* touched);
    /// After the pass: merges and carries.
    void end();

    const fixed_sums& sums() const { return sums_; }
    void set_sums(const fixed_sums& s) { sums_ = s; }
    /// The sums as float64, [sum_count].
    std::span<const double> totals();

    static std::int64_t bytes(const gmm_shape& shape, int threads);

private:
    void add_shared(const double* values, std::int64_t first, std::int64_t count, int exponent, std::int64_t* own);

    gmm_shape shape_;
    int threads_, team_ = 1;
    const common_table& kernels_;
    bool shared_; ///< limbs of all threads would take too much memory: they add to the common ones atomically
    fixed_sums sums_;
    std::vector<aligned_array<std::int64_t>> own_; ///< limbs of each thread; of one component if shared_
    std::vector<double> totals_;
};

} // namespace elbo::kernels::cpu
