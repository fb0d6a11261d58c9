// Counts whose variance is their mean.
#pragma once

#include "kernels/math/likelihood/counts.hpp"

namespace elbo::kernels::likelihoods {

struct poisson : count_base {
    static constexpr likelihood_facts facts = count_facts;

    /// x ln μ − μ − ln x! and (x − μ) f'/f.
    template <class M>
    ELBO_HD static likelihood_term<M> term(const observed_number<M>& o) {
        const count_terms<M> of(o);
        return {of.is_zero() ? -of.mean : -of.deviance - of.constant, (of.x - of.mean) * of.slope};
    }

    static void draw(const row_noise& noise, const vae::likelihood&, std::span<const double>, std::span<float> x) {
        for (std::size_t j = 0; j < x.size(); ++j) {
            count_noise numbers(noise, static_cast<std::int64_t>(j));
            x[j] = static_cast<float>(poisson_draw(numbers, x[j]));
        }
    }
};

} // namespace elbo::kernels::likelihoods
