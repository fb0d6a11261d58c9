// Models with a Gaussian posterior (latent_engine.hpp) in the CUDA back end: slabs of rows whose projections and
// responsibilities fit in a bounded scratch memory.
#include "kernels/contract/latent_engine.hpp"

#include "kernels/cuda/latent/kernels.cuh"
#include "kernels/cuda/latent/row_engine.cuh"

#include <algorithm>

namespace elbo::kernels {

namespace cuda {

namespace {

/// Rows of a slab: whole chunks, about 16 MB of projections and responsibilities.
std::int64_t latent_slab_rows(const latent_shape& s) {
    const std::int64_t row_bytes = 8 * (s.components * (s.latent + 1) + 1);
    return std::clamp<std::int64_t>((std::int64_t(16) << 20) / row_bytes / latent_chunk, 1, 64) * latent_chunk;
}

std::int64_t slab_numbers(const latent_shape& s) {
    return latent_slab_rows(s) * (s.components * (s.latent + 1) + 1);
}

class latent_pass {
public:
    latent_pass(const state_pointer& state, const latent_shape& s)
        : state_(state), shape_(s), scratch_(state, "a slab of projections", slab_numbers(s)),
          parameters_(state, "the parameters", parameter_numbers(s)) {}

    static std::int64_t bytes(const latent_shape& s) { return 8 * (parameter_numbers(s) + slab_numbers(s)); }

    void set(const latent_parameters& p) {
        double* to = parameters_.data();
        for (const auto* part : {&p.offsets, &p.means, &p.precisions, &p.projections}) {
            copy_async(*state_, to, part->data(), std::ssize(*part));
            to += part->size();
        }
        const std::int64_t numbers = std::ssize(p.posterior_factors) + std::ssize(p.loadings) + std::ssize(p.centres);
        if (numbers == 0)
            return;
        if (readout_.size() < numbers)
            readout_ = device_buffer<double>(state_, "the parameters of inference", numbers);
        to = readout_.data();
        for (const auto* part : {&p.posterior_factors, &p.loadings, &p.centres}) {
            copy_async(*state_, to, part->data(), std::ssize(*part));
            to += part->size();
        }
    }

    std::int64_t sum_rows() const { return latent_slab_rows(shape_); }
    std::int64_t partials(std::int64_t rows) const { return blocks_for(rows, latent_threads); }

    void add(const resident_slab& rows, const device_sums& sums) {
        const std::int64_t chunks = blocks_for(rows.rows, latent_chunk),
                           dimension_tiles = blocks_for(shape_.dimensions, latent_depth);
        const latent_slab slab = find_posteriors_of(rows, sums);
        launch(*state_, "add_statistics",
               {chunks * shape_.components * dimension_tiles * column_tiles(), latent_threads}, add_statistics, slab,
               chunks, dimension_tiles, column_tiles(), sums.limbs, sums.component_exponent);
    }

    void infer(const resident_slab& rows, row_results to, row_landings& landings, const far_row& far) {
        const std::int64_t K = shape_.components, d = shape_.dimensions, L = shape_.latent;
        const latent_slab slab = find_posteriors_of(rows, {});
        if (to.reconstruction.data && !to.means.data)
            to.means = landings.means.kept(state_, rows.rows, K * L);
        const double *const factors = readout_.data(), *const loadings = factors + K * L * L;
        launch(*state_, "write_posteriors", {blocks_for(rows.rows * K, latent_threads), latent_threads},
               write_posteriors, slab, factors, to, far);
        if (to.reconstruction.data)
            launch(*state_, "reconstruct_rows", {blocks_for(rows.rows * d, latent_threads), latent_threads},
                   reconstruct_rows, slab, loadings, loadings + K * d * L, to);
    }

private:
    std::int64_t column_tiles() const { return blocks_for(shape_.latent, latent_columns); }

    /// Projections, posteriors and, where there are limbs, the scalars of the sums.
    latent_slab find_posteriors_of(const resident_slab& rows, const device_sums& sums) const {
        const std::int64_t K = shape_.components, d = shape_.dimensions, capacity = latent_slab_rows(shape_);
        double *const offsets = parameters_.data(), *const projected = scratch_.data();
        double* const joint = projected + K * capacity * shape_.latent;
        const latent_slab slab{shape_,
                               rows.x,
                               rows.weights,
                               offsets,
                               offsets + K,
                               offsets + K * (1 + d),
                               offsets + K * (1 + 2 * d),
                               projected,
                               joint,
                               joint + K * capacity,
                               rows.rows,
                               capacity};
        const std::int64_t tiles = blocks_for(slab.rows, latent_tile_rows);
        launch(*state_, "project_rows", {tiles * K * column_tiles(), latent_threads}, project_rows, slab, tiles,
               column_tiles());
        launch(*state_, "find_posteriors", {blocks_for(slab.rows, latent_threads), latent_threads}, find_posteriors,
               slab, sums.limbs, sums.scalar_exponent);
        return slab;
    }

    state_pointer state_;
    latent_shape shape_;
    device_buffer<double> scratch_;    ///< of a slab: projections, joint, log-densities
    device_buffer<double> parameters_; ///< offsets, means, precisions, projections
    device_buffer<double> readout_;    ///< posterior factors, loadings, centres, if there are any
};

} // namespace

std::unique_ptr<latent_engine> make_latent(const context& ctx, std::int64_t dimensions) {
    return std::make_unique<cuda_row_engine<latent_parameters, latent_pass>>(ctx.state().cuda, dimensions);
}

} // namespace cuda

} // namespace elbo::kernels
