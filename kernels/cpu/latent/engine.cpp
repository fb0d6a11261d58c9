// The CPU back end of latent_engine.hpp: blocks of rows, matrix products by BLAS, units spread over the threads.
#include "kernels/contract/latent_engine.hpp"

#include "kernels/cpu/latent/block.hpp"
#include "kernels/cpu/latent/rows.hpp"

#include <algorithm>
#include <mutex>

namespace elbo::kernels {

namespace cpu {

namespace {

class cpu_latent_engine final : public latent_engine {
public:
    cpu_latent_engine(const context& ctx, std::int64_t dimensions)
        : latent_engine(dimensions), threads_(ctx.threads()), rows_(threads_, dimensions) {}

    std::int64_t bytes_needed(const latent_shape& s, std::int64_t rows, bool weighted) const override {
        const std::int64_t parameters = s.components * (1 + s.dimensions * (2 + s.latent));
        return latent_rows::bytes(rows, dimensions, weighted) + 8 * (3 * latent_sum_count(s) + parameters) +
               threads_ * latent_block::bytes(s);
    }

    void reserve(std::int64_t rows, bool weighted) override { rows_.reserve(rows, weighted); }
    void load(const input_rows& in, const frame& f, std::int64_t slot) override { rows_.load(in, f, slot); }

    void set_parameters(const latent_parameters& p) override {
        if (blocks_.empty() || p_.shape != p.shape) {
            blocks_.clear(); // before, so that both are never held
            std::vector<latent_block> blocks;
            for (int t = 0; t < threads_; ++t)
                blocks.emplace_back(p.shape);
            blocks_ = std::move(blocks);
        }
        p_ = p;
    }

    void clear_sums(double component_bound, double scalar_bound) override {
        sums_ = empty_latent_sums(p_.shape, component_bound, scalar_bound);
    }

    void accumulate(std::int64_t first, std::int64_t rows) override {
        parallel_for(threads_, units_of(rows), [&](std::int64_t u, int thread) {
            latent_block& block = blocks_[thread];
            block.clear_partial();
            for_blocks(first + u * unit_rows, first + rows, [&](std::int64_t at, std::int64_t count) {
                const double* x = rows_.x(at);
                block.find_posterior(p_, x, count);
                block.add_statistics(p_, x, rows_.weights(at));
            });
            // Integer sums: the order in which the threads come does not matter.
            const std::lock_guard lock(sums_mutex_);
            add_latent_partials(sums_, p_.shape, block.partial());
        });
    }

    fixed_sums sums() override { return sums_; }

    void infer(std::int64_t first, std::int64_t rows, double* log_density, double* responsibilities,
               double* projected) override {
        const std::int64_t K = p_.shape.components, L = p_.shape.latent;
        parallel_for(threads_, units_of(rows), [&](std::int64_t u, int thread) {
            latent_block& block = blocks_[thread];
            for_blocks(first + u * unit_rows, first + rows, [&](std::int64_t at, std::int64_t count) {
                block.find_posterior(p_, rows_.x(at), count);
                const std::int64_t out = at - first;
                if (log_density)
                    std::copy_n(block.log_density(), count, log_density + out);
                for (std::int64_t n = 0; n < count; ++n)
                    for (std::int64_t k = 0; k < K; ++k) {
                        if (responsibilities)
                            responsibilities[(out + n) * K + k] = block.responsibilities()[k * count + n];
                        if (projected)
                            std::copy_n(block.projected() + (k * count + n) * L, L,
                                        projected + ((out + n) * K + k) * L);
                    }
            });
        });
    }

private:
    /// Calls work(first, rows) for the blocks of the unit that begins at slot `first`, of the slots before `end`.
    template <class F>
    void for_blocks(std::int64_t first, std::int64_t end, const F& work) const {
        const std::int64_t last = std::min(first + unit_rows, end), step = latent_block_rows(dimensions);
        for (std::int64_t at = first; at < last; at += step)
            work(at, std::min(step, last - at));
    }

    int threads_;
    latent_rows rows_;
    latent_parameters p_;
    std::vector<latent_block> blocks_; ///< one a thread
    fixed_sums sums_;
    std::mutex sums_mutex_;
};

} // namespace

} // namespace cpu

std::unique_ptr<latent_engine> make_cpu_latent_engine(const context& ctx, std::int64_t dimensions) {
    return std::make_unique<cpu::cpu_latent_engine>(ctx, dimensions);
}

} // namespace elbo::kernels
