// The kernel of the importance bound is launched here, and what comes before and after it.
#include "kernels/cuda/core/launch.cuh"
#include "kernels/cuda/vae/bound/bound.cuh"
#include "kernels/cuda/vae/bound/weights.cuh"

#include <algorithm>

namespace elbo::kernels::cuda {

namespace {

/// Bias of units and outputs that do not exist: one that makes them 0.
float padding_of(const bound_plan& plan, int layer, vae::activation form) {
    if (layer + 1 == plan.layers)
        return no_output;
    return form == vae::activation::softplus ? no_output : 0;
}

template <int Steps>
void start_draws(const internal::cuda_state& state, const bound_kernel_arguments& p, std::int64_t blocks) {
    const std::int64_t clusters = std::clamp<std::int64_t>(blocks / bound_cluster, 1, p.passes);
    launch(state, "draw_bound", {clusters * bound_cluster, bound_threads, bound_tile<Steps>::shared_bytes},
           draw_bound<Steps>, p);
}

} // namespace

void write_bound_weights(const internal::cuda_state& state, const bound_plan& plan,
                         const std::vector<layer_view>& decoder, const bound_view& memory) {
    unsigned char* panels = memory.panels;
    float2* columns = memory.columns;
    for (int i = 0; i < plan.layers; ++i) {
        const layer_view& layer = decoder[static_cast<std::size_t>(i)];
        const int count = plan.blocks_of(i) * plan.columns();
        launch(state, "write_bound_layer", {count / 8, bound_weight_threads}, write_bound_layer,
               bound_layer{layer, plan.steps_of(i), plan.columns(), i == 0, padding_of(plan, i, layer.form), panels,
                           columns});
        panels += plan.layer_bytes(i);
        columns += count;
    }
}

void bound_draws(const internal::cuda_state& state, const bound_arguments& a, const row_sums& sums,
                 std::int64_t blocks) {
    const int group = slots_of(a.draws.all, a.draws.all).group;
    const std::int64_t units = std::max<std::int64_t>(1, a.memory.capacity / (a.rows * bound_unit_groups));
    const std::int64_t at_once = units * bound_unit_groups * bound_group; // draws
    for (std::int64_t first = 0; first < a.draws.all; first += at_once) {
        bound_kernel_arguments p{a, 0, group, 0};
        p.of.draws = {first, std::min(at_once, a.draws.all - first), a.draws.all};
        const bound_slots slots = slots_of(a.draws.all, p.of.draws.count);
        p.per_row = static_cast<int>(slots.per_row);
        p.passes = static_cast<int>(blocks_for(a.rows * slots.per_row, bound_pass_pairs));
        if (a.plan.steps == 8)
            start_draws<8>(state, p, blocks);
        else if (a.plan.steps == 13)
            start_draws<13>(state, p, blocks);
        else
            start_draws<16>(state, p, blocks);
        launch(state, "add_bound_groups", warps(a.rows), add_bound_groups, a.memory.sums, a.rows,
               static_cast<int>(slots.groups()), first == 0, sums);
    }
}

} // namespace elbo::kernels::cuda
