// Models of distances from a centre (radial_engine.hpp) in the CUDA back end. A block has a chunk of rows: distances by
// groups of neighbouring threads, then the law with one thread a row, then the sums of the columns. A chunk never
// crosses a unit, and its sums have an order that depends on d alone.
#include "kernels/contract/radial_engine.hpp"

#include "kernels/cuda/gmm/e_step/sums.cuh"
#include "kernels/cuda/latent/row_engine.cuh"

namespace elbo::kernels::cuda {

namespace {

constexpr int radial_chunk = 256; ///< rows of a block, and its threads
static_assert(unit_rows % radial_chunk == 0);

/// Normalised rows and the centre, in device memory.
struct radial_rows {
    const double* x;       ///< [rows x d]
    const double* weights; ///< [rows], null for all 1
    const double* centre;  ///< [d]
    std::int64_t rows, d;
};

/// Threads that share a row: neighbours, so that their reads are.
constexpr int radial_group(std::int64_t d) {
    int group = 1;
    while (group < 32 && group * 4 < d)
        group *= 2;
    return group;
}

/// ‖x − m‖ of the rows of the chunk that begins at row `begin`, into shared memory.
__device__ inline void find_distances(const radial_rows& s, std::int64_t begin, int group, double* distances) {
    const int lane = static_cast<int>(threadIdx.x) % group, step = radial_chunk / group;
    for (int i = static_cast<int>(threadIdx.x) / group; i < radial_chunk; i += step) {
        const double* const x = s.x + min(begin + i, s.rows - 1) * s.d; // every thread takes part in the shuffles
        double sum = 0;
        for (std::int64_t j = lane; j < s.d; j += group) {
            const double offset = x[j] - s.centre[j];
            sum = fma(offset, offset, sum);
        }
        for (int distance = group / 2; distance > 0; distance /= 2)
            sum += __shfl_xor_sync(0xffffffffu, sum, distance);
        if (lane == 0)
            distances[i] = sqrt(sum);
    }
    __syncthreads();
}

/// Σ_i a_vi y_ij over the rows i of the chunk, for all columns j and vectors v, into the sums. `scratch` is [chunk] for
/// each vector.
template <int vectors>
__device__ void add_columns(const radial_rows& s, std::int64_t begin, const double (*a)[radial_chunk],
                            double (*scratch)[radial_chunk], const device_sums& sums) {
    const int count = static_cast<int>(min(std::int64_t(radial_chunk), s.rows - begin));
    for (std::int64_t first = 0; first < s.d; first += radial_chunk) {
        const int columns = static_cast<int>(min(s.d - first, std::int64_t(radial_chunk)));
        const int sharers = radial_chunk / columns; // threads of one column
        const std::int64_t j = first + threadIdx.x % columns;
        double sum[vectors] = {};
        if (static_cast<int>(threadIdx.x) < sharers * columns)
            for (int i = static_cast<int>(threadIdx.x) / columns; i < count; i += sharers) {
                const double offset = s.x[(begin + i) * s.d + j] - s.centre[j];
#pragma unroll
                for (int v = 0; v < vectors; ++v)
                    sum[v] = fma(a[v][i], offset, sum[v]);
            }
        __syncthreads(); // the scratch of the last columns has been read
#pragma unroll
        for (int v = 0; v < vectors; ++v)
            scratch[v][threadIdx.x] = sum[v];
        __syncthreads();
        if (static_cast<int>(threadIdx.x) >= columns)
            continue;
#pragma unroll
        for (int v = 0; v < vectors; ++v) {
            for (int other = static_cast<int>(threadIdx.x) + columns; other < sharers * columns; other += columns)
                sum[v] += scratch[v][other];
            add_fixed(sums.limbs, sums.count, v * s.d + j, sum[v], sums.component_exponent);
        }
    }
}

/// The sums over rows. Reads them twice, the second time from L2. Predicted for an H200 and 1e6 x 100: 328 us, by bytes
/// (8 a number at 4.39 TB/s, then at 5.5); its 3 float64 operations a number are less than a tenth of that.
template <class Law>
__global__ void __launch_bounds__(radial_chunk)
    sum_radial_rows(const radial_rows s, const Law law, int group, const device_sums sums) {
    __shared__ double distances[radial_chunk], vectors[Law::vectors][radial_chunk];
    __shared__ double scratch[Law::vectors][radial_chunk];
    const std::int64_t begin = blockIdx.x * std::int64_t(radial_chunk), n = begin + threadIdx.x;
    find_distances(s, begin, group, distances);
    const double w = n >= s.rows ? 0 : s.weights ? s.weights[n] : 1;
    decltype(law(0)) row{};
    if (w > 0)
        row = law(distances[threadIdx.x]);
#pragma unroll
    for (int v = 0; v < Law::vectors; ++v)
        vectors[v][threadIdx.x] = w * row.vectors[v];
#pragma unroll
    for (int i = 0; i < Law::scalars; ++i) {
        const double sum = block_sum(w * row.scalars[i], scratch[0]);
        if (threadIdx.x == 0)
            add_fixed(sums.limbs, sums.count, Law::vectors * s.d + i, sum,
                      i < Law::scalars - Law::logs ? sums.component_exponent : sums.scalar_exponent);
    }
    add_columns<Law::vectors>(s, begin, vectors, scratch, sums);
}

/// The results of rows; those without their noise are place + reach · a_0 y.
///   reads the rows twice, the second time from L2; writes what is asked for: predicted as the sums, without outputs
template <class Law>
__global__ void __launch_bounds__(radial_chunk)
    infer_radial_rows(const radial_rows s, const Law law, int group, const double* place, double reach,
                      const row_results to, const far_row far) {
    __shared__ double distances[radial_chunk], direction[radial_chunk];
    const std::int64_t begin = blockIdx.x * std::int64_t(radial_chunk), n = begin + threadIdx.x;
    find_distances(s, begin, group, distances);
    if (n < s.rows) {
        const auto row = law(distances[threadIdx.x]);
        const double log_density = row.scalars[Law::log_density];
        far.note(n, log_density);
        // Rounded before the shift: without fma.
        if (to.log_density.data)
            to.log_density.data[n * to.log_density.stride] = __dadd_rn(log_density, -to.shift);
        if (to.responsibilities.data)
            to.responsibilities.data[n * to.responsibilities.stride] = 1;
        if (to.concentrations.data)
            to.concentrations.data[n * to.concentrations.stride] = row.concentration;
        direction[threadIdx.x] = row.vectors[0];
    }
    __syncthreads();
    if (!to.means.data && !to.reconstruction.data)
        return;
    const std::int64_t numbers = min(std::int64_t(radial_chunk), s.rows - begin) * s.d;
    for (std::int64_t i = threadIdx.x; i < numbers; i += radial_chunk) {
        const std::int64_t row = begin + i / s.d, j = i % s.d;
        const double mean = direction[i / s.d] * (s.x[begin * s.d + i] - s.centre[j]);
        if (to.means.data)
            to.means.data[row * to.means.stride + j] = mean;
        if (to.reconstruction.data)
            to.reconstruction.data[row * to.reconstruction.stride + j] = __dadd_rn(place[j], __dmul_rn(reach, mean));
    }
}

template <class Law>
class radial_pass {
public:
    radial_pass(const state_pointer& state, const radial_shape<Law>& s)
        : state_(state), d_(s.dimensions), centre_(state, "the centre", 2 * s.dimensions) {}

