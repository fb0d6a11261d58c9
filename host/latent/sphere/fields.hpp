// Fields of the options and results of fits of spheres.
#pragma once

#include "elbo/latent/sphere.hpp"
#include "host/fit_fields.hpp"
#include "host/latent/names.hpp"

namespace elbo {

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
