// Names and fields of what the fits of all models have in common, and what they say of a likelihood.
#pragma once

#include "elbo/fit.hpp"
#include "host/fields.hpp"

#include <cmath>

namespace elbo {

template <>
inline constexpr name_table names<collapse_policy>{"collapse policy", {"reseed", "drop", "fail"}};
template <>
inline constexpr name_table names<stop_reason>{"stop", {"converged", "max_iterations", "interrupted"}};

/// Fields that the options and the results of all fits have.
namespace of_fits {
template <class S>
inline constexpr field restarts{"restarts", &S::restarts, at_least(1), "Starts, of which the best is kept"};
template <class S>
inline constexpr field max_iterations{"max_iterations", &S::max_iterations, at_least(1),
                                      "Limit of the iterations of one start"};
template <class S>
inline constexpr field tolerance{"tolerance", &S::tolerance, at_least(0), "Stop below this gain, in nats per sample"};
template <class S>
inline constexpr field weights{"weights", &S::weights, "Weights of the samples"};
template <class S>
inline constexpr field labels{"labels", &S::labels, "What is known of the component of each sample"};
template <class S>
inline constexpr field seed{"seed", &S::seed, "Seed of the random numbers"};
template <class S>
inline constexpr field on_collapse{"on_collapse", &S::on_collapse,
                                   "What to do with an empty or singular component: reseed, drop or fail"};
template <class S>
inline constexpr field callback = field{"callback", &S::callback}.free();
template <class S>
inline constexpr field
    memory_limit = field{"memory_limit", &S::memory_limit, bytes_or_what_fits,
                         "Largest bytes of data kept in memory; more is read anew in each iteration; 0: what fits"}
                       .free();
template <class S>
inline constexpr field checkpoint = field{"checkpoint", &S::checkpoint, "Checkpoints"}.free();
template <class S>
inline constexpr field
    resume = field{"resume", &S::resume, "Go on from a checkpoint, with the other options as they were"}.free();
template <class S>
inline constexpr field start_model{"start_model", &S::start_model, "Begin with this model"};

// Those of the results.
template <class S>
inline constexpr field log_likelihood{"log_likelihood", &S::log_likelihood, shown{"{:.6f} nats per sample"},
                                      "log-likelihood"};
template <class S>
inline constexpr field total_log_likelihood{"total_log_likelihood", &S::total_log_likelihood, shown{"{:.6f}"},
                                            "total log-likelihood"};
template <class S>
inline constexpr field entropy{"entropy", &S::entropy, shown{"{:.6f} nats per sample"}, "entropy of q"};
template <class S>
inline constexpr field bic{"bic", &S::bic, shown{"{:.4f}"}, "BIC"};
template <class S>
inline constexpr field aic{"aic", &S::aic, shown{"{:.4f}"}, "AIC"};
template <class S>
inline constexpr field icl{"icl", &S::icl, shown{"{:.4f}"}, "ICL"};
} // namespace of_fits

template <>
inline constexpr auto fields<checkpoint_options> = [] {
    using s = checkpoint_options;
    return table<s>(
        field{"path", &s::path, "Write checkpoints (.safetensors)"},
        field{"every_seconds", &s::every_seconds, at_least(0), "Seconds between checkpoints; 0: not by time"},
        field{"every_iterations", &s::every_iterations, at_least(0),
              "Iterations between checkpoints; 0: not by iterations"});
}();

template <>
inline constexpr auto fields<iteration_record> = [] {
    using s = iteration_record;
    return table<s>(field{"iteration", &s::iteration}, field{"log_likelihood", &s::log_likelihood},
                    field{"elbo_after_m_step", &s::elbo_after_m_step}, field{"entropy", &s::entropy},
                    field{"parameter_change", &s::parameter_change}, field{"seconds", &s::seconds},
                    field{"log_prior", &s::log_prior}, field{"log_prior_after", &s::log_prior_after});
}();

template <>
inline constexpr auto fields<fit_seconds> = [] {
    using s = fit_seconds;
    return table<s>(field{"load", &s::load}, field{"start", &s::start}, field{"iterations", &s::iterations},
                    field{"total", &s::total});
}();

template <>
inline constexpr auto fields<far_values> = [] {
    using s = far_values;
    return table<s>(field{"row", &s::row}, field{"column", &s::column}, field{"value", &s::value},
                    field{"robust_z", &s::robust_z}, field{"rows", &s::rows});
}();

template <>
inline constexpr auto fields<negligible_weights> = [] {
    using s = negligible_weights;
    return table<s>(field{"rows", &s::rows}, field{"first", &s::first});
}();

template <>
inline constexpr auto fields<score_result> = [] {
    using s = score_result;
    return table<s>(of_fits::log_likelihood<s>, of_fits::total_log_likelihood<s>, of_fits::entropy<s>,
                    field{"total_weight", &s::total_weight}, field{"samples", &s::samples}, of_fits::bic<s>,
                    of_fits::aic<s>, of_fits::icl<s>, field{"negligible", &s::negligible});
}();

/// The mean log-likelihood of the rows of a summary under a model, what it comes to in all, and the criteria but for
/// icl; W, the sum of the weights, stands for the number of samples.
template <class Result, class Model, class Summary>
void set_likelihood(Result& r, const Model& m, double log_likelihood, const Summary& data,
                    const negligible_weights& negligible) {
    const auto parameters = static_cast<double>(m.parameters());
    r.log_likelihood = log_likelihood;
    r.total_log_likelihood = log_likelihood * data.weight;
    r.total_weight = data.weight;
    r.samples = data.rows;
    r.negligible = negligible;
    r.bic = -2 * r.total_log_likelihood + parameters * std::log(data.weight);
    r.aic = -2 * r.total_log_likelihood + 2 * parameters;
}

} // namespace elbo
