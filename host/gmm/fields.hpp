// Names of the enumerations, and fields of the options and results, of mixtures.
#pragma once

#include "elbo/gmm/algebra.hpp"
#include "elbo/gmm/fit.hpp"
#include "elbo/gmm/online.hpp"
#include "elbo/gmm/regress.hpp"
#include "elbo/gmm/select.hpp"
#include "elbo/gmm/variational.hpp"
#include "host/fit_fields.hpp"

namespace elbo {

// Names

template <>
inline constexpr name_table names<gmm::family>{
    "family", {"full", "diagonal", "spherical", "tied", "tied_diagonal", "tied_spherical"}};
template <>
inline constexpr name_table names<gmm::start_method>{"start", {"automatic", "kmeans++", "kmeans", "random", "samples"}};
template <>
inline constexpr name_table names<gmm::m_step_method>{"M-step", {"closed_form", "gradient"}};
template <>
inline constexpr name_table names<gmm::compute_precision>{"precision", {"automatic", "float32", "float64"}};
template <>
inline constexpr name_table names<gmm::event::kind>{"event", {"empty", "singular", "identical", "far_value"}};
template <>
inline constexpr name_table names<gmm::weights_model>{"weights model", {"dirichlet", "stick_breaking"}};
template <>
inline constexpr name_table names<gmm::criterion>{"criterion", {"bic", "aic", "icl", "validation", "cross_validation"}};

// Fits

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

// Variational fits

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

// Choice among mixtures

template <>
inline constexpr auto fields<gmm::select_options> = [] {
    using s = gmm::select_options;
    return table<s>(
        field{"components", &s::components, at_least(1), "Numbers of components: 1:10, 2:20:2, or 1,2,5"},
        field{"families", &s::families, "Covariances: full, tied, diagonal, spherical, tied_diagonal, tied_spherical"},
        field{"criterion", &s::by, "bic, aic, icl, validation or cross-validation"},
        field{"validation_fraction", &s::validation_fraction,
              rule{.least = 0, .most = 1, .above = true, .below = true, .expected = "a number between 0 and 1"},
              "Share of the rows that --criterion validation holds out"},
        field{"folds", &s::folds, "Folds of --criterion cross-validation (default: 5, or as many as rows)"},
        field{"one_standard_error", &s::one_standard_error,
              "Of the models within one standard error of the best on held-out rows, that with the fewest parameters"},
        field{"keep_fits", &s::keep_fits, "Return the fits of all cells"}.free(),
        field{"jobs", &s::jobs, at_least(0, "0 (chosen) or a positive number"),
              "Fits side by side; 0 chooses by their size"}
            .free(),
        field{"fit", &s::fit, "Everything else about the fits"}, of_fits::callback<s>, of_fits::checkpoint<s>,
        of_fits::resume<s>);
}();

template <>
inline constexpr auto fields<gmm::select_cell> = [] {
    using s = gmm::select_cell;
    return table<s>(
        field{"components", &s::components}, field{"family", &s::shape}, field{"error", &s::error},
        field{"fitted", &s::fitted}, field{"components_left", &s::components_left}, field{"parameters", &s::parameters},
        field{"log_likelihood", &s::log_likelihood}, field{"total_log_likelihood", &s::total_log_likelihood},
        field{"bic", &s::bic}, field{"aic", &s::aic}, field{"icl", &s::icl}, field{"held_out", &s::held_out},
        field{"held_out_error", &s::held_out_error}, field{"iterations", &s::iterations}, field{"stopped", &s::stopped},
        field{"events", &s::events}, field{"seconds", &s::seconds}, field{"fit", &s::fit});
}();

template <>
inline constexpr auto fields<gmm::select_result> = [] {
    using s = gmm::select_result;
    return table<s>(field{"best", &s::best}, field{"chosen", &s::chosen}, field{"reason", &s::reason},
                    field{"table", &s::table}, field{"criterion", &s::by}, field{"interrupted", &s::interrupted},
                    field{"streamed", &s::streamed}, field{"jobs", &s::jobs}, field{"seconds", &s::seconds});
}();

// Stepwise EM

template <>
inline constexpr auto fields<gmm::online_options> = [] {
    using s = gmm::online_options;
    return table<s>(field{"t0", &s::t0, at_least(0), "Rate of step t: (t + t0)^-kappa; t0 at least 0"},
                    field{"kappa", &s::kappa,
                          rule{.least = 0.5,
                               .most = 1,
                               .above = true,
                               .expected = "a number above 1/2, at most 1, so that the steps settle"},
                          "The same; above 0.5, at most 1"},
                    field{"rate", &s::rate, rule{.least = 0, .most = 1, .above = true},
                          "Rate of every step instead, for streams that drift"},
                    of_mixtures::regularization<s>, of_mixtures::relative_regularization<s>, of_fits::on_collapse<s>);
}();

template <>
inline constexpr auto fields<gmm::online_step> = [] {
    using s = gmm::online_step;
    return table<s>(field{"step", &s::step}, field{"rate", &s::rate}, field{"log_likelihood", &s::log_likelihood},
                    field{"entropy", &s::entropy}, field{"total_weight", &s::total_weight},
                    field{"samples", &s::samples}, field{"events", &s::events});
}();

template <>
inline constexpr auto fields<gmm::online_state> = [] {
    using s = gmm::online_state;
    return table<s>(field{"model", &s::model}, field{"covariances", &s::covariances, finite},
                    field{"reseeds", &s::reseeds}, field{"steps", &s::steps, at_least(0)},
                    field{"samples", &s::samples, at_least(0)}, field{"total_weight", &s::total_weight, at_least(0)});
}();

// Divergences and regression

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

template <>
inline constexpr auto fields<gmm::regress_options> = [] {
    using s = gmm::regress_options;
    return table<s>(field{"covariances", &s::covariances, "Covariances of all pairs of columns, too"},
                    field{"responsibilities", &s::responsibilities, "p(k | x_b), too"});
}();

} // namespace elbo
