// The tensor engine: panels of the parameters once, then a slab of units at a time log-densities, row rule, moments.
#include "kernels/cuda/core/launch.cuh"
#include "kernels/cuda/gmm/tensor/density.cuh"
#include "kernels/cuda/gmm/tensor/known.cuh"
#include "kernels/cuda/gmm/tensor/moments.cuh"
#include "kernels/cuda/gmm/tensor/panels.cuh"
#include "kernels/cuda/gmm/tensor/posteriors.cuh"
#include "kernels/cuda/gmm/tensor/rows.cuh"
#include "kernels/cuda/gmm/tensor/screen.cuh"
#include "kernels/cuda/gmm/tensor/tensor.hpp"
#include "kernels/cuda/gmm/tensor/wide_density.cuh"
#include "kernels/cuda/gmm/tensor/wide_moments.cuh"
#include "kernels/cuda/gmm/tensor/wide_pieces.cuh"

#include <algorithm>
#include <cmath>

namespace elbo::kernels::cuda {

namespace {

/// −Θ in units of ln 2: what lies farther below the largest log-density of a row is not active.
float active_depth(int components) {
    return -24 - static_cast<float>(std::log2(static_cast<double>(components)));
}

/// What log-densities and moments work on.
struct tensor_step {
    const internal::cuda_state& state;
    const gmm_shape& shape;
    const device_model<float>& model;
    const tensor_view& memory;
    float* densities;
    std::int64_t blocks; ///< the grid of the log-densities
    home_view homes{};
    density_lists lists{}; ///< of the slab
    tensor_plan plan = plan_tensor(shape);

