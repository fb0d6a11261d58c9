// Longer steps for the noise variances.
//
// Where a noise variance goes to 0 (a Heywood case), EM lowers it like 1 / t: the fit would never converge. SQUAREM (R.
// Varadhan and C. Roland, "Simple and globally convergent methods for accelerating the convergence of any EM
// algorithm", Scandinavian Journal of Statistics 35, 2008, step length S3) on the logarithms of the variances makes
// that geometric. Only they are extrapolated: the loadings turn from step to step, and follow the noise within one.
#pragma once

#include <optional>
#include <vector>

namespace elbo::latent {

class noise_accelerator {
public:
    /// Takes the variances before the first of a row of EM steps.
    void restart(const std::vector<double>& noise);
    /// Takes the variances after an EM step. After every second step: those to try instead, at least `floor` [d]
    /// (repeated for every component); else nothing.
    std::optional<std::vector<double>> propose(const std::vector<double>& noise, const std::vector<double>& floor);
    /// Whether what was proposed was taken: the steps become longer or shorter.
    void judge(bool taken);

    /// What it keeps, for `count` variances (host/io/model/fit_state.hpp).
    template <class State>
    void describe(State& s, std::size_t count) {
        s.list("noise_before", before_ = before_.empty() ? std::vector<double>(count) : std::move(before_));
        s.list_or_none("noise_between", first_, count);
        s.numbers("noise_steps", longest_, at_bound_);
    }

private:
    std::vector<double> before_, first_; ///< logarithms before two steps and between them
    double longest_ = 4;                 ///< bound on −α
    bool at_bound_ = false;
};

} // namespace elbo::latent
