// x real, the decoder puts out means; ln σ² is the likelihood's own parameter.
#pragma once

#include "kernels/math/likelihood/traits.hpp"

#include <algorithm>

namespace elbo::kernels {

inline constexpr double log_2pi = 1.83787706640934548356;

/// −½ (ln 2π + ln σ² + (x − mean)²/σ²) and (x − mean)/σ².
template <class Real>
ELBO_HD inline likelihood_term<scalar_math<Real>> gaussian_term(Real x, Real mean, Real log_variance,
                                                                Real inverse_variance) {
    const Real difference = x - mean;
    const Real scaled = difference * inverse_variance;
    return {Real(-0.5) * (Real(log_2pi) + log_variance + difference * scaled), scaled, difference * difference};
}

namespace likelihoods {

struct gaussian : likelihood_base {
    static constexpr likelihood_facts facts{
        .second = second_sum::squared_error, .own = "log_variance", .parameter = "sigma", .members = "scale sigma"};

    static vae::parameter_source source(const vae::likelihood& l) { return l.scale; }
    static double initial(const vae::likelihood& l) { return 2 * std::log(l.sigma); }
    static double natural(double log_variance) { return std::exp(0.5 * log_variance); }
    template <class Real>
    ELBO_HD static Real prepare(Real log_variance) {
        return std::exp(-log_variance);
    }
    static double constant(double log_variance) { return -0.5 * (log_2pi + log_variance); }
    template <class M>
    ELBO_HD static typename M::real own_gradient(const likelihood_term<M>& term, typename M::real inverse_variance) {
        using c = typename M::scalar;
        return c(0.5) * (term.second * inverse_variance - c(1));
    }

    template <class M>
    ELBO_HD static likelihood_term<M> term(const observed_number<M>& o) {
        return gaussian_term(o.x, o.output, o.own, o.prepared);
    }
    template <class M>
    ELBO_HD static typename M::real mean(const observed_number<M>& o) {
        return o.output;
    }

    static double output_for_mean(double mean, const vae::likelihood&, double) { return mean; }
    /// sigma: [1] or one a column.
    static void draw(const row_noise& noise, const vae::likelihood&, std::span<const double> sigma,
                     std::span<float> x) {
        for (std::size_t j = 0; j < x.size(); j += 4) {
            float four[4];
            four_normals(noise.words(static_cast<std::int64_t>(j / 4)), four);
            for (std::size_t i = j; i < std::min(j + 4, x.size()); ++i)
                x[i] += static_cast<float>(sigma.size() == 1 ? sigma[0] : sigma[i]) * four[i - j];
        }
    }
};

} // namespace likelihoods
} // namespace elbo::kernels
