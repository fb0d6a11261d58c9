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
        : state_(state), d_(s.dimensions), centre_(state, "the centre", s.dimensions) {}

    static std::int64_t bytes(const radial_shape<Law>& s) { return 8 * s.dimensions; }

    void set(const radial_parameters<Law>& p) {
        law_ = p.law;
        copy_async(*state_, centre_.data(), p.centre.data(), d_);
    }

    static std::int64_t sum_rows() { return additions_between_carries * radial_chunk; }
    static std::int64_t partials(std::int64_t rows) { return blocks_for(rows, radial_chunk); }

    void add(const resident_slab& rows, const device_sums& sums) {
        launch(*state_, "sum_radial_rows", {blocks_for(rows.rows, radial_chunk), radial_chunk}, sum_radial_rows<Law>,
               view(rows), law_, radial_group(d_), sums);
    }

    void infer(const resident_slab& rows, std::int64_t at, const radial_results& to) {
        const std::int64_t numbers = rows.rows * (to.means ? 2 + d_ : 2);
        if (results_.size() < numbers) {
            results_ = {}; // first give back, then ask
            results_ = device_buffer<double>(state_, "the results of rows", numbers);
        }
        double *const densities = results_.data(), *const concentrations = densities + rows.rows,
                      *const means = to.means ? concentrations + rows.rows : nullptr;
        launch(*state_, "infer_radial_rows", {blocks_for(rows.rows, radial_chunk), radial_chunk},
               infer_radial_rows<Law>, view(rows), law_, radial_group(d_), densities, concentrations, means);
        if (to.log_density)
            copy_async(*state_, to.log_density + at, densities, rows.rows);
        if (to.concentrations)
            copy_async(*state_, to.concentrations + at, concentrations, rows.rows);
        if (to.means)
            copy_async(*state_, to.means + at * d_, means, rows.rows * d_);
    }

private:
    radial_rows view(const resident_slab& r) const { return {r.x, r.weights, centre_.data(), r.rows, d_}; }

    state_pointer state_;
    std::int64_t d_;
    device_buffer<double> centre_;
    device_buffer<double> results_; ///< of a slab, once there are any: log-densities, concentrations, means
    Law law_{};
};

} // namespace

std::unique_ptr<sphere_engine> make_sphere(const context& ctx, std::int64_t dimensions) {
    return std::make_unique<cuda_row_engine<sphere_engine::parameters, radial_pass<sphere_law>>>(ctx.state().cuda,
                                                                                                 dimensions);
}

} // namespace cuda

} // namespace elbo::kernels
