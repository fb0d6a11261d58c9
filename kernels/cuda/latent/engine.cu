// The CUDA back end of latent_engine.hpp: rows stay on the device, passed through in slabs whose projections and
// responsibilities fit in a bounded scratch memory.
#include "kernels/contract/latent_engine.hpp"

#include "elbo/error.hpp"
#include "kernels/cuda/core/device_buffer.hpp"
#include "kernels/cuda/core/launch.cuh"
#include "kernels/cuda/gmm/e_step/accumulate.hpp"
#include "kernels/cuda/latent/kernels.cuh"
#include "kernels/cuda/latent/rows.hpp"

#include <algorithm>

namespace elbo::kernels {

namespace cuda {

namespace {

/// Rows of a slab: whole chunks, about 16 MB of projections and responsibilities.
std::int64_t latent_slab_rows(const latent_shape& s) {
    const std::int64_t row_bytes = 8 * (s.components * (s.latent + 1) + 1);
    return std::clamp<std::int64_t>((std::int64_t(16) << 20) / row_bytes / latent_chunk, 1, 64) * latent_chunk;
}

std::int64_t parameter_numbers(const latent_shape& s) {
    return s.components * (1 + s.dimensions * (2 + s.latent));
}

std::int64_t slab_numbers(const latent_shape& s) {
    return latent_slab_rows(s) * (s.components * (s.latent + 1) + 1);
}

class cuda_latent_engine final : public latent_engine {
public:
    cuda_latent_engine(std::int64_t d, const state_pointer& state) : latent_engine(d), state_(state), rows_(state, d) {}

    std::int64_t bytes_needed(const latent_shape& s, std::int64_t rows, bool weighted) const override {
        return latent_rows::bytes(rows, dimensions, weighted) +
               8 * (parameter_numbers(s) + slab_numbers(s) + limb_count * latent_sum_count(s));
    }

    void reserve(std::int64_t rows, bool weighted) override { rows_.reserve(rows, weighted); }
    void load(const input_rows& in, const frame& f, std::int64_t slot) override { rows_.load(in, f, slot); }

    void set_parameters(const latent_parameters& p) override {
        state_->activate();
        if (parameters_.size() == 0 || shape_ != p.shape)
            reserve_scratch(p.shape);
        double* to = parameters_.data();
        for (const auto* part : {&p.offsets, &p.means, &p.precisions, &p.projections}) {
            copy_async(*state_, to, part->data(), std::ssize(*part));
            to += part->size();
        }
        wait(); // the caller may free the parameters
    }

    void clear_sums(double component_bound, double scalar_bound) override {
        state_->activate();
        component_exponent_ = fixed_exponent(component_bound);
        scalar_exponent_ = fixed_exponent(scalar_bound);
        additions_ = 0;
        check(cudaMemsetAsync(limbs_.data(), 0, static_cast<std::size_t>(limbs_.size()) * 8, state_->stream),
              "cudaMemsetAsync");
    }

    void accumulate(std::int64_t first, std::int64_t rows) override {
        state_->activate();
        const std::int64_t dimension_tiles = blocks_for(dimensions, latent_depth);
        for_slabs(first, rows, [&](const latent_slab& slab, std::int64_t) {
            carry_before(blocks_for(slab.rows, latent_threads));
            find_slab_posteriors(slab, limbs_.data());
            const std::int64_t chunks = blocks_for(slab.rows, latent_chunk);
            launch(*state_, "add_statistics",
                   {chunks * shape_.components * dimension_tiles * column_tiles(), latent_threads}, add_statistics,
                   slab, chunks, dimension_tiles, column_tiles(), limbs_.data(), component_exponent_);
        });
    }

    fixed_sums sums() override {
        state_->activate();
        fixed_sums all{std::vector<std::int64_t>(static_cast<std::size_t>(limbs_.size())), component_exponent_,
                       scalar_exponent_};
        carry();
        copy_async(*state_, all.limbs.data(), limbs_.data(), limbs_.size());
        wait(); // the host reads the limbs
        return all;
    }

