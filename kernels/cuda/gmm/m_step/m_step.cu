// M-step of docs/theory.md section 1, float64: means, covariances, factors, component policy. A team of threads
// (team.cuh) has a component; the last one to finish decides, and as part of the loop it ends the iteration.
#include "kernels/cuda/core/launch.cuh"
#include "kernels/cuda/gmm/e_step/accumulate.hpp"
#include "kernels/cuda/gmm/m_step/own_families.cuh"
#include "kernels/cuda/gmm/m_step/parameter_set.hpp"

#include <algorithm>

namespace elbo::kernels::cuda {

namespace {

// The M-step of the own families; in `shared` the matrices of the teams, then the arrays of a block that is alone.
template <class Team, class T>
__global__ void __launch_bounds__(Team::most_threads, 1) update_own(const update_arguments<T> given, bool alone) {
    extern __shared__ double shared[];
    const Team team = make_team<Team>();
    const std::int64_t size = matrix_doubles(given.shape, given.factor_in_shared);
    const update_arguments<T> a =
        alone ? with_arrays_in(reinterpret_cast<unsigned char*>(shared + team.count() * size), given) : given;
    double* own = shared + team.index() * size;
    for_teams(team, a.shape.components, [&](std::int64_t k) {
        keep_previous(team, a, k);
        finish_component(team, a, k, own);
    });
    if (!arrives_last(a.arrays.arrived) || team.index() != 0)
        return;
    if constexpr (Team::whole_cluster)
        finish_update(block_team(team.scratch), a, own);
    else
        finish_update(team, a, own);
}

/// Row i of Σ_k N_k m_k m_kᵀ over the healthy components (the diagonal alone, where that is enough).
template <class Team, class T>
__device__ void between_components(const Team& team, const update_arguments<T>& a, std::int64_t i) {
    const std::int64_t d = a.shape.dimensions;
    const bool matrix = a.shape.family == gmm::family::tied;
    for (std::int64_t j = (matrix ? 0 : i) + team.rank(); j <= i; j += team.size()) {
        double sum = 0;
        for (std::int64_t k = 0; k < a.shape.components; ++k)
            if (a.arrays.states[k] == component_state::healthy)
                sum += a.arrays.counts[k] * a.arrays.means[k * d + i] * a.arrays.means[k * d + j];
        a.arrays.between[matrix ? i * d + j : i] = sum;
    }
}

/// The common covariance (G − Σ N m mᵀ) / Σ N + λ into matrix and variances; returns the sum of the counted
/// variances.
template <class Team, class T>
__device__ double common_covariance(const Team& team, const update_arguments<T>& a, double total, double floor,
                                    bool diagonal_only, const matrix_memory& m) {
    const int d = static_cast<int>(a.shape.dimensions);
    double* variances = a.arrays.variances;
    team.sync();
    if (a.shape.family == gmm::family::tied_spherical) {
        double between = 0;
        team.each(d, [&](int j) { between += a.arrays.between[j]; });
        between = team.sum(between);
        const double v = with_floor((a.rule.scatter[0] - between) / total / d + a.rule.mean_lambda, floor);
        team.each(d, [&](int j) { variances[j] = v; });
        team.sync();
        return v;
    }
    const bool matrix = a.shape.family == gmm::family::tied;
    team.each(d, [&](int j) {
        const std::int64_t within = matrix ? packed_upper(j, j, d) : j;
        const double between = a.arrays.between[matrix ? std::int64_t(j) * d + j : j];
        variances[j] = with_floor((a.rule.scatter[within] - between) / total + a.rule.lambda[j], floor);
    });
    team.sync();
    if (matrix) {
        using element = typename Team::element;
        for (element e = team.rank(); e < element(d) * d; e += team.size()) {
            const int i = static_cast<int>(e / d), j = static_cast<int>(e - element(i) * d);
            if (j > i)
                continue;
            m.matrix[i * m.ld + j] = i == j ? variances[i]
                                     : diagonal_only
                                         ? 0.0
                                         : (a.rule.scatter[packed_upper(j, i, d)] - a.arrays.between[e]) / total;
        }
        team.sync();
    }
    return trace_of(team, variances, d);
}

template <class Team, class T>
__device__ bool factor_common(const Team& team, const update_arguments<T>& a, double trace, const matrix_memory& m) {
    const int d = static_cast<int>(a.shape.dimensions);
    const update_arrays& w = a.arrays;
    if (a.shape.family == gmm::family::tied)
        return finish_matrix(team, m, d, w.variances, trace, a.rule.lambda, w.factors, w.log_determinants,
                             w.quadratics);
    const int count = variance_count(a.shape);
    return finish_variances(team, w.variances, count, count < d ? d : 1, trace, a.rule.lambda, a.rule.mean_lambda,
                            w.factors, w.log_determinants, w.quadratics);
}

/// Tied families: the common covariance and its factor; whether it needed a floor.
template <class Team, class T>
__device__ bool update_common(const Team& team, const update_arguments<T>& a, double* shared) {
    const matrix_memory m = place_matrix(a.shape, a.factor_in_shared, shared, a.arrays.factors);
    double total = 0;
    for (std::int64_t k = team.rank(); k < a.shape.components; k += team.size())
        if (a.arrays.states[k] == component_state::healthy)
            total += a.arrays.counts[k];
    total = team.sum(total);
    // With a floor where it needs one; where rounding has left a matrix that is not even close to positive, its
    // diagonal alone.
    double floor = 0;
#pragma unroll 1
    for (int attempt = 0; attempt < 3; ++attempt) {
        const double trace = common_covariance(team, a, total, floor, attempt == 2, m);
        if (attempt == 0)
            note_widest(team, a);
        if (factor_common(team, a, trace, m))
            break;
        if (attempt == 0)
            floor = floor_of_diagonal(trace / variance_count(a.shape));
    }
    return floor > 0;
}

/// After all components have been written: the rest of the model, and the end of an iteration.
template <class Team, class T>
__device__ void finish_writing(const Team& team, const update_arguments<T>& a) {
    const recalled_state before = recall(a.loop);
    finish_model(team, a);
    if (!a.loop.state)
        return;
    clear_sums(team, a.sums, a.sums.count - scalar_count, a.sums.count);
    if (team.rank() == 0)
        end_iteration(a, before, *a.arrays.record);
}

/// Steps of the update of a tied family. Each needs all of the one before.
enum class tied_step { means, common, model };

// Some steps of a tied family: all in a block that is alone, which has its arrays in `shared` behind the matrix, else
// one a kernel. The last one also writes parameters that come from the host.
template <class Team, class T>
__global__ void __launch_bounds__(Team::most_threads, 1)
    update_tied(const update_arguments<T> given, tied_step first, tied_step last) {
    extern __shared__ double shared[];
    const Team team = make_team<Team>();
    const bool alone = first != last;
    const update_arguments<T> a =
        alone ? with_arrays_in(reinterpret_cast<unsigned char*>(
                                   shared + team.count() * matrix_doubles(given.shape, given.factor_in_shared)),
                               given)
              : given;
    const std::int64_t K = a.shape.components, size = statistics_size(a.shape.family, a.shape.dimensions);
    if (first == tied_step::means)
        for_teams(team, K, [&](std::int64_t k) {
            keep_previous(team, a, k);
            update_mean(team, a, k);
        });
    if (alone)
        __syncthreads();
    if (first <= tied_step::common && last >= tied_step::common) {
        for_teams(team, a.shape.dimensions, [&](std::int64_t i) { between_components(team, a, i); });
        if (arrives_last(a.arrays.arrived) && team.index() == 0)
            sum_up(team, a, decide(team, a, update_common(team, a, shared), false, shared));
    }
    if (last != tied_step::model)
        return;
    if (alone)
        __syncthreads();
    for_teams(team, K, [&](std::int64_t k) {
        write_component(team, a, k);
        if (a.loop.state)
            clear_sums(team, a.sums, k * size, (k + 1) * size);
    });
    if (arrives_last(a.arrays.arrived) && team.index() == 0)
        finish_writing(team, a);
}

/// Calls work(Team) with the team for matrices of d dimensions: a warp, where it is large enough.
template <class Work>
void with_team(std::int64_t d, const Work& work) {
    if (factor_threads(d) == 32)
        return work.template operator()<warp_team>();
    return work.template operator()<block_team>();
}

/// Launch of `items` over teams that have `bytes_each` of shared memory.
template <class Team>
launch_shape over_teams(std::int64_t items, std::int64_t bytes_each) {
    if (Team::whole_block)
        return {items, Team::most_threads, bytes_each};
    constexpr std::int64_t teams = 4;
    return {blocks_for(items, teams), 32 * teams, teams * bytes_each};
}

/// One block for all, with all arrays in shared memory, so that nobody waits for memory far away; without blocks where
/// that is too much.
template <class Team>
launch_shape alone(const gmm_shape& shape) {
    constexpr std::int64_t most_components = 16, most_bytes = 48 * 1024;
    const std::int64_t teams = std::min<std::int64_t>(shape.components, Team::most_threads / 32);
    const std::int64_t bytes = teams * 8 * matrix_doubles(shape) + update_memory::bytes(shape);
    if (Team::whole_block || shape.components > most_components || bytes > most_bytes)
        return {};
    return {1, static_cast<int>(32 * teams), bytes};
}

template <class T>
void update_own_families(const internal::cuda_state& state, const update_arguments<T>& a) {
    if (const std::int64_t blocks =
            factor_blocks(a.shape, state.multiprocessors, largest_cluster(state), a.factor_in_shared);
        blocks > 1) {
        launch_shape grid =
            over_teams<cluster_team>(a.shape.components, 8 * matrix_doubles(a.shape, a.factor_in_shared));
        grid.blocks *= blocks;
        grid.cluster = static_cast<unsigned>(blocks);
        return launch(state, "update_own", grid, update_own<cluster_team, T>, a, false);
    }
    with_team(a.shape.dimensions, [&]<class Team>() {
        launch_shape grid = alone<Team>(a.shape);
        const bool one = grid.blocks == 1;
        if (!one)
            grid = over_teams<Team>(a.shape.components, 8 * matrix_doubles(a.shape, a.factor_in_shared));
        launch(state, "update_own", grid, update_own<Team, T>, a, one);
    });
}

template <class T>
void update_tied_families(const internal::cuda_state& state, const update_arguments<T>& a, tied_step first) {
    using enum tied_step;
    const std::int64_t K = a.shape.components;
    with_team(a.shape.dimensions, [&]<class Team>() {
        const auto step = [&](const launch_shape& grid, tied_step from, tied_step to) {
            launch(state, "update_tied", grid, update_tied<Team, T>, a, from, to);
        };
        if (first == means) {
            const launch_shape one = alone<Team>(a.shape);
            if (one.blocks == 1)
                return step(one, means, model);
            step(over_teams<Team>(K, 0), means, means);
            launch_shape rows = over_teams<Team>(a.shape.dimensions, 0);
            rows.shared_bytes = 8 * matrix_doubles(a.shape, a.factor_in_shared);
            step(rows, common, common);
        }
        step(over_teams<Team>(K, 0), model, model);
    });
}

} // namespace

template <class T>
void update_parameters(const internal::cuda_state& state, const update_arguments<T>& a) {
    if (gmm::is_tied(a.shape.family))
        update_tied_families(state, a, tied_step::means);
    else
        update_own_families(state, a);
}

template <class T>
void write_model(const internal::cuda_state& state, const update_arguments<T>& a) {
    update_tied_families(state, a, tied_step::model);
}

template void update_parameters(const internal::cuda_state&, const update_arguments<float>&);
template void update_parameters(const internal::cuda_state&, const update_arguments<double>&);
template void write_model(const internal::cuda_state&, const update_arguments<float>&);
template void write_model(const internal::cuda_state&, const update_arguments<double>&);

} // namespace elbo::kernels::cuda
