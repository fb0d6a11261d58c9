// The tensor engine: panels of the parameters once, then a slab of units at a time log-densities, row rule, moments.
#include "kernels/cuda/core/launch.cuh"
#include "kernels/cuda/gmm/tensor/density.cuh"
#include "kernels/cuda/gmm/tensor/known.cuh"
#include "kernels/cuda/gmm/tensor/moments.cuh"
#include "kernels/cuda/gmm/tensor/panels.cuh"
#include "kernels/cuda/gmm/tensor/tensor.hpp"

#include <algorithm>
#include <cmath>

namespace elbo::kernels::cuda {

namespace {

inline constexpr int row_threads = 1024;

// Row rule of a unit, a block a unit, a thread a row: the ranges of the row in order, its weights for the moments, and
// the scalars of the unit. All components count; what lies below the active set sums to less than 2^-24. Reads 16
// ranges + [4], writes 16 bytes a row.
__global__ void __launch_bounds__(row_threads)
    tensor_rows(const device_rows<float> rows, const double* reference, int ranges, const float4* parts,
                std::int64_t slab_rows, float4* weights, const float* factors, const device_sums sums) {
    __shared__ double scratch[32];
    const std::int64_t begin = blockIdx.x * unit_rows, end = min(begin + unit_rows, rows.rows);
    double scalars[scalar_count] = {};
    for (std::int64_t row = begin + threadIdx.x; row < end; row += row_threads) {
        float most = -3e38f;
        for (int i = 0; i < ranges; ++i)
            most = fmaxf(most, parts[i * slab_rows + row].x);
        double sum = 0, spread = 0;
        float size = 0;
        for (int i = 0; i < ranges; ++i) {
            const float4 part = parts[i * slab_rows + row];
            const double factor = static_cast<double>(exp2_of(part.x - most));
            const double below = static_cast<double>(fminf(most - part.x, 256.0f));
            spread += factor * (static_cast<double>(part.z) + static_cast<double>(part.y) * below);
            sum += factor * static_cast<double>(part.y);
            size = part.w;
        }
        const float weight = rows.weights ? rows.weights[row] : 1.0f;
        const float root = ::sqrtf(weight / static_cast<float>(sum));
        weights[row] = make_float4(most, root, log2_of(root * size), log2_of(root));
        if (weight != 0) {
            const double w = static_cast<double>(weight);
            const double log_sum = static_cast<double>(log2_of(static_cast<float>(sum)));
            scalars[scalar_log_likelihood] += w * ((static_cast<double>(most) + log_sum) * ln_2 + *reference);
            scalars[scalar_entropy] += w * ((log_sum + spread / sum) * ln_2);
            scalars[scalar_weight] += w;
            if (factors)
                scalars[scalar_log_factors] += w * static_cast<double>(factors[row]) * ln_2;
        }
    }
#pragma unroll
    for (int i = 0; i < scalar_count; ++i) {
        if (i == scalar_log_factors && !factors)
            break;
        const double sum = block_sum(scalars[i], scratch);
        if (threadIdx.x == 0)
            add_fixed(sums.limbs, sums.count, sums.count - scalar_count + i, sum, sums.scalar_exponent);
    }
}

template <int D>
void accumulate(const internal::cuda_state& state, const gmm_shape& shape, const device_model<float>& model,
                const device_rows<float>& rows, const tensor_view& memory, float* densities, const device_sums& sums,
                std::int64_t blocks) {
    const tensor_plan plan = plan_tensor(shape);
    const std::int64_t slab_rows = plan.units * unit_rows;
    const int p = static_cast<int>(padded(shape.dimensions)), components = static_cast<int>(shape.components);
    float4* const parts = reinterpret_cast<float4*>(memory.parts);
    float4* const weights = reinterpret_cast<float4*>(memory.weights);
    const float active = -24 - static_cast<float>(std::log2(static_cast<double>(components)));
    launch(state, "write_panels", {plan.panels * panel_layout<D>::components, panel_threads}, write_panels<D>,
           components, p, model, memory);
    for (std::int64_t first = 0; first < rows.rows; first += slab_rows) {
        const device_rows<float> part{rows.x + first * rows.stride,
                                      rows.weights ? rows.weights + first : nullptr,
                                      rows.stride,
                                      std::min(slab_rows, rows.rows - first),
                                      rows.labels ? rows.labels + first : nullptr,
                                      rows.log_factors ? rows.log_factors + first * shape.components : nullptr};
        const int count = static_cast<int>(part.rows);
        const density_arguments density{part.x,
                                        static_cast<int>(part.stride),
                                        count,
                                        p,
                                        components,
                                        static_cast<int>(plan.panels),
                                        static_cast<int>(plan.ranges),
                                        static_cast<int>(plan.range_panels),
                                        memory.panels,
                                        densities,
                                        slab_rows,
                                        parts};
        const std::int64_t items = blocks_for(count, tensor_block_rows * tensor_cluster) * plan.ranges;
        const std::int64_t clusters = std::clamp<std::int64_t>(blocks / tensor_cluster, 1, items);
        launch(state, "tensor_density", {clusters * tensor_cluster, tensor_threads, panel_layout<D>::shared_bytes},
               tensor_density<D>, density);
        if (part.labelled())
            launch(state, "tensor_known", {blocks_for(count, known_threads), known_threads}, tensor_known, part,
                   model.offsets, components, static_cast<int>(plan.ranges), densities, slab_rows, parts,
                   memory.factors);
        launch(state, "tensor_rows", {blocks_for(count, unit_rows), row_threads}, tensor_rows, part, model.reference,
               static_cast<int>(plan.ranges), parts, slab_rows, weights, part.log_factors ? memory.factors : nullptr,
               sums);
        const moment_arguments moments{part.x,
                                       static_cast<int>(part.stride),
                                       count,
                                       p,
                                       static_cast<int>(shape.dimensions),
                                       components,
                                       active,
                                       densities,
                                       slab_rows,
                                       weights,
                                       model.means,
                                       memory.mean_sizes,
                                       sums};
        constexpr int M = moment_dimensions(D);
        using L = moment_layout<M>;
        launch(state, "tensor_moments",
               {blocks_for(count, unit_rows) * blocks_for(components, L::components), L::threads, L::shared_bytes},
               tensor_moments<M>, moments);
    }
}

} // namespace

bool tensor_built() {
    return true;
}

void accumulate_tensor(const internal::cuda_state& state, const gmm_shape& shape, const device_model<float>& model,
                       const device_rows<float>& rows, const tensor_view& memory, float* densities,
                       const device_sums& sums, std::int64_t blocks) {
    switch (tensor_dimensions(shape.dimensions)) {
    case 32:
        return accumulate<32>(state, shape, model, rows, memory, densities, sums, blocks);
    case 48:
        return accumulate<48>(state, shape, model, rows, memory, densities, sums, blocks);
    case 64:
        return accumulate<64>(state, shape, model, rows, memory, densities, sums, blocks);
    case 80:
        return accumulate<80>(state, shape, model, rows, memory, densities, sums, blocks);
    case 96:
        return accumulate<96>(state, shape, model, rows, memory, densities, sums, blocks);
    case 112:
        return accumulate<112>(state, shape, model, rows, memory, densities, sums, blocks);
    default:
        return accumulate<128>(state, shape, model, rows, memory, densities, sums, blocks);
    }
}

} // namespace elbo::kernels::cuda
