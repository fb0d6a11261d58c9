// The products of the cheap families: components once, then a slab of units at a time rows, log-densities, row rule,
// sums. Every kernel returns at once where a component lies far from the origin.
#include "kernels/cuda/core/launch.cuh"
#include "kernels/cuda/gmm/products/densities.cuh"
#include "kernels/cuda/gmm/products/operands.cuh"
#include "kernels/cuda/gmm/products/products.hpp"
#include "kernels/cuda/gmm/products/shares.cuh"
#include "kernels/cuda/gmm/products/sums.cuh"

#include <algorithm>
#include <cmath>

namespace elbo::kernels::cuda {

namespace {

struct product_step {
    const internal::cuda_state& state;
    const gmm_shape& shape;
    const device_model<float>& model;
    const product_view& memory;
    const device_sums& sums;
    std::int64_t blocks; ///< the grid of the log-densities
    product_plan plan = plan_products(shape);

    std::int64_t slab_rows() const { return plan.units * unit_rows; }
    int components() const { return static_cast<int>(shape.components); }
    int stages() const { return static_cast<int>(plan.stages); }
    bool squares() const { return product_form_of(shape.family) == product_form::squares; }
};

/// What writes the operands of a form.
struct operand_kernels {
    void (*rows)(device_rows<float>, int, int, int, const float*, product_view);
    void (*weights)(gmm_shape, device_model<float>, int, product_view);

    template <product_form Form>
    static operand_kernels of() {
        return {product_rows<Form>, product_weights<Form>};
    }
};
operand_kernels kernels_of(product_form form) {
    using enum product_form;
    switch (form) {
    case scaled:
        return operand_kernels::of<scaled>();
    case squares:
        return operand_kernels::of<squares>();
    case whitened:
        return operand_kernels::of<whitened>();
    default:
        return operand_kernels::of<plain>();
    }
}

void start_densities(const product_step& e, std::int64_t rows) {
    const std::int64_t clusters = std::max<std::int64_t>(e.blocks / product_cluster, 1);
    const std::int64_t tiles = blocks_for(rows, product_cluster * product_lines);
    // All ranges of a tile in turn, which reads its rows once; where there are few tiles, side by side.
    const std::int64_t each = blocks_for(e.plan.ranges, std::max<std::int64_t>(clusters / tiles, 1));
    const std::int64_t split = blocks_for(e.plan.ranges, each);
    const product_density_arguments density{static_cast<int>(rows),
                                            e.components(),
                                            e.stages(),
                                            static_cast<int>(e.plan.blocks),
                                            static_cast<int>(e.plan.ranges),
                                            static_cast<int>(split),
                                            static_cast<int>(each),
                                            e.memory,
                                            e.slab_rows()};
    launch(e.state, "product_densities",
           {std::min(clusters, tiles * split) * product_cluster, product_threads, product_density_bytes},
           e.squares() ? product_densities<true> : product_densities<false>, density);
}

template <int Cluster>
void start_sums(const product_step& e, std::int64_t rows) {
    const std::int64_t sets = blocks_for(e.plan.blocks, Cluster);
    const float active = -24 - static_cast<float>(std::log2(static_cast<double>(e.shape.components)));
    const product_sum_arguments a{
        e.shape, static_cast<int>(rows), static_cast<int>(sets), active, e.model.means, e.memory, e.slab_rows(),
        e.sums};
    const launch_shape shape{blocks_for(rows, unit_rows) * sets * Cluster, product_threads, product_sum_bytes, 1,
                             Cluster};
    launch(e.state, "product_moments", shape,
           e.squares()       ? product_moments<Cluster, 2, true>
           : e.stages() == 1 ? product_moments<Cluster, 1, false>
                             : product_moments<Cluster, 2, false>,
           a);
}

} // namespace

void accumulate_products(const internal::cuda_state& state, const gmm_shape& shape, const device_model<float>& model,
                         const device_rows<float>& rows, const product_view& memory, const device_sums& sums,
                         std::int64_t blocks) {
    const product_step e{state, shape, model, memory, sums, blocks};
    const operand_kernels operands = kernels_of(product_form_of(shape.family));
    launch(state, "product_weights", {e.plan.blocks * product_lines / weight_warps, operand_threads}, operands.weights,
           shape, model, e.stages(), memory);
    for (std::int64_t first = 0; first < rows.rows; first += e.slab_rows()) {
        const device_rows<float> part{rows.x + first * rows.stride, rows.weights ? rows.weights + first : nullptr,
                                      rows.stride, std::min(e.slab_rows(), rows.rows - first)};
        const std::int64_t tiles = blocks_for(part.rows, product_cluster * product_lines) * product_cluster;
        launch(state, "product_rows", {tiles, operand_threads, whitened_rows_bytes(shape)}, operands.rows, part,
               static_cast<int>(shape.dimensions), e.components(), e.stages(), model.factors, memory);
        start_densities(e, part.rows);
        launch(state, "product_shares", {blocks_for(part.rows, unit_rows), share_threads}, product_shares, part,
               e.components(), model.reference, static_cast<int>(e.plan.ranges), memory, e.slab_rows(), sums);
        if (e.plan.blocks > 1)
            start_sums<product_cluster>(e, part.rows);
        else
            start_sums<1>(e, part.rows);
    }
}

} // namespace elbo::kernels::cuda
