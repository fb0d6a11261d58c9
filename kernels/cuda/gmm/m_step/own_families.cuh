// The update of the families with own covariances, component by component, and what both kinds of families share.
#pragma once

#include "kernels/cuda/gmm/m_step/decide.cuh"
#include "kernels/math/normalize_statistics.hpp"

namespace elbo::kernels::cuda {

/// The current factor of component k into the place of the next one: of components that get none.
template <class Team, class T>
__device__ void keep_factor(const Team& team, const update_arguments<T>& a, std::int64_t k) {
    const std::int64_t d = a.shape.dimensions, p = padded(d), size = geometry(a.shape.family).stride(d);
    const bool full = a.shape.family == gmm::family::full;
    for (std::int64_t e = team.rank(); e < size; e += team.size())
        a.arrays.factors[k * size + e] =
            static_cast<double>(full ? a.model.factors[(k * p + e / d) * p + e % d] : a.model.factors[k * p + e]);
}

/// How the M-step finds component k, of which the responsibilities add up to `sum`.
template <class T>
__device__ component_state classify(const update_arguments<T>& a, std::int64_t k, double sum) {
    if (::isinf(a.model.log_weights[k]))
        return component_state::dropped;
    return sum >= empty_share * a.rule.total_weight ? component_state::healthy : component_state::empty;
}

/// What makes Σ_k N_k = Σ w (math/normalize_statistics.hpp). A handful of additions, so each team does them.
template <class Team, class T>
__device__ double normalizing_factor(const Team& team, const update_arguments<T>& a) {
    double counts = 0;
#pragma unroll 1
    for (std::int64_t k = team.rank(); k < a.shape.components; k += team.size())
        counts += statistic(a, k, 0);
    counts = team.sum_first(a.shape.components, counts);
    const double weight = read_fixed(a.sums, a.sums.count - scalar_count + scalar_weight, a.sums.scalar_exponent);
    return statistics_factor(weight, counts);
}

__device__ inline void clear_sum(const device_sums& sums, std::int64_t i) {
    for (int l = 0; l < limb_count; ++l)
        sums.limbs[l * sums.count + i] = 0;
}

/// Entries first ... end − 1 of the sums become zero, if they are not already.
template <class Team>
__device__ void clear_sums(const Team& team, const device_sums& sums, std::int64_t first, std::int64_t end) {
    if (sums.values)
        return;
    for (std::int64_t i = first + team.rank(); i < end; i += team.size())
        clear_sum(sums, i);
}

/// N_k and the mean of component k. How the component was found.
template <class Team, class T>
__device__ component_state update_mean(const Team& team, const update_arguments<T>& a, std::int64_t k) {
    const std::int64_t d = a.shape.dimensions, p = padded(d);
    const double sum = statistic(a, k, 0);
    const component_state found = classify(a, k, sum);
    const double n = found == component_state::dropped ? 0 : sum;
    const double factor = normalizing_factor(team, a);
    double change = 0;
    team.each(d, [&](int j) {
        const double step = found == component_state::healthy ? statistic(a, k, 1 + j) / n : 0;
        a.arrays.steps[k * d + j] = step;
        a.arrays.means[k * d + j] = static_cast<double>(a.model.means[k * p + j]) + step;
        change = ::fmax(change, ::fabs(step));
    });
    change = team.reduce_first(d, change, larger());
    if (team.rank() == 0) {
        a.arrays.counts[k] = n * factor;
        a.arrays.sums_of_r[k] = n;
        a.arrays.changes[k] = change;
        a.arrays.states[k] = found;
    }
    return found;
}

/// log α of all components by one team, ahead of decide(): right if no policy acts on them.
template <class Team, class T>
__device__ void weigh_ahead(const Team& team, const update_arguments<T>& a) {
    const std::int64_t K = a.shape.components;
    const double factor = normalizing_factor(team, a);
    const auto count = [&](std::int64_t k) {
        const double sum = statistic(a, k, 0);
        return (classify(a, k, sum) == component_state::dropped ? 0 : sum) * factor;
    };
    double total = 0;
    for (std::int64_t k = team.rank(); k < K; k += team.size())
        total += count(k);
    total = team.sum_first(K, total);
    for (std::int64_t k = team.rank(); k < K; k += team.size())
        a.arrays.log_weights[k] = ::log(count(k) / total);
}

/// Component k of the own families from its sums to the model, after keep_previous(). The sums are cleared but for what
/// the last team reads: N_k, and all of a component that may be rescued.
template <class Team, class T>
__device__ void finish_component(const Team& team, const update_arguments<T>& a, std::int64_t k, double* shared) {
    const component_state found = update_mean(team, a, k);
    team.sync();
    const bool singular = found == component_state::healthy && !factor_component(team, a, k, false, shared);
    team.sync();
    if (singular && team.rank() == 0)
        a.arrays.states[k] = component_state::singular;
    if (singular || found != component_state::healthy)
        keep_factor(team, a, k);
    team.sync();
    write_component(team, a, k);
    const std::int64_t size = statistics_size(a.shape.family, a.shape.dimensions);
    if (a.loop.state && !singular)
        clear_sums(team, a.sums, k * size + 1, (k + 1) * size);
}

/// What one team does after all components of the own families, to the model as the next E-step reads it; returns the
/// actions. `weighed`: after weigh_ahead().
template <class Team, class T>
__device__ std::int64_t complete_model(const Team& team, const update_arguments<T>& a, bool weighed, double* shared) {
    const std::int64_t actions = decide(team, a, false, weighed, shared);
    const std::int64_t size = statistics_size(a.shape.family, a.shape.dimensions);
#pragma unroll 1
    for (std::int64_t i = 0; i < actions; ++i) {
        const collapse_action& action = a.arrays.actions[i];
        write_component(team, a, action.component);
        if (a.loop.state && action.found == component_state::singular)
            clear_sums(team, a.sums, action.component * size + 1, (action.component + 1) * size);
    }
    team.sync();
    finish_model(team, a);
    return actions;
}

/// The same, with record and, as part of a loop, the end of the iteration.
template <class Team, class T>
__device__ void finish_update(const Team& team, const update_arguments<T>& a, double* shared) {
    const recalled_state before = recall(a.loop);
    const std::int64_t actions = complete_model(team, a, false, shared);
    const update_record record = sum_up(team, a, actions);
    if (!a.loop.state)
        return;
    const std::int64_t size = statistics_size(a.shape.family, a.shape.dimensions);
    for (std::int64_t k = team.rank(); k < a.shape.components; k += team.size())
        clear_sum(a.sums, k * size);
    clear_sums(team, a.sums, a.sums.count - scalar_count, a.sums.count);
    if (team.rank() == 0)
        end_iteration(a, before, record);
}

/// The items 0 ... count − 1 in turn over the teams of the grid.
template <class Team, class Work>
__device__ void for_teams(const Team& team, std::int64_t count, const Work& work) {
    const std::int64_t blocks = team.blocks();
    for (std::int64_t i = blockIdx.x / blocks * team.count() + team.index(); i < count;
         i += gridDim.x / blocks * team.count())
        work(i);
}

/// The arguments of an update that a block makes alone: arrays in its shared memory, but for what outlives the update.
template <class T>
__device__ update_arguments<T> with_arrays_in(unsigned char* shared, const update_arguments<T>& given) {
    update_arguments<T> a = given;
    carver from(shared);
    a.arrays = carve_arrays(a.shape, from);
    a.arrays.reseeds = given.arrays.reseeds;
    a.arrays.record = given.arrays.record;
    a.arrays.actions = given.arrays.actions;
    a.arrays.arrived = given.arrays.arrived;
    return a;
}

} // namespace elbo::kernels::cuda
