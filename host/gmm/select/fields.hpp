// Fields of the options and results of a choice among mixtures.
#pragma once

#include "elbo/gmm/select.hpp"
#include "host/gmm/fit/fields.hpp"

namespace elbo {

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

} // namespace elbo
