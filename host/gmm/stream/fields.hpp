// Fields of the options and results of stepwise EM.
#pragma once

#include "elbo/gmm/online.hpp"
#include "host/gmm/fit/fields.hpp"

namespace elbo {

template <>
inline constexpr auto fields<gmm::online_options> = [] {
    using s = gmm::online_options;
    return table<s>(field{"t0", &s::t0, at_least(0), "Rate of step t: (t + t0)^-kappa; t0 at least 0"},
                    field{"kappa", &s::kappa,
                          rule{.least = 0.5,
                               .most = 1,
                               .above = true,
                               .expected = "a number above 1/2, at most 1, so that the steps settle"},
                          "The same; above 0.5, at most 1"},
                    field{"rate", &s::rate, rule{.least = 0, .most = 1, .above = true},
                          "Rate of every step instead, for streams that drift"},
                    of_mixtures::regularization<s>, of_mixtures::relative_regularization<s>, of_fits::on_collapse<s>);
}();

template <>
inline constexpr auto fields<gmm::online_step> = [] {
    using s = gmm::online_step;
    return table<s>(field{"step", &s::step}, field{"rate", &s::rate}, field{"log_likelihood", &s::log_likelihood},
                    field{"entropy", &s::entropy}, field{"total_weight", &s::total_weight},
                    field{"samples", &s::samples}, field{"events", &s::events});
}();

template <>
inline constexpr auto fields<gmm::online_state> = [] {
    using s = gmm::online_state;
    return table<s>(field{"model", &s::model}, field{"covariances", &s::covariances, finite},
                    field{"reseeds", &s::reseeds}, field{"steps", &s::steps, at_least(0)},
                    field{"samples", &s::samples, at_least(0)}, field{"total_weight", &s::total_weight, at_least(0)});
}();

} // namespace elbo
