// Normalised float64 rows of the models with continuous latent variables, in device memory.
#pragma once

#include "kernels/cuda/core/device_buffer.hpp"
#include "kernels/cuda/gmm/rows/staging.hpp"
#include "kernels/cuda/vae/copy.hpp"

#include <cstdint>

namespace elbo::kernels::cuda {

class latent_rows {
public:
    latent_rows(const state_pointer& state, std::int64_t columns)
        : state_(state), columns_(columns), frame_(state, "the frame", 2 * columns), staging_(state, columns) {}

    /// Of the device, with the staging of pieces on their way.
    static std::int64_t bytes(std::int64_t rows, std::int64_t columns, bool weighted) {
        return 8 * (rows * (columns + (weighted ? 1 : 0)) + 2 * columns) + staging::bytes(columns);
    }

    /// Memory for `rows` rows. Throws out_of_memory.
    void reserve(std::int64_t rows, bool weighted) {
        state_->activate();
        rows_ = {}; // first give back, then ask
        weights_ = {};
        rows_ = device_buffer<double>(state_, "normalised rows", rows * columns_);
        if (weighted)
            weights_ = device_buffer<double>(state_, "weights", rows);
    }

    /// x̃ = (x − centre) / scale from slot `slot` on. The caller may change or free its rows when this returns.
    void load(const input_rows& in, const frame& f, std::int64_t slot) {
        state_->activate();
        copy_async(*state_, frame_.data(), f.centre.data(), columns_);
        copy_async(*state_, frame_.data() + columns_, f.scale.data(), columns_);
        staging_.for_each_piece(in, [&](const device_input& piece, std::int64_t first) {
            normalize_rows(*state_, piece, frame_.data(), frame_.data() + columns_,
                           rows_.data() + (slot + first) * columns_, columns_,
                           weights_.data() ? weights_.data() + slot + first : nullptr);
        });
        internal::wait_for(*state_);
    }

    const double* x(std::int64_t slot) const { return rows_.data() + slot * columns_; }
    /// Null where all are 1.
    const double* weights(std::int64_t slot) const { return weights_.data() ? weights_.data() + slot : nullptr; }

private:
    state_pointer state_;
    std::int64_t columns_;
    device_buffer<double> frame_; ///< centre, then scale
    staging staging_;
    device_buffer<double> rows_, weights_;
};

} // namespace elbo::kernels::cuda
