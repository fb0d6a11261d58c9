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

/// Fields that the options of all fits of mixtures have.
namespace of_mixtures {
template <class S>
inline constexpr field shape{"family", &S::shape,
                             "Covariances: full, tied, diagonal, spherical, tied_diagonal or tied_spherical"};
template <class S>
inline constexpr field start{"start", &S::start,
                             "Start: automatic, kmeans, kmeans++, random, samples, or a model file"};
template <class S>
inline constexpr field greedy{"greedy", &S::greedy, "k-means++ tries several candidates for each centre"};
template <class S>
inline constexpr field regularization{
    "regularization", &S::regularization, at_least(0),
    "Added to the diagonal of each covariance, in squared units of the data (default 0)"};
template <class S>
inline constexpr field relative_regularization{
    "relative_regularization", &S::relative_regularization, at_least(0),
    "The same as a share of the variance of each column, far values left out (default 1e-6)"};
template <class S>
inline constexpr field precision{"precision", &S::precision,
                                 "Arithmetic: automatic (that of the data), float32 or float64"};
} // namespace of_mixtures

/// What a prior may count for in samples: less or more is nothing or everything beside any data, and the logarithms of
/// gamma functions of more lose the digits that the bound is judged by.
inline constexpr rule prior_count = between(1e-30, 1e9);

template <>
inline constexpr auto fields<gmm::parameter_prior> = [] {
    using s = gmm::parameter_prior;
    return table<s>(field{"concentration", &s::concentration, between(1, prior_count.most),
                          "a of the Dirichlet distribution of the weights, at least 1"},
                    field{"mean", &s::mean, finite, "Mean of the means, one number a column"},
                    field{"mean_precision", &s::mean_precision, prior_count, "Samples that the mean counts as"},
                    field{"degrees_of_freedom", &s::degrees_of_freedom, "Of the distribution of the covariances"},
                    field{"scale", &s::scale, finite,
                          "Scale of the covariances: a matrix by rows, a number a column, or one number, by family"});
}();

template <>
inline constexpr auto fields<gmm::fit_options> = [] {
    using s = gmm::fit_options;
    return table<s>(field{"components", &s::components, at_least(1), "Number of components"}, of_mixtures::shape<s>,
                    of_mixtures::start<s>, of_fits::start_model<s>, of_mixtures::greedy<s>, of_fits::restarts<s>,
                    of_fits::max_iterations<s>, of_fits::tolerance<s>, of_mixtures::regularization<s>,
                    of_mixtures::relative_regularization<s>,
                    field{"regularization_variances", &s::regularization_variances, at_least(0),
                          "Variances that this is a share of"},
                    of_fits::weights<s>, of_fits::on_collapse<s>, of_fits::seed<s>, of_mixtures::precision<s>,
                    of_fits::callback<s>, of_fits::memory_limit<s>, of_fits::labels<s>,
                    field{"prior", &s::prior, "Prior of the parameters"},
                    field{"m_step", &s::m_step, "M-step: closed_form, or gradient for ascent steps instead"},
                    field{"gradient", &s::gradient, "Ascent steps"}, of_fits::checkpoint<s>, of_fits::resume<s>);
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
                    of_fits::log_likelihood<s>, of_fits::total_log_likelihood<s>,
                    field{"total_weight", &s::total_weight}, of_fits::entropy<s>, field{"samples", &s::samples},
                    of_fits::bic<s>, of_fits::aic<s>, of_fits::icl<s>, field{"best_restart", &s::best_restart},
                    field{"negligible", &s::negligible}, field{"start", &s::best_start});
}();

template <>
inline constexpr auto fields<gmm::memory_plan> = [] {
    using s = gmm::memory_plan;
    return table<s>(field{"data", &s::data}, field{"normalized", &s::normalized}, field{"workspace", &s::workspace},
                    field{"peak", &s::peak}, field{"streamed", &s::streamed});
}();

} // namespace elbo
