// x in [0, 1], a probability or a grey value; the decoder puts out logits.
#pragma once

#include "kernels/math/likelihood/traits.hpp"

#include <algorithm>

namespace elbo::kernels {

/// x ln σ(l) + (1 − x) ln σ(−l) of a logit l and x in [0, 1], and x − σ(l). Only e^-|l| is taken, which cannot
/// overflow; with l > 0 the linear part is (x − 1) l, which loses nothing where x is 1.
template <class Real>
ELBO_HD inline likelihood_term<scalar_math<Real>> bernoulli_term(Real x, Real logit) {
    const Real e = std::exp(-std::abs(logit));
    const Real linear = logit > 0 ? (x - Real(1)) * logit : x * logit;
    const Real probability = (logit > 0 ? Real(1) : e) / (Real(1) + e);
    return {linear - std::log1p(e), x - probability};
}

namespace likelihoods {

struct bernoulli : likelihood_base {
    static constexpr likelihood_facts facts{.values = "0 to 1", .means = "a number from 0 to 1"};

    template <class M>
    ELBO_HD static likelihood_term<M> term(const observed_number<M>& o) {
        return bernoulli_term(o.x, o.output);
    }
    template <class M>
    ELBO_HD static typename M::real mean(const observed_number<M>& o) {
        return M::logistic(o.output);
    }

    ELBO_HD static bool allows(double x) { return x >= 0 && x <= 1; }
    static bool allows_mean(double mean) { return allows(mean); }
    static double output_for_mean(double mean, const vae::likelihood&, double) {
        const double p = std::clamp(mean, smallest_probability, 1 - smallest_probability);
        return std::log(p / (1 - p));
    }
    static void draw(const row_noise& noise, const vae::likelihood&, std::span<const double>, std::span<float> x) {
        for (std::size_t j = 0; j < x.size(); ++j)
            x[j] = binarized(noise.word(static_cast<std::int64_t>(j)), x[j]) ? 1.0f : 0.0f;
    }
};

} // namespace likelihoods
} // namespace elbo::kernels