    std::int64_t slab_rows() const { return plan.units * unit_rows; }
    int p() const { return static_cast<int>(padded(shape.dimensions)); }
    int components() const { return static_cast<int>(shape.components); }
    float4* weights() const { return reinterpret_cast<float4*>(memory.weights); }
    float active() const { return active_depth(components()); }
    rule_arguments rule(std::int64_t rows) const {
        return {static_cast<int>(rows), components(), active(), densities, slab_rows()};
    }
    screened_rows screened(std::int64_t rows) const {
        return {rows, slab_rows(), components(), static_cast<int>(plan.panels)};
    }
    /// Blocks of the log-densities where these are the rows of a cluster.
    std::int64_t density_blocks(std::int64_t rows, int cluster, int cluster_rows) const {
        const std::int64_t items = blocks_for(rows, cluster_rows) * plan.ranges;
        return std::clamp<std::int64_t>(blocks / cluster, 1, items) * cluster;
    }
};

template <int D>
void start_panels(const tensor_step& e) {
    launch(e.state, "write_panels", {e.plan.panels * panel_layout<D>::components, panel_threads}, write_panels<D>,
           e.components(), e.p(), e.model, e.memory);
}

template <int D>
void start_densities(const tensor_step& e, const device_rows<float>& part) {
    const int count = static_cast<int>(part.rows);
    const density_arguments density{part.x,
                                    static_cast<int>(part.stride),
                                    count,
                                    e.p(),
                                    e.components(),
                                    static_cast<int>(e.plan.panels),
                                    static_cast<int>(e.plan.ranges),
                                    e.memory.panels,
                                    e.densities,
                                    e.slab_rows(),
                                    e.memory.sizes,
                                    e.lists};
    launch(e.state, "tensor_density",
           {e.density_blocks(count, tensor_cluster, screen_rows), tensor_threads, panel_layout<D>::shared_bytes},
           tensor_density<D>, density);
}

template <int D>
void start_moments(const tensor_step& e, const device_rows<float>& part, const device_sums& sums) {
    const moment_arguments moments{part.x,
                                   static_cast<int>(part.stride),
                                   static_cast<int>(part.rows),
                                   e.p(),
                                   static_cast<int>(e.shape.dimensions),
                                   e.components(),
                                   e.active(),
                                   e.densities,
                                   e.slab_rows(),
                                   e.weights(),
                                   e.model.means,
                                   e.memory.mean_sizes,
                                   sums};
    constexpr int M = moment_dimensions(D);
    using L = moment_layout<M>;
    const std::int64_t units = blocks_for(part.rows, unit_rows), ranks = moment_ranks(units);
    launch(e.state, "tensor_moments",
           {blocks_for(units, ranks) * blocks_for(e.components(), L::components) * ranks, L::threads, L::shared_bytes,
            1, static_cast<unsigned>(ranks)},
           tensor_moments<M>, moments);
}

void start_wide_panels(const tensor_step& e) {
    const wide_shape shape(e.shape.dimensions);
    launch(e.state, "wide_powers", {e.components(), piece_threads}, wide_powers, e.p(), e.model, e.memory.mean_sizes,
           e.memory.wide);
    launch(e.state, "wide_factors", {e.components() * shape.panels, piece_threads}, wide_factors, e.p(), shape, e.model,
           e.memory.panels, e.memory.wide);
}

void start_wide_densities(const tensor_step& e, const device_rows<float>& part) {
    const wide_shape shape(e.shape.dimensions);
    const int count = static_cast<int>(part.rows);
    launch(e.state, "wide_rows", {blocks_for(count, wide_cluster * wide_block) * wide_cluster, row_piece_threads},
           wide_rows, part.x, part.stride, count, e.p(), static_cast<int>(shape.halves), e.memory.sizes, e.memory.wide);
    const wide_density_arguments density{shape,
                                         count,
                                         e.components(),
                                         static_cast<int>(e.plan.ranges),
                                         static_cast<int>(e.plan.range_panels),
                                         e.memory.panels,
                                         e.model.offsets,
                                         e.memory.wide,
                                         e.densities,
                                         e.slab_rows()};
    launch(e.state, "wide_density",
           {e.density_blocks(count, wide_cluster, wide_block * wide_cluster), wide_threads, wide_shared_bytes},
           wide_density, density);
}

void start_wide_moments(const tensor_step& e, const device_rows<float>& part, const device_sums& sums) {
    const wide_shape shape(e.shape.dimensions);
    const wide_moment_arguments moments{part.x,
                                        part.stride,
                                        static_cast<int>(part.rows),
                                        e.p(),
                                        static_cast<int>(e.shape.dimensions),
                                        e.components(),
                                        e.active(),
                                        e.densities,
                                        e.slab_rows(),
                                        e.weights(),
                                        e.model.means,
                                        e.memory.mean_sizes,
                                        e.memory.wide,
                                        sums};
    const std::int64_t units = blocks_for(part.rows, unit_rows), pairs = units * e.components();
    const std::int64_t room = wide_pairs(e.shape.dimensions, e.plan.units * e.components());
    const std::int64_t ranks = wide_ranks(units, room), step = room / ranks * ranks;
    launch(e.state, "wide_weights", {pairs, piece_threads}, wide_weights, moments);
    for (std::int64_t first = 0; first < pairs; first += step) {
        const std::int64_t some = std::min(step, pairs - first);
        launch(e.state, "wide_moment_pieces", {some * shape.panels, piece_threads}, wide_moment_pieces, moments, shape,
               static_cast<int>(first));
        launch(e.state, "wide_moments",
               {some * shape.tile_blocks(), wide_threads, wide_shared_bytes, 1, static_cast<unsigned>(ranks)},
               wide_moments, moments, shape, static_cast<int>(first));
    }
}

/// The kernels of a shape.
struct tensor_kernels {
    void (*panels)(const tensor_step&);
    void (*densities)(const tensor_step&, const device_rows<float>&);
    void (*moments)(const tensor_step&, const device_rows<float>&, const device_sums&);

