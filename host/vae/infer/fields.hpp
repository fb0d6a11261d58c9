// Fields of the options and results of evaluations.
#pragma once

#include "elbo/vae/infer.hpp"
#include "host/fields.hpp"

namespace elbo {

template <>
inline constexpr auto fields<vae::evaluate_options> = [] {
    using s = vae::evaluate_options;
    return table<s>(field{"samples", &s::samples, between(1, 0x1p31), "Draws of z a row for the ELBO"},
                    field{"importance_samples", &s::importance_samples, between(0, 0x1p31),
                          "Draws of z a row for the importance bound on log p(x); 0: none"},
                    field{"binarize", &s::binarize, "bernoulli: draw x once, with the values as probabilities"},
                    field{"seed", &s::seed, "Seed of the random numbers"}, field{"callback", &s::callback});
}();

template <>
inline constexpr auto fields<vae::evaluation> = [] {
    using s = vae::evaluation;
    return table<s>(field{"rows", &s::rows}, field{"elbo", &s::elbo}, field{"reconstruction", &s::reconstruction},
                    field{"kl", &s::kl}, field{"elbo_standard_error", &s::elbo_standard_error},
                    field{"kl_per_unit", &s::kl_per_unit}, field{"unit_activity", &s::unit_activity},
                    field{"active_units", &s::active_units}, field{"importance_samples", &s::importance_samples},
                    field{"log_likelihood_bound", &s::log_likelihood_bound},
                    field{"log_likelihood_standard_error", &s::log_likelihood_standard_error},
                    field{"effective_sample_size", &s::effective_sample_size}, field{"seconds", &s::seconds});
}();

template <>
inline constexpr auto fields<vae::sample_options> = [] {
    using s = vae::sample_options;
    return table<s>(field{"seed", &s::seed, "Seed of the random numbers"},
                    field{"means", &s::means, "Means of p(x|z) instead of draws of x"},
                    field{"row_sum", &s::row_sum, "With library size: what rows shall add up to on average"});
}();

} // namespace elbo
