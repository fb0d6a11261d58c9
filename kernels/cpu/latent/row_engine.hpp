// The CPU back end of contract/row_engine.hpp: normalised float64 rows, units spread over the threads.
#pragma once

#include "kernels/contract/row_engine.hpp"
#include "kernels/cpu/core/units.hpp"
#include "kernels/cpu/core/workspace.hpp"

#include <algorithm>
#include <cstdint>
#include <mutex>
#include <utility>
#include <vector>

namespace elbo::kernels::cpu {

/// A Block is the scratch memory and the arithmetic of one thread:
///     explicit Block(shape), static bytes(shape)
///     static rows(d)                  most rows at a time: of d alone, so that the order of the sums is, too
///     clear_partial(), partial()      the sums of a unit
///     add(parameters, x, weights, rows)      null weights are all 1
///     write(parameters, x, rows, results)    returns the first row whose log-density is not finite, −1 for none
template <class Parameters, class Block>
class cpu_row_engine final : public row_engine<Parameters> {
public:
    using typename row_engine<Parameters>::shape_type;
    using row_engine<Parameters>::dimensions;

    cpu_row_engine(const context& ctx, std::int64_t columns)
        : row_engine<Parameters>(columns), threads_(ctx.threads()) {}

    std::int64_t bytes_needed(const shape_type& s, std::int64_t rows, bool weighted) const override {
        return 8 * (rows * (dimensions + (weighted ? 1 : 0)) + 3 * sum_count(s) + parameter_numbers(s)) +
               threads_ * Block::bytes(s);
    }

    void reserve(std::int64_t rows, bool weighted) override {
        x_ = aligned_array<double>(); // before, so that both are never held
        weights_ = aligned_array<double>();
        x_ = aligned_array<double>(rows * dimensions);
        if (weighted)
            weights_ = aligned_array<double>(rows);
    }

    void load(const input_rows& in, const frame& f, std::int64_t slot) override {
        require_host_memory(in.x, "x");
        require_host_memory(in.weights, "weights");
        parallel_for(threads_, units_of(in.x.rows), [&](std::int64_t u, int) {
            const std::int64_t first = u * unit_rows, rows = std::min(unit_rows, in.x.rows - first);
            normalize_host_rows(in.slice(first, rows), f, x(slot + first), weights(slot + first));
        });
    }

    void set_parameters(const Parameters& p) override {
        if (blocks_.empty() || p_.shape != p.shape) {
            blocks_.clear(); // before, so that both are never held
            std::vector<Block> blocks;
            for (int t = 0; t < threads_; ++t)
                blocks.emplace_back(p.shape);
            blocks_ = std::move(blocks);
        }
        p_ = p;
    }

    void clear_sums(const sum_bounds& bounds) override {
        sums_ = {sum_count(p_.shape), scalar_sums(p_.shape), bounds.component, bounds.scalar};
    }

    void accumulate(std::int64_t first, std::int64_t rows) override {
        parallel_for(threads_, units_of(rows), [&](std::int64_t u, int thread) {
            Block& block = blocks_[thread];
            block.clear_partial();
            for_blocks(first + u * unit_rows, first + rows,
                       [&](std::int64_t at, std::int64_t count) { block.add(p_, x(at), weights(at), count); });
            // Integer sums: the order in which the threads come does not matter.
            const std::lock_guard lock(sums_mutex_);
            sums_.add(block.partial());
        });
    }

    std::vector<double> sums() override { return sums_.values(); }

    std::int64_t infer(std::int64_t first, std::int64_t rows, const row_results& to) override {
        std::int64_t far = rows;
        parallel_for(threads_, units_of(rows), [&](std::int64_t u, int thread) {
            for_blocks(first + u * unit_rows, first + rows, [&](std::int64_t at, std::int64_t count) {
                const std::int64_t n = blocks_[thread].write(p_, x(at), count, to.slice(at - first, count));
                if (n < 0)
                    return;
                const std::lock_guard lock(sums_mutex_);
                far = std::min(far, at - first + n);
            });
        });
        return far < rows ? far : -1;
    }

private:
    /// Calls work(first, rows) for the blocks of the unit that begins at slot `first`, of the slots before `end`.
    template <class F>
    void for_blocks(std::int64_t first, std::int64_t end, const F& work) const {
        const std::int64_t last = std::min(first + unit_rows, end), step = Block::rows(dimensions);
        for (std::int64_t at = first; at < last; at += step)
            work(at, std::min(step, last - at));
    }

    double* x(std::int64_t slot) const { return x_.data() + slot * dimensions; }
    /// Null where all are 1.
    double* weights(std::int64_t slot) const { return weights_.size() > 0 ? weights_.data() + slot : nullptr; }

    int threads_;
    aligned_array<double> x_, weights_;
    Parameters p_;
    std::vector<Block> blocks_; ///< one a thread
    fixed_sums sums_;
    std::mutex sums_mutex_;
};

} // namespace elbo::kernels::cpu
