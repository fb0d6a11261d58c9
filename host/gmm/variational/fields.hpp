// Fields of the options and results of variational fits.
#pragma once

#include "elbo/gmm/variational.hpp"
#include "host/gmm/fit/fields.hpp"

namespace elbo {

template <>
inline constexpr auto fields<gmm::variational_prior> = [] {
    using s = gmm::variational_prior;
    return table<s>(field{"concentration", &s::concentration, prior_count,
                          "Of the weights: small numbers leave fewer components (default: 1/K)"},
                    field{"mean", &s::mean, finite, "Centre of the means (default: the mean of the data)"},
                    field{"mean_precision", &s::mean_precision, prior_count, "Samples that the centre counts for"},
                    field{"degrees_of_freedom", &s::degrees_of_freedom,
                          "Of the Wishart or gamma distributions (default: the number of columns)"},
                    field{"scale", &s::scale, finite,
                          "Scale by the family: d x d, d or 1 numbers (default: the covariance of the data)"});
}();

template <>
inline constexpr auto fields<gmm::variational_options> = [] {
    using s = gmm::variational_options;
    return table<s>(
        field{"components", &s::components, at_least(1), "Largest number of components"}, of_mixtures::shape<s>,
        field{"weights_model", &s::weights_prior, "Prior of the weights: dirichlet or stick-breaking"},
        field{"prior", &s::prior, "Prior of the parameters"}, of_mixtures::start<s>, of_fits::start_model<s>,
        of_mixtures::greedy<s>, of_fits::restarts<s>, of_fits::max_iterations<s>, of_fits::tolerance<s>,
        of_fits::weights<s>, of_fits::labels<s>, of_fits::seed<s>, of_mixtures::precision<s>, of_fits::callback<s>,
        of_fits::memory_limit<s>, of_fits::checkpoint<s>, of_fits::resume<s>);
}();

template <>
inline constexpr auto fields<gmm::variational_record> = [] {
    using s = gmm::variational_record;
    return table<s>(field{"iteration", &s::iteration}, field{"bound", &s::bound},
                    field{"expected_log_likelihood", &s::expected_log_likelihood},
                    field{"weights_divergence", &s::weights_divergence},
                    field{"components_divergence", &s::components_divergence},
                    field{"bound_after_m_step", &s::bound_after_m_step}, field{"entropy", &s::entropy},
                    field{"parameter_change", &s::parameter_change}, field{"seconds", &s::seconds});
}();

template <>
inline constexpr auto fields<gmm::variational_result> = [] {
    using s = gmm::variational_result;
    return table<s>(field{"posterior", &s::posterior}, field{"model", &s::model}, field{"trace", &s::trace},
                    field{"stopped", &s::stopped}, field{"iterations", &s::iterations}, field{"bound", &s::bound},
                    field{"total_bound", &s::total_bound}, field{"entropy", &s::entropy},
                    field{"total_weight", &s::total_weight}, field{"samples", &s::samples},
                    field{"best_restart", &s::best_restart}, field{"start", &s::best_start},
                    field{"seconds", &s::seconds}, field{"negligible", &s::negligible}, field{"events", &s::events});
}();

} // namespace elbo
