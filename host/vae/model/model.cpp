#include "elbo/vae/model.hpp"

#include "host/check.hpp"
#include "host/vae/train/initialize.hpp"
#include "kernels/contract/vae_layout.hpp"
#include "kernels/math/likelihood/families.hpp"

#include <cmath>
#include <fmt/format.h>

namespace elbo::vae {

namespace {

void check_mean(const architecture& a, const std::vector<double>& mean) {
    expects(mean.empty() || static_cast<std::int64_t>(mean.size()) == a.dimensions, [&] {
        return fmt::format("data_mean has {} numbers: expected none or {}, the dimensions", mean.size(), a.dimensions);
    });
    kernels::with_likelihood(a.likelihood.family, [&](auto family) {
        for (std::size_t j = 0; j < mean.size(); ++j)
            expects(family.allows_mean(mean[j]),
                    [&] { return fmt::format("data_mean[{}] = {}: expected {}", j, mean[j], family.facts.means); });
    });
}

} // namespace

model::model(const vae::architecture& a, std::uint64_t seed, const std::vector<double>& data_mean) : architecture_(a) {
    a.check();
    check_mean(a, data_mean);
    parameters_ = initial_parameters(kernels::make_layout(a), seed, data_mean);
}

model::model(const vae::architecture& a, std::vector<double> parameters) : architecture_(a) {
    const std::int64_t expected = a.parameters();
    expects(static_cast<std::int64_t>(parameters.size()) == expected, [&] {
        return fmt::format("parameters has {} numbers: expected {} for this architecture", parameters.size(), expected);
    });
    for (std::size_t i = 0; i < parameters.size(); ++i)
        expects(std::isfinite(parameters[i]),
                [&] { return fmt::format("parameters[{}] = {}: expected a finite number", i, parameters[i]); });
    parameters_ = std::move(parameters);
}

std::vector<double> model::own_parameter() const {
    const kernels::vae_layout layout = kernels::make_layout(architecture_);
    std::vector<double> numbers = kernels::own_numbers(architecture_.likelihood, architecture_.dimensions,
                                                       [&](std::int64_t j) { return parameters_[layout.own + j]; });
    for (double& number : numbers)
        number = kernels::with_likelihood(architecture_.likelihood.family,
                                          [&](auto family) { return family.natural(number); });
    return numbers;
}

std::vector<double> model::sigma() const {
    if (architecture_.likelihood.family != likelihood_family::gaussian)
        return {};
    if (architecture_.likelihood.scale == gaussian_scale::fixed)
        return {architecture_.likelihood.sigma};
    return own_parameter();
}

} // namespace elbo::vae
