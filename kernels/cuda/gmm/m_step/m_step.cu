// M-step of docs/theory.md section 1, float64: means, covariances, factors, component policy.
#include "kernels/cuda/core/launch.cuh"
#include "kernels/cuda/gmm/m_step/covariance.cuh"
#include "kernels/math/normalize_statistics.hpp"

namespace elbo::kernels::cuda {

namespace {

/// The current factor of component k into the place of the next one: of components that get none.
template <class T>
__device__ void keep_factor(const update_arguments<T>& a, std::int64_t k) {
    const std::int64_t d = a.shape.dimensions, p = padded(d), size = geometry(a.shape.family).stride(d);
    const bool full = a.shape.family == gmm::family::full;
    for (std::int64_t e = threadIdx.x; e < size; e += blockDim.x)
        a.arrays.factors[k * size + e] =
            static_cast<double>(full ? a.current.factors[(k * p + e / d) * p + e % d] : a.current.factors[k * p + e]);
}

template <class T>
__device__ component_state classify(const update_arguments<T>& a, std::int64_t k) {
    if (::isinf(a.current.log_weights[k]))
        return component_state::dropped;
    return statistic(a, k, 0) >= empty_share * a.rule.total_weight ? component_state::healthy : component_state::empty;
}

/// What makes Σ_k N_k = Σ w (math/normalize_statistics.hpp). A handful of additions, so each block does them.
template <class T>
__device__ double normalizing_factor(const update_arguments<T>& a, double* scratch) {
    double counts = 0;
    for (std::int64_t k = threadIdx.x; k < a.shape.components; k += blockDim.x)
        counts += statistic(a, k, 0);
    counts = block_sum(counts, scratch);
    const double weight = read_fixed(a.sums, a.sums.count - scalar_count + scalar_weight, a.sums.scalar_exponent);
    return statistics_factor(weight, counts);
}

// N_k, the step of the mean and, but for the tied families, covariance and factor of component blockIdx.x.
template <class T>
__global__ void __launch_bounds__(256) update_components(const update_arguments<T> a) {
    extern __shared__ double shared[];
    __shared__ double scratch[32];
    const std::int64_t k = blockIdx.x;
    const std::int64_t d = a.shape.dimensions, p = padded(d);
    component_state found = classify(a, k);
    const double n = found == component_state::dropped ? 0 : statistic(a, k, 0);
    const double factor = normalizing_factor(a, scratch);
    if (threadIdx.x == 0)
        a.arrays.counts[k] = n * factor;
    __syncthreads();
    double change = 0;
    for (std::int64_t j = threadIdx.x; j < d; j += blockDim.x) {
        const double step = found == component_state::healthy ? statistic(a, k, 1 + j) / n : 0;
        a.arrays.means[k * d + j] = static_cast<double>(a.current.means[k * p + j]) + step;
        change = ::fmax(change, ::fabs(step));
    }
    if (found == component_state::healthy && !gmm::is_tied(a.shape.family)) {
        const matrix_memory m = place_matrix(a.shape, shared, a.arrays.factors + k * d * d);
        const double trace = own_covariance(a, k, 0, false, m, scratch);
        if (threadIdx.x == 0)
            note_widest(a.arrays.variances + k * d, static_cast<int>(d), a.arrays.widest_variances + k,
                        a.arrays.widest_axes + k);
        if (!factor_own(a, k, trace, m, scratch))
            found = component_state::singular;
    }
    __syncthreads();
    if (found != component_state::healthy)
        keep_factor(a, k);
    change = block_reduce(change, scratch, larger());
    if (threadIdx.x == 0) {
        a.arrays.changes[k] = change;
        a.arrays.states[k] = found;
    }
}

// Tied families: row blockIdx.x of Σ_k N_k m_k m_kᵀ over the healthy components (the diagonal alone, where that is
// enough).
template <class T>
__global__ void __launch_bounds__(128) between_components(const update_arguments<T> a) {
    const std::int64_t i = blockIdx.x, d = a.shape.dimensions;
    const bool matrix = a.shape.family == gmm::family::tied;
    for (std::int64_t j = (matrix ? 0 : i) + threadIdx.x; j <= i; j += blockDim.x) {
        double sum = 0;
        for (std::int64_t k = 0; k < a.shape.components; ++k)
            if (a.arrays.states[k] == component_state::healthy)
                sum += a.arrays.counts[k] * a.arrays.means[k * d + i] * a.arrays.means[k * d + j];
        a.arrays.between[matrix ? i * d + j : i] = sum;
    }
}

/// The common covariance (G − Σ N m mᵀ) / Σ N + λ into matrix and variances; returns the sum of the counted
/// variances.
template <class T>
__device__ double common_covariance(const update_arguments<T>& a, double total, double floor, bool diagonal_only,
                                    const matrix_memory& m, double* scratch) {
    const int d = static_cast<int>(a.shape.dimensions);
    double* variances = a.arrays.variances;
    __syncthreads();
    if (a.shape.family == gmm::family::tied_spherical) {
        double between = 0;
        for (int j = static_cast<int>(threadIdx.x); j < d; j += static_cast<int>(blockDim.x))
            between += a.arrays.between[j];
        between = block_sum(between, scratch);
        const double v = with_floor((a.rule.scatter[0] - between) / total / d + a.rule.mean_lambda, floor);
        for (int j = static_cast<int>(threadIdx.x); j < d; j += static_cast<int>(blockDim.x))
            variances[j] = v;
        __syncthreads();
        return v;
    }
    const bool matrix = a.shape.family == gmm::family::tied;
    for (int j = static_cast<int>(threadIdx.x); j < d; j += static_cast<int>(blockDim.x)) {
        const std::int64_t within = matrix ? packed_upper(j, j, d) : j;
        const double between = a.arrays.between[matrix ? std::int64_t(j) * d + j : j];
        variances[j] = with_floor((a.rule.scatter[within] - between) / total + a.rule.lambda[j], floor);
    }
    __syncthreads();
    if (matrix) {
        for (std::int64_t e = threadIdx.x; e < std::int64_t(d) * d; e += blockDim.x) {
            const int i = static_cast<int>(e / d), j = static_cast<int>(e % d);
            if (j > i)
                continue;
            m.matrix[i * m.ld + j] = i == j ? variances[i]
                                     : diagonal_only
                                         ? 0.0
                                         : (a.rule.scatter[packed_upper(j, i, d)] - a.arrays.between[e]) / total;
        }
        __syncthreads();
    }
    return trace_of(variances, d, scratch);
}

template <class T>
__device__ bool factor_common(const update_arguments<T>& a, double trace, const matrix_memory& m, double* scratch) {
    const int d = static_cast<int>(a.shape.dimensions);
    const update_arrays& w = a.arrays;
    if (a.shape.family == gmm::family::tied)
        return finish_matrix(m, d, w.variances, trace, a.rule.lambda, w.factors, w.log_determinants, w.quadratics,
                             scratch);
    const int count = variance_count(a.shape);
    return finish_variances(w.variances, count, count < d ? d : 1, trace, a.rule.lambda, a.rule.mean_lambda, w.factors,
                            w.log_determinants, w.quadratics, scratch);
}

// Tied families: the common covariance and its factor, one block.
template <class T>
__global__ void __launch_bounds__(256) update_common(const update_arguments<T> a) {
    extern __shared__ double shared[];
    __shared__ double scratch[32];
    const std::int64_t d = a.shape.dimensions, K = a.shape.components;
    const matrix_memory m = place_matrix(a.shape, shared, a.arrays.factors);
    double total = 0;
    for (std::int64_t k = threadIdx.x; k < K; k += blockDim.x)
        if (a.arrays.states[k] == component_state::healthy)
            total += a.arrays.counts[k];
    total = block_sum(total, scratch);
    const double trace = common_covariance(a, total, 0, false, m, scratch);
    for (std::int64_t k = threadIdx.x; k < K; k += blockDim.x)
        note_widest(a.arrays.variances, static_cast<int>(d), a.arrays.widest_variances + k, a.arrays.widest_axes + k);
    const bool floored = !factor_common(a, trace, m, scratch);
    if (floored) {
        const double floor = floor_of_diagonal(trace / variance_count(a.shape));
        const double raised = common_covariance(a, total, floor, false, m, scratch);
        if (!factor_common(a, raised, m, scratch)) {
            // Rounding has left a matrix that is not even close to positive: its diagonal alone.
            common_covariance(a, total, floor, true, m, scratch);
            factor_common(a, raised, m, scratch);
        }
    }
    if (threadIdx.x == 0)
        *a.arrays.common_floor = floored;
}

/// Where no component is healthy: those that are singular get a floor, so that the fit can go on. Returns the actions
/// written.
template <class T>
__device__ std::int64_t rescue_singular(const update_arguments<T>& a, double* shared, double* scratch) {
    const std::int64_t d = a.shape.dimensions, K = a.shape.components;
    double healthy = 0;
    for (std::int64_t k = threadIdx.x; k < K; k += blockDim.x)
        healthy += a.arrays.states[k] == component_state::healthy;
    if (block_sum(healthy, scratch) > 0)
        return 0;
    std::int64_t actions = 0;
    for (std::int64_t k = 0; k < K; ++k) {
        if (a.arrays.states[k] != component_state::singular)
            continue;
        const matrix_memory m = place_matrix(a.shape, shared, a.arrays.factors + k * d * d);
        const double trace = own_covariance(a, k, 0, false, m, scratch);
        const double floor = floor_of_diagonal(trace / variance_count(a.shape));
        const double raised = own_covariance(a, k, floor, false, m, scratch);
        if (!factor_own(a, k, raised, m, scratch)) {
            own_covariance(a, k, floor, true, m, scratch);
            factor_own(a, k, raised, m, scratch);
        }
        __syncthreads();
        if (threadIdx.x == 0) {
            a.arrays.states[k] = component_state::healthy;
            a.arrays.actions[actions] = {k, component_state::singular,
                                         a.rule.on_collapse == gmm::collapse_policy::fail
                                             ? gmm::collapse_policy::fail
                                             : gmm::collapse_policy::reseed};
        }
        ++actions;
        __syncthreads();
    }
    return actions;
}

// Component policy, weights, bound and record; one block.
template <class T>
__global__ void __launch_bounds__(256) update_decide(const update_arguments<T> a) {
    extern __shared__ double shared[];
    __shared__ double scratch[32];
    __shared__ std::int64_t actions;
    const std::int64_t d = a.shape.dimensions, K = a.shape.components;
    const update_arrays& w = a.arrays;
    const bool tied = gmm::is_tied(a.shape.family);
    const std::int64_t rescued = tied ? 0 : rescue_singular(a, shared, scratch);
    if (threadIdx.x == 0) {
        std::int64_t written = rescued;
        if (tied && *w.common_floor)
            w.actions[written++] = {0, component_state::singular,
                                    a.rule.on_collapse == gmm::collapse_policy::fail ? gmm::collapse_policy::fail
                                                                                     : gmm::collapse_policy::reseed};
        const collapse_view view{a.shape,   w.states,      w.counts,           w.means,
                                 w.factors, w.widest_axes, w.widest_variances, w.reseeds};
        written += apply_collapse_policy(view, a.rule.on_collapse, a.rule.reseeds_each, w.actions + written);
        actions = written;
    }
    __syncthreads();
    double total = 0, change = 0;
    for (std::int64_t k = threadIdx.x; k < K; k += blockDim.x) {
        total += w.counts[k];
        change = ::fmax(change, w.changes[k]);
    }
    total = block_sum(total, scratch);
    change = block_reduce(change, scratch, larger());
    // Σ_k N_k [log α_k + Σ_i log U_ii − d/2 log 2π] − ½ Σ_k N_k tr(Λ_k (C_k − λ)), with the unrounded factors.
    double bound = 0;
    constexpr double half_log_2pi = 0.91893853320467274178;
    for (std::int64_t k = threadIdx.x; k < K; k += blockDim.x) {
        const double n = w.counts[k];
        w.log_weights[k] = ::log(n / total); // log 0 = −infinity: dropped
        if (n > 0 && actions == 0)
            bound += n * (w.log_weights[k] + w.log_determinants[tied ? 0 : k] - static_cast<double>(d) * half_log_2pi -
                          0.5 * w.quadratics[tied ? 0 : k]);
    }
    bound = block_sum(bound, scratch);
    if (threadIdx.x == 0) {
        update_record& r = *w.record;
        const std::int64_t scalars = a.sums.count - scalar_count;
        r.log_likelihood = read_fixed(a.sums, scalars + scalar_log_likelihood, a.sums.scalar_exponent);
        r.entropy = read_fixed(a.sums, scalars + scalar_entropy, a.sums.scalar_exponent);
        const double log_factors = read_fixed(a.sums, scalars + scalar_log_factors, a.sums.scalar_exponent);
        r.elbo_after = actions > 0 ? r.log_likelihood : bound + log_factors + r.entropy;
        r.parameter_change = change;
        r.actions = actions;
    }
}

} // namespace

template <class T>
void update_parameters(const internal::cuda_state& state, const gmm_shape& shape, const device_sums& sums,
                       const device_rule& rule, const update_arrays& arrays, const device_model<T>& current,
                       const device_model<T>& next) {
    const update_arguments<T> a{shape, sums, rule, arrays, current};
    const std::int64_t d = shape.dimensions;
    const bool matrix = geometry(shape.family).matrix();
    const std::int64_t bytes = matrix ? factor_shared_bytes(d) : 0;
    const int threads = factor_threads(d);
    launch(state, "update_components", {shape.components, threads, bytes}, update_components<T>, a);
    if (gmm::is_tied(shape.family)) {
        launch(state, "between_components", {d, 128}, between_components<T>, a);
        launch(state, "update_common", {1, threads, bytes}, update_common<T>, a);
    }
    launch(state, "update_decide", {1, threads, bytes}, update_decide<T>, a);
    write_model(state, shape, arrays, next);
}

template void update_parameters(const internal::cuda_state&, const gmm_shape&, const device_sums&, const device_rule&,
                                const update_arrays&, const device_model<float>&, const device_model<float>&);
template void update_parameters(const internal::cuda_state&, const gmm_shape&, const device_sums&, const device_rule&,
                                const update_arrays&, const device_model<double>&, const device_model<double>&);

} // namespace elbo::kernels::cuda
