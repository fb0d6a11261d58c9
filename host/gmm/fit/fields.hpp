// Fields of the options and results of fits of mixtures.
#pragma once

#include "elbo/gmm/fit.hpp"
#include "host/fit_fields.hpp"
#include "host/gmm/model/names.hpp"

namespace elbo {

template <>
inline constexpr auto fields<gmm::gradient_steps> = [] {
    using s = gmm::gradient_steps;
    return table<s>(field{"steps", &s::steps, at_least(1), "Ascent steps of one M-step"},
                    field{"rate", &s::rate, positive, "Rate of ascent steps; the first one tried"},
                    field{"backtracking", &s::backtracking, "Halve the rate until the bound rises"});
}();

template <>
inline constexpr auto fields<gmm::fit_options> = [] {
    using s = gmm::fit_options;
    return table<s>(
        field{"components", &s::components, at_least(1), "Number of components"},
        field{"shape", &s::shape, "Covariances: full, tied, diagonal, spherical, tied_diagonal or tied_spherical"},
        field{"start", &s::start, "Start: automatic, kmeans, kmeans++, random, samples, or a model file"},
        field{"start_model", &s::start_model, "Begin with this model"},
        field{"greedy", &s::greedy, "k-means++ tries several candidates for each centre"},
        field{"restarts", &s::restarts, at_least(1), "Starts, of which the best is kept"},
        field{"max_iterations", &s::max_iterations, at_least(1), "Limit of the iterations of one start"},
        field{"tolerance", &s::tolerance, at_least(0), "Stop below this gain, in nats per sample"},
        field{"regularization", &s::regularization, at_least(0),
              "Added to the diagonal of each covariance, in squared units of the data (default 0)"},
        field{"relative_regularization", &s::relative_regularization, at_least(0),
              "The same as a share of the variance of each column, far values left out (default 1e-6)"},
        field{"regularization_variances", &s::regularization_variances, at_least(0),
              "Variances that this is a share of"},
        field{"weights", &s::weights, "Weights of the samples"},
        field{"on_collapse", &s::on_collapse, "What to do with an empty or singular component: reseed, drop or fail"},
        field{"seed", &s::seed, "Seed of the random numbers"},
        field{"precision", &s::precision, "Arithmetic: automatic (that of the data), float32 or float64"},
        field{"callback", &s::callback}.free(),
        field{"memory_limit", &s::memory_limit, bytes_or_what_fits,
              "Largest bytes of data kept in memory; more is read anew in each iteration; 0: what fits"}
            .free(),
        field{"labels", &s::labels, "What is known of the component of each sample"},
        field{"prior", &s::prior, "Prior of the parameters"},
        field{"m_step", &s::m_step, "M-step: closed_form, or gradient for ascent steps instead"},
        field{"gradient", &s::gradient, "Ascent steps"});
}();

template <>
inline constexpr auto fields<gmm::event> = [] {
    using s = gmm::event;
    return table<s>(field{"iteration", &s::iteration}, field{"component", &s::component}, field{"event", &s::what},
                    field{"action", &s::action}, field{"far", &s::far});
}();

template <>
inline constexpr auto fields<gmm::fit_result> = [] {
    using s = gmm::fit_result;
    return table<s>(field{"model", &s::model}, field{"trace", &s::trace}, field{"stopped", &s::stopped},
                    field{"events", &s::events}, field{"seconds", &s::seconds}, field{"iterations", &s::iterations},
                    field{"log_likelihood", &s::log_likelihood, nats_per_sample, "log-likelihood"},
                    field{"total_log_likelihood", &s::total_log_likelihood, nats, "total log-likelihood"},
                    field{"total_weight", &s::total_weight},
                    field{"entropy", &s::entropy, nats_per_sample, "entropy of q"}, field{"samples", &s::samples},
                    field{"bic", &s::bic, criterion_value, "BIC"}, field{"aic", &s::aic, criterion_value, "AIC"},
                    field{"icl", &s::icl, criterion_value, "ICL"}, field{"best_restart", &s::best_restart},
                    field{"negligible", &s::negligible}, field{"best_start", &s::best_start});
}();

} // namespace elbo
