// Fields of divergences of mixtures.
#pragma once

#include "elbo/gmm/algebra.hpp"
#include "host/fields.hpp"

namespace elbo {

template <>
inline constexpr auto fields<gmm::divergence_options> = [] {
    using s = gmm::divergence_options;
    return table<s>(field{"samples", &s::samples, at_least(2), "Number of samples"},
                    field{"seed", &s::seed, "Seed of the random numbers"});
}();

template <>
inline constexpr auto fields<gmm::divergence_result> = [] {
    using s = gmm::divergence_result;
    return table<s>(field{"divergence", &s::value}, field{"standard_error", &s::standard_error},
                    field{"samples", &s::samples});
}();

template <>
inline constexpr auto fields<gmm::variational_divergence> = [] {
    using s = gmm::variational_divergence;
    return table<s>(
        field{"variational_approximation", &s::approximation, shown{"{:.6f} nats"}, "variational approximation"},
        field{"variational_upper_bound", &s::upper_bound, shown{"{:.6f} nats"}, "variational upper bound"},
        field{"iterations", &s::iterations});
}();

} // namespace elbo
