// Engine for full covariances on the tensor cores of compute capability 9.0: log-densities from products of fp16
// pieces, row rule, moments from the log-densities of a few units that stay in L2. Float32 rows. What decides bits
// depends on (d, K) only.
#pragma once

#include "kernels/cuda/core/device_buffer.hpp"
#include "kernels/cuda/gmm/device_views.hpp"

#include <vector_types.h>

#include <cstdint>

namespace elbo::kernels::cuda {

/// Whether this library is built for 90a.
bool tensor_built();
/// Whether it is, and the device is one of compute capability 9.0.
bool tensor_supported(const internal::cuda_state& state);

/// What more than 128 dimensions need beside, see wide_layout.hpp; pieces are operands of products.
struct wide_view {
    unsigned char* rows;    ///< [slab rows / 128][stages of d] pieces of x
    float* row_scales;      ///< [slab rows] inverse power of two
    float* shifts;          ///< [K x 128 panels] b_k times the power of U_k
    float2* factor_powers;  ///< [K] power of two of U_k and its inverse
    int* exponents;         ///< [K x units of a slab] of z
    int* counts;            ///< [K x units of a slab] active rows
    std::uint16_t* chosen;  ///< [K x slab rows] these, in the unit, up to the end of a stage
    unsigned char* moments; ///< [pairs][panels][unit rows / 64] pieces of z
};

/// Its device memory; none for shapes that it does not run.
struct tensor_view {
    unsigned char* panels; ///< [panels][panel bytes], see layout.hpp and wide_layout.hpp
    float* mean_sizes;     ///< [K] log2 max_j |μ_kj|
    float* sizes;          ///< [slab rows] max |x_i|
    float* weights;        ///< [slab rows x 4] row_weights
    wide_view wide;
};

/// What the screen knows of a slab: whether it is screened in this E-step, the panels that its tiles visit, and for how
/// many E-steps it rests, left and in all.
struct slab_screen {
    int screened, visited, left, pause;
};

struct component_bounds; // separations.cuh

/// What training keeps of its rows to screen their components, docs/kernels.md section 2; none where that does not pay.
struct home_view {
    std::uint16_t* homes;     ///< [rows] component of the largest log-density in the last E-step, no_home where unknown
    std::uint16_t* order;     ///< [rows] those of each slab, by home
    int* counts;              ///< [tiles] panels that a tile visits; all: there is no list
    std::uint16_t* lists;     ///< [tiles x panels / 2] these, ascending
    slab_screen* slabs;       ///< [slabs]
    float* separations;       ///< [K x K] ‖U_kᵀ (μ_a − μ_k)‖, row a
    component_bounds* bounds; ///< [K]

    /// That of the rows from `first` on; the rest is scratch of one E-step at a time.
    home_view from(std::int64_t first) const {
        home_view v = *this;
        v.homes = homes ? homes + first : nullptr;
        return v;
    }
};
inline constexpr std::uint16_t no_home = 0xffff;

class row_homes {
public:
    row_homes() = default;
    /// Empty where no screen suits the shape; no homes are known.
    row_homes(const state_pointer& state, const gmm_shape& shape, std::int64_t rows);
    static std::int64_t bytes(const gmm_shape& shape, std::int64_t rows);
    const home_view& view() const { return view_; }
    /// Other rows take the place of these.
    void forget(std::int64_t first, std::int64_t rows) const;

private:
    device_buffer<unsigned char> memory_;
    state_pointer state_;
    home_view view_{};
};

class tensor_memory {
public:
    tensor_memory() = default;
    tensor_memory(const state_pointer& state, const gmm_shape& shape);
    static std::int64_t bytes(const gmm_shape& shape);
    explicit operator bool() const { return view_.panels; }
    const tensor_view& view() const { return view_; }

private:
    device_buffer<unsigned char> memory_;
    tensor_view view_{};
};

/// The parameters as tensor_densities() reads them.
void write_tensor_panels(const internal::cuda_state& state, const gmm_shape& shape, const device_model<float>& model,
                         const tensor_view& memory);

/// Log-densities [K x slab rows] of at most a slab of rows, with what is known of the rows, in units of ln 2 less the
/// reference. `blocks` is the grid and does not change the result.
void tensor_densities(const internal::cuda_state& state, const gmm_shape& shape, const device_model<float>& model,
                      const device_rows<float>& rows, const tensor_view& memory, float* densities, std::int64_t blocks);

/// Row rule of these for inference: the results go to device memory.
void tensor_posteriors(const internal::cuda_state& state, const gmm_shape& shape, const device_model<float>& model,
                       std::int64_t rows, const float* densities, const inference_results& to);

/// E-step and sums over the rows. `densities` has room for K numbers of each row of a slab. `homes` and the grid of the
/// log-densities, `blocks`, do not change the result.
void accumulate_tensor(const internal::cuda_state& state, const gmm_shape& shape, const device_model<float>& model,
                       const device_rows<float>& rows, const tensor_view& memory, const home_view& homes,
                       float* densities, const device_sums& sums, std::int64_t blocks);

} // namespace elbo::kernels::cuda
