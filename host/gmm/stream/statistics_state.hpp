// What a statistics object holds, and the M-step on the host from such sums, in float64.
#pragma once

#include "elbo/gmm/fit.hpp"
#include "elbo/gmm/statistics.hpp"
#include "kernels/contract/gmm_engine.hpp"

#include <cstdint>
#include <vector>

namespace elbo::gmm {

namespace internal {

struct statistics_state {
    gmm::model under;
    kernels::frame frame;
    kernels::gmm_shape shape;
    kernels::fixed_sums sums;    ///< limbs, carried
    kernels::fixed_sums scatter; ///< tied families
    std::int64_t samples = 0;

    /// One of the scalars behind the components.
    double scalar(kernels::sum_scalar which) const {
        return sums.value(kernels::sum_count(shape) - kernels::scalar_count + which);
    }
};

} // namespace internal

/// Sums (gmm_layout.hpp) under some parameters, in their frame.
struct plain_sums {
    kernels::gmm_shape shape;
    kernels::frame frame;
    kernels::gmm_parameters under;
    std::vector<double> values;  ///< [sum_count], with Σ_k N_k = Σ w
    std::vector<double> scatter; ///< of tied families, layout of update_rule::scatter
    model made_under;            ///< whose regularisation the M-step goes on with

    /// Σ w
    double weight() const { return values[values.size() - kernels::scalar_count + kernels::scalar_weight]; }
};
plain_sums plain(const statistics& s);

/// What the M-step made of the sums.
struct m_step_result {
    gmm::model model;             ///< with the regularisation where that under which the sums were made keeps one
    kernels::gmm_parameters next; ///< in the frame of the sums
    std::vector<event> events;
};
/// Uses the options regularization, relative_regularization, on_collapse and prior. `reseeds` [k] counts how often each
/// component was re-seeded. Throws elbo::error where the policy is `fail` and a component collapses, naming the
/// `iteration`.
m_step_result m_step(const plain_sums& s, const fit_options& options, std::vector<std::int32_t>& reseeds,
                     std::int64_t iteration);

} // namespace elbo::gmm