    template <int D>
    static constexpr tensor_kernels of() {
        return {start_panels<D>, start_densities<D>, start_moments<D>};
    }
};

tensor_kernels kernels_of(const gmm_shape& shape) {
    if (is_wide(shape.dimensions))
        return {start_wide_panels, start_wide_densities, start_wide_moments};
    switch (tensor_dimensions(shape.dimensions)) {
    case 32:
        return tensor_kernels::of<32>();
    case 48:
        return tensor_kernels::of<48>();
    case 64:
        return tensor_kernels::of<64>();
    case 80:
        return tensor_kernels::of<80>();
    case 96:
        return tensor_kernels::of<96>();
    case 112:
        return tensor_kernels::of<112>();
    default:
        return tensor_kernels::of<128>();
    }
}

/// Lists the panels of the components that may count for each tile of the rows. What is known of rows moves them away
/// from their homes: no screen then.
bool start_screen(const tensor_step& e, const device_rows<float>& rows) {
    if (!e.homes.homes || rows.labelled() || !pays_screen(e.shape, rows.rows))
        return false;
    const screened_rows all = e.screened(rows.rows);
    const std::int64_t slabs = blocks_for(rows.rows, e.slab_rows());
    const float dimensions = static_cast<float>(tensor_dimensions(e.shape.dimensions));
    const float slack = (dimensions + 32) * 0x1p-23f; // see screen.cuh
    const float error = 0x1p-21f + dimensions / 16 * 0x1p-22f + (dimensions + 8) * 0x1p-23f;
    launch(e.state, "order_rows", {slabs, order_threads}, order_rows, all, e.homes);
    launch(e.state, "separate_components", {e.components(), separation_threads, separation_shared_bytes(e.p())},
           separate_components, all, static_cast<int>(slabs), e.p(), error, slack, e.model, e.homes);
    const screen_arguments screen{all,        rows.x, rows.stride, e.p(),  static_cast<int>(panel_components(e.shape)),
                                  e.active(), slack,  e.model,     e.homes};
    launch(e.state, "screen_tiles", {blocks_for(rows.rows, screen_rows), screen_rows, 4 * screen_rows * e.p()},
           screen_tiles, screen);
    return true;
}

/// Makes e ready for the slab at a row, where there are lists.
void begin_slab(tensor_step& e, std::int64_t first, std::int64_t rows) {
    const std::int64_t tile = first / screen_rows;
    e.lists = {e.homes.slabs + first / e.slab_rows(), e.homes.order + first, e.homes.counts + tile,
               e.homes.lists + tile * (e.plan.panels / 2)};
    launch(e.state, "fill_far", {std::max<std::int64_t>(2 * e.blocks, 1), fill_threads}, fill_far, e.lists.slab,
           e.screened(rows), e.densities);
}

/// Log-densities of a slab with what is known of the rows.
void start_known_densities(const tensor_step& e, const device_rows<float>& part) {
    kernels_of(e.shape).densities(e, part);
    if (part.labelled())
        launch(e.state, "tensor_known", {blocks_for(part.rows, known_threads), known_threads}, tensor_known, part,
               e.model.offsets, e.components(), e.densities, e.slab_rows());
}

} // namespace

bool tensor_built() {
    return true;
}

void write_tensor_panels(const internal::cuda_state& state, const gmm_shape& shape, const device_model<float>& model,
                         const tensor_view& memory) {
    kernels_of(shape).panels({state, shape, model, memory, nullptr, 0});
}

void tensor_densities(const internal::cuda_state& state, const gmm_shape& shape, const device_model<float>& model,
                      const device_rows<float>& rows, const tensor_view& memory, float* densities,
                      std::int64_t blocks) {
    start_known_densities({state, shape, model, memory, densities, blocks}, rows);
}

void tensor_posteriors(const internal::cuda_state& state, const gmm_shape& shape, const device_model<float>& model,
                       std::int64_t rows, const float* densities, const inference_results& to) {
    const posterior_arguments p{{static_cast<int>(rows), static_cast<int>(shape.components),
                                 active_depth(static_cast<int>(shape.components)), densities, tensor_slab_rows(shape)},
                                model.reference,
                                to};
    launch(state, "tensor_posteriors", {blocks_for(rows, rule_rows), rule_threads}, find_posteriors, p);
}

void accumulate_tensor(const internal::cuda_state& state, const gmm_shape& shape, const device_model<float>& model,
                       const device_rows<float>& rows, const tensor_view& memory, const home_view& homes,
                       float* densities, const device_sums& sums, std::int64_t blocks) {
    tensor_step e{state, shape, model, memory, densities, blocks, homes};
    const tensor_kernels kernels = kernels_of(shape);
    kernels.panels(e);
    const bool screened = start_screen(e, rows);
    for (std::int64_t first = 0; first < rows.rows; first += e.slab_rows()) {
        const device_rows<float> part{rows.x + first * rows.stride,
                                      rows.weights ? rows.weights + first : nullptr,
                                      rows.stride,
                                      std::min(e.slab_rows(), rows.rows - first),
                                      rows.labels ? rows.labels + first : nullptr,
                                      rows.log_factors ? rows.log_factors + first * shape.components : nullptr};
        if (screened)
            begin_slab(e, first, part.rows);
        start_known_densities(e, part);
        launch(state, "tensor_rows", {blocks_for(part.rows, rule_rows), rule_threads}, tensor_rows, e.rule(part.rows),
               part, model.reference, memory.sizes, e.weights(), homes.homes ? homes.homes + first : nullptr, sums);
        kernels.moments(e, part, sums);
    }
}

} // namespace elbo::kernels::cuda
