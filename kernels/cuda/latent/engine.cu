// Models with a Gaussian posterior (latent_engine.hpp) in the CUDA back end, float64: slabs of rows whose projections
// c = Wᵀδ and responsibilities fit in a bounded scratch memory, the posterior over components, and the statistics. Sums
// over rows run within a chunk in an order that depends on the position in the chunk alone; chunks divide units.
#include "kernels/contract/latent_engine.hpp"

#include "kernels/cuda/gmm/e_step/sums.cuh"
#include "kernels/cuda/latent/row_engine.cuh"

#include <algorithm>

namespace elbo::kernels::cuda {

namespace {

constexpr int latent_threads = 256;
constexpr int latent_tile_rows = 64; ///< rows of a block of project_rows
constexpr int latent_columns = 16;   ///< columns of W that a block takes
constexpr int latent_depth = 32;     ///< dimensions staged at a time; also those of a block of add_statistics
constexpr int latent_chunk = 1024;   ///< rows of one partial of the statistics
static_assert(unit_rows % latent_chunk == 0 && latent_chunk % latent_threads == 0);
static_assert(latent_threads == 4 * latent_tile_rows && latent_columns == 16 && latent_depth == 32);

/// Some rows, the parameters, and the memory of a slab of `capacity` rows.
struct latent_slab {
    latent_shape shape;
    const double* x;           ///< [rows x d] normalised
    const double* weights;     ///< [rows], null for all 1
    const double* offsets;     ///< [K]
    const double* means;       ///< [K x d]
    const double* precisions;  ///< [K x d]
    const double* projections; ///< [K x d x L]
    double* projected;         ///< c: [K][capacity x L]
    double* joint;             ///< [K][capacity]: Σ δ²/ψ, then r or w r
    double* log_density;       ///< [capacity]
    std::int64_t rows, capacity;
};

/// Row tile, component and tile of columns of a block; the row tile varies fastest.
struct latent_task {
    std::int64_t tile, component, second;
};
__device__ inline latent_task task_of(std::int64_t block, std::int64_t tiles, std::int64_t seconds) {
    return {block % tiles, block / tiles / seconds, block / tiles % seconds};
}

/// Stages δ = x − μ_k of `count` rows from `begin` and dimensions j0 ... j0 + 31; zero outside of both.
__device__ inline void stage_differences(const latent_slab& s, std::int64_t k, std::int64_t begin, int count,
                                         std::int64_t j0, double (*delta)[latent_depth + 1]) {
    const std::int64_t d = s.shape.dimensions;
    for (int i = static_cast<int>(threadIdx.x); i < count * latent_depth; i += latent_threads) {
        const std::int64_t n = begin + i / latent_depth, j = j0 + i % latent_depth;
        delta[i / latent_depth][i % latent_depth] = n < s.rows && j < d ? s.x[n * d + j] - s.means[k * d + j] : 0;
    }
}

/// c = Wᵀδ and Σ_j δ_j² / ψ_j of 64 rows: four threads a row, with four columns each. Of a row and component d (2 L +
/// 4) float64 operations; rows are read once for each component and 16 columns (8 d bytes a row), of which all but the
/// first may come from the cache. Predicted for an H200 and 1e6 x 64, K = 1, L = 16: 117 us, by bytes (4.39 TB/s).
__global__ void __launch_bounds__(latent_threads)
    project_rows(const latent_slab s, std::int64_t row_tiles, std::int64_t column_tiles) {
    __shared__ double delta[latent_tile_rows][latent_depth + 1], w[latent_depth][latent_columns];
    __shared__ double precisions[latent_depth];
    const std::int64_t d = s.shape.dimensions, L = s.shape.latent;
    const latent_task task = task_of(blockIdx.x, row_tiles, column_tiles);
    const std::int64_t k = task.component, begin = task.tile * latent_tile_rows, l0 = task.second * latent_columns;
    const int thread = static_cast<int>(threadIdx.x), row = thread / 4, part = thread % 4;
    double c[4] = {}, square = 0;
    for (std::int64_t j0 = 0; j0 < d; j0 += latent_depth) {
        __syncthreads(); // the last dimensions have been used
        stage_differences(s, k, begin, latent_tile_rows, j0, delta);
        for (int i = thread; i < latent_depth * latent_columns; i += latent_threads) {
            const std::int64_t j = j0 + i / latent_columns, l = l0 + i % latent_columns;
            w[i / latent_columns][i % latent_columns] = j < d && l < L ? s.projections[(k * d + j) * L + l] : 0;
        }
        if (thread < latent_depth)
            precisions[thread] = j0 + thread < d ? s.precisions[k * d + j0 + thread] : 0;
        __syncthreads();
        for (int j = 0; j < latent_depth; ++j)
#pragma unroll
            for (int l = 0; l < 4; ++l)
                c[l] = fma(delta[row][j], w[j][4 * part + l], c[l]);
        for (int i = 0; i < latent_depth / 4; ++i) {
            const int j = i / 4 * 16 + 4 * part + i % 4; // four rows and parts read from sixteen banks
            square = fma(delta[row][j] * delta[row][j], precisions[j], square);
        }
    }
    square += __shfl_xor_sync(0xffffffffu, square, 1);
    square += __shfl_xor_sync(0xffffffffu, square, 2);
    const std::int64_t n = begin + row;
    if (n >= s.rows)
        return;
    for (int l = 0; l < 4; ++l)
        if (l0 + 4 * part + l < L)
            s.projected[(k * s.capacity + n) * L + l0 + 4 * part + l] = c[l];
    if (part == 0 && task.second == 0)
        s.joint[k * s.capacity + n] = square;
}

/// log p(x̃, k) in place of the distances; the largest.
__device__ inline double find_log_joint(const latent_slab& s, std::int64_t n) {
    const std::int64_t L = s.shape.latent;
    double largest = 0;
    for (std::int64_t k = 0; k < s.shape.components; ++k) {
        const double* const c = s.projected + (k * s.capacity + n) * L;
        double square = s.joint[k * s.capacity + n];
        for (std::int64_t l = 0; l < L; ++l)
            square = fma(-c[l], c[l], square);
        const double joint = s.offsets[k] - square / 2;
        s.joint[k * s.capacity + n] = joint;
        largest = k == 0 ? joint : fmax(largest, joint);
    }
    return largest;
}

/// log p(x̃) and r_nk of a slab; for sums r is multiplied by the weight and the scalars are added (limbs not null).
__global__ void __launch_bounds__(latent_threads)
    find_posteriors(const latent_slab s, std::int64_t* limbs, int scalar_exponent) {
    __shared__ double scratch[32];
    const std::int64_t n = blockIdx.x * std::int64_t(latent_threads) + threadIdx.x;
    double scalars[scalar_count] = {};
    if (n < s.rows) {
        const double largest = find_log_joint(s, n), w = s.weights ? s.weights[n] : 1;
        double sum = 0, entropy = 0;
        for (std::int64_t k = 0; k < s.shape.components; ++k)
            sum += exp(s.joint[k * s.capacity + n] - largest);
        const double lse = largest + log(sum);
        for (std::int64_t k = 0; k < s.shape.components; ++k) {
            double& joint = s.joint[k * s.capacity + n];
            const double r = exp(joint - lse);
            if (r > 0)
                entropy -= r * (joint - lse);
            joint = limbs ? w * r : r;
        }
        s.log_density[n] = lse;
        scalars[scalar_log_likelihood] = w * lse;
        scalars[scalar_entropy] = w * entropy;
        scalars[scalar_weight] = w;
    }
    if (!limbs)
        return;
    const std::int64_t count = sum_count(s.shape);
    for (int i = 0; i < scalar_count; ++i) {
        const double sum = block_sum(scalars[i], scratch);
        if (threadIdx.x == 0)
            add_fixed(limbs, count, count - scalar_count + i, sum, scalar_exponent);
    }
}

/// Σ w r, Σ w r δ, Σ w r δ² and Σ w r δ cᵀ of a chunk of rows, 32 dimensions and 16 columns: eight threads a dimension,
/// with two columns each. Of a row and component d (2 L + 6) + d L/32 float64 operations, 8 (d + L + 1) bytes.
/// Predicted for an H200 and 1e6 x 64, K = 1, L = 16: 148 us, by bytes.
__global__ void __launch_bounds__(latent_threads)
    add_statistics(const latent_slab s, std::int64_t chunks, std::int64_t dimension_tiles, std::int64_t column_tiles,
                   std::int64_t* limbs, int exponent) {
    __shared__ double delta[32][latent_depth + 1], wrc[32][latent_columns + 1], wr[32];
    const std::int64_t d = s.shape.dimensions, L = s.shape.latent, count = sum_count(s.shape);
    const latent_task task = task_of(blockIdx.x, chunks, dimension_tiles * column_tiles);
    const std::int64_t k = task.component, chunk = task.tile * latent_chunk;
    const std::int64_t j0 = task.second / column_tiles * latent_depth, l0 = task.second % column_tiles * latent_columns;
    const std::int64_t end = min(chunk + latent_chunk, s.rows);
    const int thread = static_cast<int>(threadIdx.x), j = thread / 8, part = thread % 8;
    double product[2] = {}, weight = 0, first = 0, second = 0;
    for (std::int64_t begin = chunk; begin < end; begin += 32) {
        __syncthreads(); // the last rows have been used
        stage_differences(s, k, begin, 32, j0, delta);
        if (thread < 32)
            wr[thread] = begin + thread < end ? s.joint[k * s.capacity + begin + thread] : 0;
        __syncthreads();
        for (int i = thread; i < 32 * latent_columns; i += latent_threads) {
            const int n = i / latent_columns;
            const std::int64_t l = l0 + i % latent_columns;
            wrc[n][i % latent_columns] =
                begin + n < end && l < L ? wr[n] * s.projected[(k * s.capacity + begin + n) * L + l] : 0;
        }
        __syncthreads();
        for (int n = 0; n < 32; ++n)
#pragma unroll
            for (int l = 0; l < 2; ++l)
                product[l] = fma(delta[n][j], wrc[n][2 * part + l], product[l]);
        for (int n = part; n < 32; n += 8) {
            const double weighted = wr[n] * delta[n][j];
            weight += wr[n];
            first += weighted;
            second = fma(weighted, delta[n][j], second);
        }
    }
    for (int distance = 4; distance > 0; distance /= 2) {
        weight += __shfl_xor_sync(0xffffffffu, weight, distance);
        first += __shfl_xor_sync(0xffffffffu, first, distance);
        second += __shfl_xor_sync(0xffffffffu, second, distance);
    }
    if (j0 + j >= d)
        return;
    const std::int64_t at = k * latent_statistics_size(s.shape);
    for (int l = 0; l < 2; ++l)
        if (l0 + 2 * part + l < L)
            add_fixed(limbs, count, at + latent_products(s.shape) + (j0 + j) * L + l0 + 2 * part + l, product[l],
                      exponent);
    if (part != 0 || l0 != 0)
        return;
    add_fixed(limbs, count, at + latent_first_moments + j0 + j, first, exponent);
    add_fixed(limbs, count, at + latent_squares(s.shape) + j0 + j, second, exponent);
    if (j0 + j == 0)
        add_fixed(limbs, count, at, weight, exponent);
}

/// The results of a slab after find_posteriors: a thread for each row and component.
///   reads c and r [rows x K (L + 1)] and R [K x L x L]; writes r and E[z|x, k] = R⁻ᵀ c
__global__ void __launch_bounds__(latent_threads)
    write_posteriors(const latent_slab s, const double* factors, const row_results to, const far_row far) {
    const std::int64_t K = s.shape.components, L = s.shape.latent;
    const std::int64_t i = blockIdx.x * std::int64_t(latent_threads) + threadIdx.x, n = i / K, k = i % K;
    if (n >= s.rows)
        return;
    if (k == 0)
        far.note(n, s.log_density[n]);
    if (k == 0 && to.log_density.data)
        to.log_density.data[n * to.log_density.stride] = s.log_density[n] - to.shift;
    if (to.responsibilities.data)
        to.responsibilities.data[n * to.responsibilities.stride + k] = s.joint[k * s.capacity + n];
    if (!to.means.data)
        return;
    const double *const c = s.projected + (k * s.capacity + n) * L, *const r = factors + k * L * L;
    double* const z = to.means.data + n * to.means.stride + k * L;
    for (std::int64_t l = L - 1; l >= 0; --l) {
        double value = c[l];
        for (std::int64_t m = l + 1; m < L; ++m)
            value = fma(-r[m * L + l], z[m], value);
        z[l] = value / r[l * L + l];
    }
}

/// Σ_k r_k (μ_k + A_k E[z|x, k]): a thread for each number.
///   reads r, E[z|x, k] of the row and A, μ of the column; 2 K (L + 1) flop
__global__ void __launch_bounds__(latent_threads)
    reconstruct_rows(const latent_slab s, const double* loadings, const double* centres, const row_results to) {
    const std::int64_t d = s.shape.dimensions, L = s.shape.latent;
    const std::int64_t i = blockIdx.x * std::int64_t(latent_threads) + threadIdx.x, n = i / d, j = i % d;
    if (n >= s.rows)
        return;
    double sum = 0;
    for (std::int64_t k = 0; k < s.shape.components; ++k) {
        const double *const a = loadings + (k * d + j) * L, *const z = to.means.data + n * to.means.stride + k * L;
        double x = centres[k * d + j];
        for (std::int64_t l = 0; l < L; ++l)
            x = fma(a[l], z[l], x);
        sum = fma(s.joint[k * s.capacity + n], x, sum);
    }
    to.reconstruction.data[n * to.reconstruction.stride + j] = sum;
}

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

} // namespace elbo::kernels::cuda
