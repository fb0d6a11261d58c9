// A model with continuous latent variables ready to be asked many times.
#pragma once

#include "elbo/context.hpp"
#include "elbo/latent/factors.hpp"
#include "elbo/latent/sphere.hpp"
#include "elbo/matrix_view.hpp"

#include <cstdint>
#include <memory>

namespace elbo::latent {

/// Made once from a model, it owns an engine with the parameters and memory that grows to the largest call; later calls
/// of up to as many rows allocate nothing. The results are those of log_density, posterior and reconstruct, to the bit.
/// One thread at a time; several scorers may be used at once, as contexts may.
class scorer {
public:
    /// Where results go; views without data are left out. Any stride; in device memory only with a CUDA context.
    struct results {
        matrix_view<double> log_density = {};      ///< [n x 1]
        matrix_view<double> responsibilities = {}; ///< [n x K] p(k | x) of factor models; [n x 1] of 1 for a sphere
        matrix_view<double> means = {};            ///< [n x K L] E[z | x, k]; for a sphere [n x d] E[u | x]
        matrix_view<double> concentrations = {};   ///< [n x 1] κ; spheres alone
        matrix_view<double> reconstruction = {};   ///< [n x d] the rows without their noise
    };

    /// Throw out_of_memory, not_available, cuda_error, and error where noise is too small beside loadings for float64.
    scorer(const context& ctx, const factor_model& m);
    scorer(const context& ctx, const sphere_model& m);
    scorer(scorer&& other) noexcept;
    scorer& operator=(scorer&& other) noexcept;
    ~scorer();

    /// For the rows of x [n x d], in host or device memory: the results, which are there when this returns. Of a cuda
    /// context all work is in the order of its stream, and what goes to device memory does not pass through the host.
    /// Throws invalid_argument (shapes, memory out of reach, NaN or infinity: row, column) before anything is written,
    /// and for a row so far from the model that its log-density is no finite number (results may then have been
    /// written); out_of_memory, cuda_error.
    void infer(const any_matrix_view& x, const results& to);
    /// Rows first ... of what sample() draws with this seed, [n x d]. Throws invalid_argument (shape, first < 0).
    void sample(std::int64_t first, std::uint64_t seed, matrix_view<double> x);

private:
    struct state;
    std::unique_ptr<state> state_;
};

} // namespace elbo::latent
