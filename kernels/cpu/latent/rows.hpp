// Normalised float64 rows of the models with continuous latent variables, in host memory.
#pragma once

#include "kernels/contract/latent_engine.hpp"
#include "kernels/cpu/core/units.hpp"
#include "kernels/cpu/core/workspace.hpp"

#include <algorithm>
#include <cstdint>

namespace elbo::kernels::cpu {

class latent_rows {
public:
    latent_rows(int threads, std::int64_t columns) : threads_(threads), columns_(columns) {}

    static std::int64_t bytes(std::int64_t rows, std::int64_t columns, bool weighted) {
        return 8 * rows * (columns + (weighted ? 1 : 0));
    }

    void reserve(std::int64_t rows, bool weighted) {
        x_ = aligned_array<double>(); // before, so that both are never held
        weights_ = aligned_array<double>();
        x_ = aligned_array<double>(rows * columns_);
        if (weighted)
            weights_ = aligned_array<double>(rows);
    }

    /// x̃ = (x − centre) / scale from slot `slot` on, units over the threads.
    void load(const input_rows& in, const frame& f, std::int64_t slot) {
        require_host_memory(in.x, "x");
        require_host_memory(in.weights, "weights");
        parallel_for(threads_, units_of(in.x.rows), [&](std::int64_t u, int) {
            const std::int64_t first = u * unit_rows, rows = std::min(unit_rows, in.x.rows - first);
            input_rows part = in;
            part.x = in.x.slice(first, rows);
            if (in.weights.data)
                part.weights = in.weights.slice(first, rows);
            const std::int64_t at = slot + first;
            load_latent_rows(part, f, x_.data() + at * columns_, weights_.size() > 0 ? weights_.data() + at : nullptr);
        });
    }

    const double* x(std::int64_t slot) const { return x_.data() + slot * columns_; }
    /// Null where all are 1.
    const double* weights(std::int64_t slot) const { return weights_.size() > 0 ? weights_.data() + slot : nullptr; }

private:
    int threads_;
    std::int64_t columns_;
    aligned_array<double> x_, weights_;
};

} // namespace elbo::kernels::cpu
