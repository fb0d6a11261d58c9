// Names of the enumerations of models with continuous latent variables.
#pragma once

#include "elbo/latent/factors.hpp"
#include "elbo/latent/sphere.hpp"
#include "host/names.hpp"

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

} // namespace elbo
