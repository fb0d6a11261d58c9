// All likelihoods, and what holds for the one that an architecture has.
#pragma once

#include "kernels/math/likelihood/bernoulli.hpp"
#include "kernels/math/likelihood/categorical.hpp"
#include "kernels/math/likelihood/gaussian.hpp"
#include "kernels/math/likelihood/negative_binomial.hpp"
#include "kernels/math/likelihood/poisson.hpp"

#include <vector>

namespace elbo::kernels {

/// Calls visit(likelihoods::...{}) with the struct of a family.
template <class Visit>
decltype(auto) with_likelihood(vae::likelihood_family family, Visit&& visit) {
    switch (family) {
    case vae::likelihood_family::gaussian:
        return visit(likelihoods::gaussian{});
    case vae::likelihood_family::categorical:
        return visit(likelihoods::categorical{});
    case vae::likelihood_family::poisson:
        return visit(likelihoods::poisson{});
    case vae::likelihood_family::negative_binomial:
        return visit(likelihoods::negative_binomial{});
    case vae::likelihood_family::bernoulli:
        break;
    }
    return visit(likelihoods::bernoulli{});
}

inline likelihood_facts facts_of(vae::likelihood_family family) {
    return with_likelihood(family, [](auto of) { return decltype(of)::facts; });
}
/// Where the likelihood's own parameter comes from.
inline vae::parameter_source source_of(const vae::likelihood& l) {
    return with_likelihood(l.family, [&](auto of) { return of.source(l); });
}
/// Whether a member of vae::likelihood plays a part.
inline bool uses(vae::likelihood_family family, std::string_view member) {
    std::string_view rest = facts_of(family).members;
    while (!rest.empty()) {
        const std::size_t end = std::min(rest.find(' '), rest.size());
        if (rest.substr(0, end) == member)
            return true;
        rest.remove_prefix(std::min(end + 1, rest.size()));
    }
    return false;
}
inline double initial_own(const vae::likelihood& l) {
    return with_likelihood(l.family, [&](auto of) { return of.initial(l); });
}
/// How many of them a network of d dimensions learns.
inline std::int64_t own_parameters(const vae::likelihood& l, std::int64_t d) {
    const vae::parameter_source source = source_of(l);
    return source == vae::parameter_source::fixed ? 0 : source == vae::parameter_source::learned_per_dimension ? d : 1;
}
/// The numbers themselves, [1] or [d], of which `learned(i)` gives those that the network has; [] where there are none.
template <class Learned>
std::vector<double> own_numbers(const vae::likelihood& l, std::int64_t d, const Learned& learned) {
    if (facts_of(l.family).own.empty())
        return {};
    const std::int64_t count = own_parameters(l, d);
    if (count == 0)
        return {initial_own(l)};
    std::vector<double> numbers;
    for (std::int64_t i = 0; i < count; ++i)
        numbers.push_back(learned(i));
    return numbers;
}

} // namespace elbo::kernels