    void infer(std::int64_t first, std::int64_t rows, double* log_density, double* responsibilities,
               double* projected) override {
        state_->activate();
        const std::int64_t K = shape_.components, L = shape_.latent;
        std::vector<double> values;
        for_slabs(first, rows, [&](const latent_slab& slab, std::int64_t begin) {
            find_slab_posteriors(slab, nullptr);
            if (log_density)
                copy_async(*state_, log_density + begin, slab.log_density, slab.rows);
            values.resize(static_cast<std::size_t>(slab.rows * L));
            for (std::int64_t k = 0; k < K; ++k) {
                if (responsibilities)
                    interleave(slab.joint + k * slab.capacity, slab.rows, 1, values, responsibilities + begin * K + k,
                               K);
                if (projected)
                    interleave(slab.projected + k * slab.capacity * L, slab.rows, L, values,
                               projected + (begin * K + k) * L, K * L);
            }
            wait(); // the scratch memory of this slab has been read
        });
    }

private:
    void wait() const { internal::wait_for(*state_); }
    std::int64_t column_tiles() const { return blocks_for(shape_.latent, latent_columns); }

    void reserve_scratch(const latent_shape& s) {
        parameters_ = {}; // first give back, then ask
        scratch_ = {};
        limbs_ = {};
        scratch_ = device_buffer<double>(state_, "a slab of projections", slab_numbers(s));
        limbs_ = device_buffer<std::int64_t>(state_, "the sums", limb_count * latent_sum_count(s));
        parameters_ =
            device_buffer<double>(state_, "the parameters", parameter_numbers(s)); // last: empty means nothing
        shape_ = s;
    }

    void carry() {
        carry_sums(*state_, {limbs_.data(), latent_sum_count(shape_), component_exponent_, scalar_exponent_});
        additions_ = 0;
    }

    /// Makes room for so many more partials in the sums.
    void carry_before(std::int64_t additions) {
        if (additions_ + additions > additions_between_carries)
            carry();
        additions_ += additions;
    }

    /// Calls work(slab, position of its first row) for the rows first ... first + rows − 1, slab by slab.
    template <class Work>
    void for_slabs(std::int64_t first, std::int64_t rows, const Work& work) const {
        const std::int64_t K = shape_.components, d = dimensions, capacity = latent_slab_rows(shape_);
        double *const offsets = parameters_.data(), *const projected = scratch_.data();
        double* const joint = projected + K * capacity * shape_.latent;
        for (std::int64_t begin = 0; begin < rows; begin += capacity) {
            const std::int64_t at = first + begin;
            work(latent_slab{shape_, rows_.x(at), rows_.weights(at), offsets, offsets + K, offsets + K * (1 + d),
                             offsets + K * (1 + 2 * d), projected, joint, joint + K * capacity,
                             std::min(capacity, rows - begin), capacity},
                 begin);
        }
    }

    void find_slab_posteriors(const latent_slab& slab, std::int64_t* limbs) const {
        const std::int64_t tiles = blocks_for(slab.rows, latent_tile_rows);
        launch(*state_, "project_rows", {tiles * shape_.components * column_tiles(), latent_threads}, project_rows,
               slab, tiles, column_tiles());
        launch(*state_, "find_posteriors", {blocks_for(slab.rows, latent_threads), latent_threads}, find_posteriors,
               slab, limbs, scalar_exponent_);
    }

    /// Copies [rows x columns] from the device to rows that lie `stride` apart on the host.
    void interleave(const double* from, std::int64_t rows, std::int64_t columns, std::vector<double>& values,
                    double* to, std::int64_t stride) const {
        copy_async(*state_, values.data(), from, rows * columns);
        wait(); // the host reads them
        for (std::int64_t n = 0; n < rows; ++n)
            std::copy_n(values.data() + n * columns, columns, to + n * stride);
    }

    state_pointer state_;
    latent_rows rows_;
    latent_shape shape_;
    device_buffer<double> parameters_; ///< offsets, means, precisions, projections
    device_buffer<double> scratch_;    ///< of a slab: projections, joint, log-densities
    device_buffer<std::int64_t> limbs_;
    int component_exponent_ = 0, scalar_exponent_ = 0;
    std::int64_t additions_ = 0; ///< partials added to the sums since the last carry
};

} // namespace

} // namespace cuda

std::unique_ptr<latent_engine> make_cuda_latent_engine(const context& ctx, std::int64_t dimensions) {
    const auto& state = ctx.state().cuda;
    if (!state)
        throw invalid_argument("the context is not a CUDA context: expected context::cuda()");
    return std::make_unique<cuda::cuda_latent_engine>(dimensions, state);
}

} // namespace elbo::kernels
