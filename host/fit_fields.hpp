// Names and fields of what the fits of all models have in common.
#pragma once

#include "elbo/fit.hpp"
#include "host/fields.hpp"

namespace elbo {

template <>
inline constexpr name_table names<collapse_policy>{"collapse policy", {"reseed", "drop", "fail"}};
template <>
inline constexpr name_table names<stop_reason>{"stop", {"converged", "max_iterations", "interrupted"}};

// How results are shown.
inline constexpr shown nats_per_sample{"{:.6f} nats per sample"}, nats{"{:.6f}"}, criterion_value{"{:.4f}"};

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
    return table<s>(field{"log_likelihood", &s::log_likelihood, nats_per_sample, "log-likelihood"},
                    field{"total_log_likelihood", &s::total_log_likelihood, nats, "total log-likelihood"},
                    field{"entropy", &s::entropy, nats_per_sample, "entropy of q"},
                    field{"total_weight", &s::total_weight}, field{"samples", &s::samples},
                    field{"bic", &s::bic, criterion_value, "BIC"}, field{"aic", &s::aic, criterion_value, "AIC"},
                    field{"icl", &s::icl, criterion_value, "ICL"}, field{"negligible", &s::negligible});
}();

} // namespace elbo