    static std::int64_t bytes(const radial_shape<Law>& s) { return 16 * s.dimensions; }

    void set(const radial_parameters<Law>& p) {
        law_ = p.law;
        reach_ = p.reach;
        copy_async(*state_, centre_.data(), p.centre.data(), d_);
        copy_async(*state_, centre_.data() + d_, p.place.data(), std::ssize(p.place));
    }

    static std::int64_t sum_rows() { return additions_between_carries * radial_chunk; }
    static std::int64_t partials(std::int64_t rows) { return blocks_for(rows, radial_chunk); }

    void add(const resident_slab& rows, const device_sums& sums) {
        launch(*state_, "sum_radial_rows", {blocks_for(rows.rows, radial_chunk), radial_chunk}, sum_radial_rows<Law>,
               view(rows), law_, radial_group(d_), sums);
    }

    void infer(const resident_slab& rows, const row_results& to, row_landings&, const far_row& far) {
        launch(*state_, "infer_radial_rows", {blocks_for(rows.rows, radial_chunk), radial_chunk},
               infer_radial_rows<Law>, view(rows), law_, radial_group(d_), centre_.data() + d_, reach_, to, far);
    }

private:
    radial_rows view(const resident_slab& r) const { return {r.x, r.weights, centre_.data(), r.rows, d_}; }

    state_pointer state_;
    std::int64_t d_;
    device_buffer<double> centre_; ///< of the frame, then the place in units of the data
    double reach_ = 0;
    Law law_{};
};

} // namespace

std::unique_ptr<sphere_engine> make_sphere(const context& ctx, std::int64_t dimensions) {
    return std::make_unique<cuda_row_engine<sphere_engine::parameters, radial_pass<sphere_law>>>(ctx.state().cuda,
                                                                                                 dimensions);
}

} // namespace elbo::kernels::cuda
