// Names of the enumerations, and fields of the options and results of fits, of models with continuous latent variables.
#pragma once

#include "elbo/latent/factors.hpp"
#include "elbo/latent/sphere.hpp"
#include "host/fit_fields.hpp"

namespace elbo {

template <>
inline constexpr name_table names<latent::factor_kind>{"kind", {"ppca", "factor_analysis", "factor_mixture"}};
template <>
inline constexpr name_table names<latent::factor_method>{"method", {"em", "eigen"}};
template <>
inline constexpr name_table names<latent::factor_start>{"start", {"automatic", "principal", "conditional", "random"}};
template <>
inline constexpr name_table names<latent::factor_event::kind>{"event",
                                                              {"empty", "noise_floor", "far_value", "stalled"}};
template <>
inline constexpr name_table names<latent::sphere_event::kind>{"event", {"noise_floor", "one_sided", "far_value"}};

template <>
inline constexpr auto fields<latent::factor_options> = [] {
    using s = latent::factor_options;
    return table<s>(
        field{"kind", &s::kind, "Kind of model: ppca, factors, factor-mixture or sphere"},
        field{"latent", &s::latent, at_least(1), "Number of latent variables; not for a sphere"},
        field{"components", &s::components, at_least(1), "Number of components of a factor-mixture"},
        field{"own_noise", &s::own_noise, "Noise variances of its own for each component of a factor-mixture"},
        field{"method", &s::method, "em, or for ppca eigen: from the eigenvectors of the covariance"},
        field{"start", &s::start, "Start: automatic, principal, conditional, random, or a model file"},
        of_fits::start_model<s>, of_fits::restarts<s>, of_fits::max_iterations<s>, of_fits::tolerance<s>,
        field{"accelerate", &s::accelerate, "Extrapolate the noise variances after every second EM step"},
        // Rounding of Σ δ²/ψ − ‖c‖² is about 2⁻⁵² / floor: at the least one still below 1e-5 nats.
        field{"noise_floor", &s::noise_floor, between(1e-10, 1, "1e-10 to 1"),
              "Smallest noise variance relative to that of the data (default: 1e-6; sphere: 1e-12)"},
        of_fits::weights<s>, of_fits::on_collapse<s>, of_fits::seed<s>, of_fits::callback<s>, of_fits::memory_limit<s>,
        of_fits::checkpoint<s>, of_fits::resume<s>);
}();

template <>
inline constexpr auto fields<latent::factor_event> = [] {
    using s = latent::factor_event;
    return table<s>(field{"iteration", &s::iteration}, field{"component", &s::component}, field{"column", &s::column},
                    field{"event", &s::what}, field{"action", &s::action}, field{"far", &s::far});
}();

template <>
inline constexpr auto fields<latent::factor_result> = [] {
    using s = latent::factor_result;
    return table<s>(field{"model", &s::model}, field{"trace", &s::trace}, field{"stopped", &s::stopped},
                    field{"events", &s::events}, field{"seconds", &s::seconds}, field{"iterations", &s::iterations},
                    of_fits::log_likelihood<s>, of_fits::total_log_likelihood<s>,
                    field{"total_weight", &s::total_weight}, field{"samples", &s::samples}, of_fits::bic<s>,
                    of_fits::aic<s>, field{"best_restart", &s::best_restart}, field{"negligible", &s::negligible},
                    field{"start", &s::best_start});
}();

template <>
inline constexpr auto fields<latent::sphere_options> = [] {
    using s = latent::sphere_options;
    return table<s>(of_fits::start_model<s>, of_fits::restarts<s>, of_fits::max_iterations<s>, of_fits::tolerance<s>,
                    field{"accelerate", &s::accelerate, "Extrapolate after every second EM step"},
                    field{"noise_floor", &s::noise_floor,
                          rule{.least = 1e-20, .most = 1, .below = true, .expected = "a number from 1e-20 to 1"},
                          "Smallest noise variance relative to that of the data (default: 1e-6; sphere: 1e-12)"},
                    of_fits::weights<s>, of_fits::seed<s>, of_fits::callback<s>, of_fits::memory_limit<s>,
                    of_fits::checkpoint<s>, of_fits::resume<s>);
}();

template <>
inline constexpr auto fields<latent::sphere_event> = [] {
    using s = latent::sphere_event;
    return table<s>(field{"iteration", &s::iteration}, field{"event", &s::what}, field{"far", &s::far});
}();

template <>
inline constexpr auto fields<latent::sphere_result> = [] {
    using s = latent::sphere_result;
    return table<s>(field{"model", &s::model}, field{"trace", &s::trace}, field{"stopped", &s::stopped},
                    field{"events", &s::events}, field{"seconds", &s::seconds}, field{"iterations", &s::iterations},
                    of_fits::log_likelihood<s>, of_fits::total_log_likelihood<s>,
                    field{"total_weight", &s::total_weight}, field{"samples", &s::samples}, of_fits::bic<s>,
                    of_fits::aic<s>, field{"best_restart", &s::best_restart}, field{"negligible", &s::negligible});
}();

} // namespace elbo
