// The M-step on the host, from sums in float64.
#pragma once

#include "elbo/gmm/fit.hpp"
#include "elbo/gmm/statistics.hpp"
#include "kernels/contract/gmm_engine.hpp"

#include <cstdint>
#include <vector>

namespace elbo::gmm {

/// Sums (gmm_layout.hpp) under some parameters, in their frame.
struct plain_sums {
    kernels::gmm_shape shape;
    kernels::frame frame;
    kernels::gmm_parameters under;
    std::vector<double> values;  ///< [sum_count], with Σ_k N_k = Σ w
    std::vector<double> scatter; ///< of tied families, layout of update_rule::scatter
    model made_under;            ///< whose regularisation the M-step goes on with

    double weight() const; ///< Σ w
};
plain_sums plain(const statistics& s);

/// What the M-step made of the sums; the parameters are in their frame.
struct m_step_result {
    kernels::gmm_parameters next;
    kernels::update_outcome outcome;
    std::vector<double> lambda; ///< that was added, in the frame
};
/// Uses the options regularization, relative_regularization, on_collapse and prior. `reseeds` [k] counts how often each
/// component was re-seeded. Throws elbo::error where the policy is `fail` and a component collapses, naming the
/// `iteration`.
m_step_result m_step(const plain_sums& s, const fit_options& options, std::vector<std::int32_t>& reseeds,
                     std::int64_t iteration);

/// The model that it made, with the regularisation where that under which the sums were made keeps one.
model made_model(const plain_sums& s, const m_step_result& made);

} // namespace elbo::gmm
