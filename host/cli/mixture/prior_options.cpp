#include "host/cli/mixture/prior_options.hpp"

#include "elbo/error.hpp"

#include <fmt/format.h>

namespace elbo::cli {

std::optional<gmm::parameter_prior> prior_arguments::parsed() const {
    const bool numbers = concentration || mean_precision || degrees_of_freedom || !mean.empty() || !scale.empty();
    if (!name.empty() && name != "mclust" && name != "none")
        throw invalid_argument(fmt::format("--prior {}: expected mclust or none", name));
    if (name == "none" && numbers)
        throw invalid_argument("--prior none: expected no other option of a prior beside it");
    if (name == "none" || (name.empty() && !numbers))
        return std::nullopt;
    gmm::parameter_prior prior;
    prior.concentration = concentration.value_or(prior.concentration);
    prior.mean_precision = mean_precision.value_or(prior.mean_precision);
    prior.degrees_of_freedom = degrees_of_freedom;
    if (!mean.empty())
        prior.mean = mean;
    if (!scale.empty())
        prior.scale = scale;
    return prior;
}

void add_prior_options(parser& command, prior_arguments& arguments) {
    const auto add = [&](const char* name, auto& value, const char* what, const char* type) {
        return command.add_option(name, value, what)->type_name(type)->group("Prior");
    };
    add("--prior", arguments.name, "Maximum a posteriori: mclust, what is not given below follows the data; or none",
        "NAME");
    add("--prior-concentration", arguments.concentration, "a of the Dirichlet distribution of the weights, at least 1",
        "A");
    add("--prior-mean", arguments.mean, "Mean of the means, one number a column", "M,...")->delimiter(',');
    add("--prior-mean-precision", arguments.mean_precision, "Samples that the mean counts as", "K");
    add("--prior-degrees-of-freedom", arguments.degrees_of_freedom, "Of the distribution of the covariances", "NU");
    add("--prior-scale", arguments.scale,
        "Scale of the covariances: a matrix by rows, a number a column, or one number, by family", "S,...")
        ->delimiter(',');
}

} // namespace elbo::cli
