// The M'-step of generalised EM: ascent steps on Q(θ) in the unconstrained parameters instead of its maximum.
#pragma once

#include "elbo/gmm/fit.hpp"
#include "host/gmm/infer/expected_log_joint.hpp"
#include "kernels/contract/gmm_engine.hpp"
#include "kernels/math/collapse.hpp"

#include <cstdint>
#include <vector>

namespace elbo::gmm {

/// Runs on the host, in float64, from the sums that the engine has after an E-step.
class gradient_m_step {
public:
    /// `engine` and `rule` must outlive it. Begins with options.rate.
    gradient_m_step(kernels::gmm_engine& engine, const kernels::update_rule& rule, const gradient_steps& options);

    /// As gmm_engine::update. Throws elbo::error where a step left the finite numbers, which one with backtracking
    /// never does.
    kernels::update_outcome update();
    /// As gmm_engine::adopt.
    void adopt();
    /// What it keeps between iterations.
    template <class State>
    void describe(State& s) {
        s.numbers("rate", rate_);
        s.list("reseeds", reseeds_);
    }

private:
    void ascend(const expected_log_joint& q);
    bool step_back_until_it_rises(const expected_log_joint& q, double objective, const parameter_gradient& gradient);
    kernels::gmm_parameters moved(const parameter_gradient& gradient, double rate) const;
    bool is_singular(std::int64_t k) const;
    std::vector<kernels::component_state> states(const expected_log_joint& q) const;
    void keep_factors(const kernels::gmm_parameters& current, std::vector<kernels::component_state>& state,
                      std::vector<event>& events);
    void follow_policy(std::vector<kernels::component_state>& state, std::vector<event>& events);

    kernels::gmm_engine& engine_;
    const kernels::update_rule& rule_;
    const gradient_steps& options_;
    double rate_; ///< η of the next step
    kernels::gmm_parameters next_;
    std::vector<std::int32_t> reseeds_;
};

} // namespace elbo::gmm
