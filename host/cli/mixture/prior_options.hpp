// Options for a prior on the parameters of a mixture.
#pragma once

#include "elbo/gmm/prior.hpp"
#include "host/cli/core/command_line.hpp"

#include <optional>
#include <string>
#include <vector>

namespace elbo::cli {

/// As they are typed; what is empty was not given.
struct prior_arguments {
    std::string name;
    std::optional<double> concentration, mean_precision, degrees_of_freedom;
    std::vector<double> mean, scale;

    /// None without any of the options. Throws invalid_argument.
    std::optional<gmm::parameter_prior> parsed() const;
};

/// --prior and --prior-concentration, -mean, -mean-precision, -degrees-of-freedom, -scale.
void add_prior_options(parser& command, prior_arguments& arguments);

} // namespace elbo::cli
