// Models of distances from a centre (radial_engine.hpp) in the CUDA back end.
#include "kernels/cuda/latent/radial_kernels.cuh"
#include "kernels/cuda/latent/row_engine.cuh"

#include <algorithm>

namespace elbo::kernels {

namespace cuda {

namespace {

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

} // namespace cuda

} // namespace elbo::kernels
