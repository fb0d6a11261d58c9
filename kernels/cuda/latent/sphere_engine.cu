// The CUDA back end of sphere_engine.hpp: rows stay on the device, an iteration is one kernel and one wait.
#include "kernels/cuda/latent/sphere_kernels.cuh"

#include "elbo/error.hpp"
#include "kernels/cuda/core/device_buffer.hpp"
#include "kernels/cuda/core/launch.cuh"
#include "kernels/cuda/gmm/e_step/accumulate.hpp"
#include "kernels/cuda/latent/rows.hpp"

#include <algorithm>

namespace elbo::kernels {

namespace cuda {

namespace {

class cuda_sphere_engine final : public sphere_engine {
public:
    cuda_sphere_engine(std::int64_t d, const state_pointer& state)
        : sphere_engine(d), state_(state), centre_(state, "the centre", d),
          limbs_(state, "the sums", limb_count * sphere_sum_count(d)), rows_(state, d) {}

    std::int64_t bytes_needed(std::int64_t rows, bool weighted) const override {
        return latent_rows::bytes(rows, dimensions, weighted) +
               8 * (dimensions + limb_count * sphere_sum_count(dimensions));
    }

    void reserve(std::int64_t rows, bool weighted) override { rows_.reserve(rows, weighted); }
    void load(const input_rows& in, const frame& f, std::int64_t slot) override { rows_.load(in, f, slot); }

    void set_parameters(const sphere_values& p) override {
        state_->activate();
        scales_ = make_sphere_scales(dimensions, p.radius, p.noise);
        copy_async(*state_, centre_.data(), p.centre.data(), dimensions);
        wait(); // the caller may free the parameters
    }

    void clear_sums(const sphere_bounds& bounds) override {
        state_->activate();
        exponents_ = exponents_of(bounds);
        additions_ = 0;
        check(cudaMemsetAsync(limbs_.data(), 0, static_cast<std::size_t>(limbs_.size()) * 8, state_->stream),
              "cudaMemsetAsync");
    }

    void accumulate(std::int64_t first, std::int64_t rows) override {
        state_->activate();
        constexpr std::int64_t most = additions_between_carries * sphere_chunk;
        for (std::int64_t begin = first; begin < first + rows; begin += most) {
            const std::int64_t count = std::min(most, first + rows - begin), chunks = blocks_for(count, sphere_chunk);
            if (additions_ + chunks > additions_between_carries) {
                carry_sums(*state_, sums_view());
                additions_ = 0;
            }
            launch(*state_, "sum_sphere_rows", {chunks, sphere_chunk}, sum_sphere_rows, view(begin, count), scales_,
                   sphere_group(dimensions), limbs_.data(), exponents_);
            additions_ += chunks;
        }
    }

    std::vector<double> sums() override {
        state_->activate();
        sphere_sums host;
        host.exponents = exponents_;
        host.limbs.resize(static_cast<std::size_t>(limbs_.size()));
        copy_async(*state_, host.limbs.data(), limbs_.data(), limbs_.size());
        wait(); // the host reads the limbs
        return host.values();
    }

    void infer(std::int64_t first, std::int64_t rows, double* log_density, double* means,
               double* concentrations) override {
        state_->activate();
        const std::int64_t step = std::min(rows, staging::piece_rows(dimensions));
        const device_buffer<double> scalars(state_, "the results of rows", 2 * step),
            directions(state_, "the directions of rows", means ? step * dimensions : 1);
        for (std::int64_t begin = 0; begin < rows; begin += step) {
            const std::int64_t count = std::min(step, rows - begin);
            launch(*state_, "infer_sphere_rows", {blocks_for(count, sphere_chunk), sphere_chunk}, infer_sphere_rows,
                   view(first + begin, count), scales_, sphere_group(dimensions), scalars.data(), scalars.data() + step,
                   means ? directions.data() : nullptr);
            if (log_density)
                copy_async(*state_, log_density + begin, scalars.data(), count);
            if (concentrations)
                copy_async(*state_, concentrations + begin, scalars.data() + step, count);
            if (means)
                copy_async(*state_, means + begin * dimensions, directions.data(), count * dimensions);
        }
        wait(); // the caller reads the results
    }

private:
    void wait() const { internal::wait_for(*state_); }
    sphere_rows view(std::int64_t first, std::int64_t rows) const {
        return {rows_.x(first), rows_.weights(first), centre_.data(), rows, dimensions};
    }
    device_sums sums_view() const {
        return {limbs_.data(), sphere_sum_count(dimensions), exponents_.lengths, exponents_.logs};
    }

    state_pointer state_;
    device_buffer<double> centre_;
    device_buffer<std::int64_t> limbs_;
    latent_rows rows_;
    sphere_scales scales_{};
    sphere_exponents exponents_;
    std::int64_t additions_ = 0; ///< partials added to the sums since the last carry
};

} // namespace

} // namespace cuda

std::unique_ptr<sphere_engine> make_cuda_sphere_engine(const context& ctx, std::int64_t dimensions) {
    const auto& state = ctx.state().cuda;
    if (!state)
        throw invalid_argument("the context is not a CUDA context: expected context::cuda()");
    return std::make_unique<cuda::cuda_sphere_engine>(dimensions, state);
}

} // namespace elbo::kernels
