// The M-step on the host: float64, parallel over components, no memory taken once it has run. With a prior it is that
// of the samples and of those that the prior stands for.
#pragma once

#include "kernels/contract/gmm_engine.hpp"
#include "kernels/math/collapse.hpp"
#include "kernels/shared/gmm_prior.hpp"

#include <span>
#include <vector>

namespace elbo::kernels {

class m_step {
public:
    m_step(const gmm_shape& shape, int threads);

    /// How often each component has been re-seeded, [K].
    std::vector<std::int32_t>& reseeds() { return reseeds_; }
    /// The next parameters from the sums [sum_count] made under `current`.
    update_outcome run(const gmm_parameters& current, std::span<const double> sums, const update_rule& rule,
                       gmm_parameters& next);

    static std::int64_t bytes(const gmm_shape& shape, int threads);

private:
    /// What one component contributes to the outcome.
    struct component_result {
        double change = 0;    ///< max |δ|
        double quadratic = 0; ///< (N + samples of the prior) tr(Λ (C − λ))
    };

    const double* statistics(std::int64_t k) const { return sums_.data() + k * size_; }
    double* scratch(int thread) { return scratch_.data() + thread * numbers_; }
    bool healthy(std::int64_t k) const { return state_[k] == component_state::healthy; }

    void take_sums(const gmm_parameters& current, std::span<const double> sums);
    void update_component(std::int64_t k, const gmm_parameters& current, gmm_parameters& next, double* c);
    void covariance(std::int64_t k, double* c) const;
    void common_covariance(const gmm_parameters& next, double* c) const;
    bool factor(double* c, double* u) const;
    void factor_with_floor(const double* c, double* work, double* u) const;
    void note_widest(std::int64_t k, const double* c);
    double quadratic_trace(const double* c, const double* u) const;
    void update_common(gmm_parameters& next, update_outcome& outcome);
    void rescue_singular(gmm_parameters& next, update_outcome& outcome);
    void apply_policy(gmm_parameters& next, update_outcome& outcome);
    double expected_log_likelihood(const gmm_parameters& next, double prior_quadratic) const;
    void finish(const gmm_parameters& current, const gmm_parameters& next, update_outcome& outcome) const;

    const gmm_shape shape_;
    const int threads_;
    const std::int64_t d_, K_, size_;
    const gmm::family_geometry geometry_;
    const std::int64_t numbers_;             ///< of one covariance: d², d or 1
    std::span<const double> sums_, scatter_; ///< those of the prior included
    const update_rule* rule_ = nullptr;
    double weight_count_ = 0, mean_count_ = 0, covariance_count_ = 0; ///< of the prior; 0 without one
    std::vector<double> sums_with_prior_, scatter_with_prior_;
    double mean_lambda_ = 0, quadratic_ = 0;
    std::vector<component_state> state_;
    std::vector<component_result> results_;
    std::vector<collapse_action> actions_;
    std::vector<double> counts_, widest_variance_, scratch_;
    std::vector<std::int64_t> widest_axis_;
    std::vector<std::int32_t> reseeds_;
};

} // namespace elbo::kernels
