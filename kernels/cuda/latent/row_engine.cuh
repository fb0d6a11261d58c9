// The CUDA back end of contract/row_engine.hpp: normalised float64 rows stay on the device, an iteration is a few
// kernels and one wait.
#pragma once

#include "elbo/error.hpp"
#include "kernels/contract/row_engine.hpp"
#include "kernels/cuda/core/device_buffer.hpp"
#include "kernels/cuda/core/landing.hpp"
#include "kernels/cuda/core/launch.cuh"
#include "kernels/cuda/gmm/e_step/accumulate.hpp"
#include "kernels/cuda/gmm/rows/staging.hpp"
#include "kernels/math/fixed_point.hpp"

#include <algorithm>
#include <cstdint>
#include <memory>
#include <vector>

namespace elbo::kernels::cuda {

/// Rows in device memory.
struct resident_slab {
    const double* x;       ///< [rows x d]
    const double* weights; ///< [rows], null for all 1
    std::int64_t rows;
};

/// The first row too far from a model for its log-density to be a number, in device memory, among rows of which a slab
/// begins with row `begin`.
struct far_row {
    unsigned long long* first;
    std::int64_t begin;

    __device__ void note(std::int64_t n, double log_density) const {
        if (!::isfinite(log_density))
            atomicMin(first, static_cast<unsigned long long>(begin + n));
    }
};

/// Where the results of a slab are written on their way.
struct row_landings {
    landing<double> log_density, responsibilities, means, concentrations, reconstruction;

    row_results at(const state_pointer& state, const row_results& to) {
        return {log_density.at(state, to.log_density),
                responsibilities.at(state, to.responsibilities),
                means.at(state, to.means),
                concentrations.at(state, to.concentrations),
                reconstruction.at(state, to.reconstruction),
                to.shift};
    }
    void deliver(const internal::cuda_state& state) const {
        for (const auto* part : {&log_density, &responsibilities, &means, &concentrations, &reconstruction})
            part->deliver(state);
    }
};

/// A Pass has the parameters and scratch memory in device memory, and the kernels:
///     explicit Pass(state, shape), static bytes(shape)
///     set(parameters)                 enqueues copies from the host
///     sum_rows(), partials(rows)      most rows of one call of add, and how many partials it adds to a sum at most
///     add(slab, sums)
///     infer(slab, results, landings, far)    enqueues the results, to device memory, and what is too far
template <class Parameters, class Pass>
class cuda_row_engine final : public row_engine<Parameters> {
public:
    using typename row_engine<Parameters>::shape_type;
    using row_engine<Parameters>::dimensions;

    cuda_row_engine(const state_pointer& state, std::int64_t d)
        : row_engine<Parameters>(d), state_(state), far_(state, "the first far row", 1),
          frame_(state, "the frame", 2 * d), staging_(state, d) {}

    std::int64_t bytes_needed(const shape_type& s, std::int64_t rows, bool weighted) const override {
        return 8 * (rows * (dimensions + (weighted ? 1 : 0)) + 2 * dimensions + limb_count * sum_count(s)) +
               staging::bytes(dimensions) + Pass::bytes(s);
    }

    void reserve(std::int64_t rows, bool weighted) override {
        state_->activate();
        rows_ = {}; // first give back, then ask
        weights_ = {};
        rows_ = device_buffer<double>(state_, "normalised rows", rows * dimensions);
        if (weighted)
            weights_ = device_buffer<double>(state_, "weights", rows);
    }

    /// The caller may change or free its rows when this returns.
    void load(const input_rows& in, const frame& f, std::int64_t slot) override {
        state_->activate();
        copy_async(*state_, frame_.data(), f.centre.data(), dimensions);
        copy_async(*state_, frame_.data() + dimensions, f.scale.data(), dimensions);
        staging_.for_each_piece(in, [&](const device_input& piece, std::int64_t first) {
            normalize_rows(*state_, piece, frame_.data(), frame_.data() + dimensions,
                           rows_.data() + (slot + first) * dimensions, dimensions,
                           weights_.data() ? weights_.data() + slot + first : nullptr);
        });
        wait();
    }

    void set_parameters(const Parameters& p) override {
        state_->activate();
        if (!pass_ || shape_ != p.shape) {
            pass_.reset(); // first give back, then ask
            limbs_ = {};
            limbs_ = device_buffer<std::int64_t>(state_, "the sums", limb_count * sum_count(p.shape));
            pass_ = std::make_unique<Pass>(state_, p.shape);
            shape_ = p.shape;
        }
        pass_->set(p);
        wait(); // the caller may free the parameters
    }

    void clear_sums(const sum_bounds& bounds) override {
        state_->activate();
        bounds_ = {0, scalar_sums(shape_), bounds.component, bounds.scalar};
        additions_ = 0;
        clear_async(*state_, limbs_.data(), limbs_.size());
    }

    void accumulate(std::int64_t first, std::int64_t rows) override {
        state_->activate();
        const std::int64_t step = pass_->sum_rows();
        for (std::int64_t at = 0; at < rows; at += step) {
            const std::int64_t count = std::min(step, rows - at), partials = pass_->partials(count);
            if (additions_ + partials > additions_between_carries)
                carry();
            additions_ += partials;
            pass_->add(slab(first + at, count), device());
        }
    }

    std::vector<double> sums() override {
        state_->activate();
        fixed_sums all = bounds_;
        all.limbs.resize(static_cast<std::size_t>(limbs_.size()));
        carry();
        copy_async(*state_, all.limbs.data(), limbs_.data(), limbs_.size());
        wait(); // the host reads the limbs
        return all.values();
    }

    std::int64_t infer(std::int64_t first, std::int64_t rows, const row_results& to) override {
        state_->activate();
        const std::int64_t step = std::min(pass_->sum_rows(), staging::piece_rows(dimensions));
        check(cudaMemsetAsync(far_.data(), 0xff, 8, state_->stream), "cudaMemsetAsync");
        for (std::int64_t at = 0; at < rows; at += step) {
            const std::int64_t count = std::min(step, rows - at);
            pass_->infer(slab(first + at, count), landings_.at(state_, to.slice(at, count)), landings_,
                         {far_.data(), at});
            landings_.deliver(*state_);
        }
        std::int64_t far = -1;
        copy_async(*state_, &far, reinterpret_cast<const std::int64_t*>(far_.data()), 1);
        wait(); // the caller reads the results
        return far;
    }

private:
    void wait() const { internal::wait_for(*state_); }
    resident_slab slab(std::int64_t first, std::int64_t rows) const {
        return {rows_.data() + first * dimensions, weights_.data() ? weights_.data() + first : nullptr, rows};
    }
    device_sums device() const {
        return {limbs_.data(), sum_count(shape_), bounds_.component_exponent, bounds_.scalar_exponent};
    }
    void carry() {
        carry_sums(*state_, device());
        additions_ = 0;
    }

    state_pointer state_;
    row_landings landings_;
    device_buffer<unsigned long long> far_; ///< the first row that is too far; all bits where there is none
    device_buffer<double> frame_;           ///< centre, then scale
    staging staging_;
    device_buffer<double> rows_, weights_;
    shape_type shape_;
    std::unique_ptr<Pass> pass_;
    device_buffer<std::int64_t> limbs_;
    fixed_sums bounds_;          ///< the scales alone
    std::int64_t additions_ = 0; ///< partials added to the sums since the last carry
};

} // namespace elbo::kernels::cuda
