// Priors and options for the tests of maximum a posteriori.
#pragma once

#include "elbo/gmm/fit.hpp"

#include <gtest/gtest.h>

#include <vector>

namespace elbo::gmm {

inline bool has_matrix(family f) {
    return f == family::full || f == family::tied;
}
inline bool is_spherical(family f) {
    return f == family::spherical || f == family::tied_spherical;
}

/// A prior of two columns with everything given.
inline parameter_prior given(family f) {
    parameter_prior p;
    p.concentration = 1.7;
    p.mean = {0.25, 0.5};
    p.mean_precision = 0.4;
    p.degrees_of_freedom = 5.5;
    p.scale = has_matrix(f)     ? std::vector<double>{1.2, 0.3, 0.3, 2}
              : is_spherical(f) ? std::vector<double>{1.2}
                                : std::vector<double>{1.2, 2};
    return p;
}

inline fit_options map_options(family f, std::int64_t components, const parameter_prior& prior) {
    fit_options o;
    o.components = components;
    o.shape = f;
    o.relative_regularization = 0;
    o.prior = prior;
    return o;
}

/// log p(θ_t) of data and parameters ≤ J + log p(θ) after the M-step ≤ that of the next iteration, to 1e-7 a sample:
/// the float32 noise of sums of log-densities of size 1.
inline void expect_chain(const fit_result& r) {
    EXPECT_TRUE(r.events.empty());
    for (std::size_t t = 0; t < r.trace.size(); ++t) {
        const iteration_record& now = r.trace[t];
        const double after = now.elbo_after_m_step + now.log_prior_after;
        EXPECT_LE(now.log_likelihood + now.log_prior, after + 1e-7) << "iteration " << t;
        if (t + 1 < r.trace.size()) {
            EXPECT_LE(after, r.trace[t + 1].log_likelihood + r.trace[t + 1].log_prior + 1e-7) << "iteration " << t;
        }
    }
}

} // namespace elbo::gmm
