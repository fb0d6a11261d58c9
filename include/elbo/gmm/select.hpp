// Choosing the number of components and the family of a mixture by a sweep over both.
#pragma once

#include "elbo/context.hpp"
#include "elbo/data_source.hpp"
#include "elbo/gmm/fit.hpp"

#include <cstdint>
#include <functional>
#include <limits>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace elbo::gmm {

/// What a model is chosen by. The first three look at the rows that were fitted, and the smallest is the best; the
/// others are the mean log-likelihood of rows that were not, in nats per sample, and the largest is the best.
enum class criterion {
    bic,
    aic,
    icl,
    validation,      ///< a share of the rows is held out
    cross_validation ///< the rows are dealt to folds, and each fold is held out once
};
/// "bic", "cross_validation", ...
std::string_view to_string(criterion c);
/// The inverse of to_string. Throws invalid_argument that lists the names.
criterion criterion_from_string(std::string_view name);
/// Whether rows are held out.
constexpr bool is_held_out(criterion c) {
    return c == criterion::validation || c == criterion::cross_validation;
}

/// What a callback sees: an iteration of one of the fits. Calls come from several threads, but one at a time.
struct select_progress {
    std::int64_t components = 0;
    family shape = family::full;
    std::int64_t fold = -1;    ///< that is held out; −1: the fit to all rows
    std::int64_t finished = 0; ///< fits that are done
    std::int64_t fits = 0;     ///< of the sweep
    progress fit;
};

struct select_options {
    std::vector<std::int64_t> components = {1, 2, 3, 4, 5, 6, 7, 8, 9}; ///< numbers of components to try
    std::vector<family> families = {family::full};                      ///< each with all of them
    criterion by = criterion::bic;
    /// Share of the rows that criterion::validation holds out: one row of each of as many runs of neighbours, drawn by
    /// the seed and the position of the run.
    double validation_fraction = 0.2;
    /// Of criterion::cross_validation: each run of `folds` neighbouring rows is dealt to all of them in an order drawn
    /// by the seed and the position of the run, so their sizes differ by one row at most. None: 5, or one for each row
    /// where there are fewer.
    std::optional<std::int64_t> folds = {};
    /// Of the models whose held-out value is within one standard error of the best, the one with the fewest parameters
    /// (Breiman, Friedman, Olshen and Stone, Classification and Regression Trees, 1984). Only for held-out criteria.
    bool one_standard_error = false;
    bool keep_fits = false; ///< return the fits of all cells, not only the chosen one
    /// Fits that run side by side. 0: on a cpu context the fits that do not fill its threads run side by side on one
    /// thread each and the others one after the other on all threads; on other contexts one after the other. A
    /// positive number: as many, with an equal share of the threads each, on a cuda context with a stream each.
    std::int64_t jobs = 0;
    /// Everything else about the fits, the seed of the held-out rows included. `components` and `shape` are those of
    /// the cell; start_model, callback, checkpoint and resume must be empty.
    fit_options fit = {};
    /// Return false to stop: what is finished is returned.
    std::function<bool(const select_progress&)> callback = {};
    checkpoint_options checkpoint = {}; ///< of the sweep: the fits that are done, and where the others stand
    std::string resume = {};            ///< as in fit_options; keep_fits and jobs may be others, too
};

/// One row of the table.
struct select_cell {
    std::int64_t components = 0; ///< that were asked for
    family shape = family::full;
    /// Why there is no value of the criterion ("components = 9: expected at most 7, ..."); empty where there is one.
    std::string error{};
    bool fitted = false;              ///< whether all rows could be fitted; if not, the numbers below say nothing
    std::int64_t components_left = 0; ///< of the fit to all rows: fewer where components were dropped
    std::int64_t parameters = 0;
    double log_likelihood = 0; ///< weighted mean per sample of the fit to all rows
    double total_log_likelihood = 0;
    double bic = 0, aic = 0, icl = 0;
    /// Weighted mean log-likelihood of the held-out rows, each under a model that was fitted without it; NaN unless the
    /// criterion is a held-out one.
    double held_out = std::numeric_limits<double>::quiet_NaN();
    /// Its standard error: √(Σ w (l − mean)²) / W over the held-out rows of criterion::validation; √(Σ_f (l_f −
    /// mean)² / (F (F − 1))) over the means l_f of the F folds of criterion::cross_validation.
    double held_out_error = std::numeric_limits<double>::quiet_NaN();
    std::int64_t iterations = 0; ///< of the fit to all rows
    stop_reason stopped = stop_reason::converged;
    std::vector<event> events{};
    double seconds = 0;              ///< spent in all fits of the cell, summed
    std::optional<fit_result> fit{}; ///< to all rows; with keep_fits
};

struct select_result {
    fit_result best;                  ///< of the chosen cell, to all rows
    std::int64_t chosen = 0;          ///< its place in the table
    std::string reason{};             ///< "bic 2314.3 for tied K = 3; next: full K = 2, 2322.2, 7.9 more"
    std::vector<select_cell> table{}; ///< the families as they were given, in each the components
    criterion by = criterion::bic;
    bool interrupted = false;
    bool streamed = false; ///< the rows did not fit into memory: every pass of every fit read them anew
    std::int64_t jobs = 1; ///< fits that ran side by side at most
    double seconds = 0;
};

/// Fits every family with every number of components, and chooses. Every cell is fitted to all rows, exactly as fit()
/// does it; a held-out criterion fits it also without the rows of each fold, which then have weight zero. The rows are
/// read once, to the memory of the context (as they are, so each fit normalises them for itself), if they take at most
/// half of what is free there or half of fit.memory_limit; else each pass streams them.
/// A fit that fails (more components than distinct rows, a component that collapses with collapse_policy::fail, no
/// memory) does not end the sweep: its cell holds the reason. Of equal values the model with fewer parameters is
/// chosen. Equal input and seed give equal bits whatever `jobs` and the number of threads.
/// Throws invalid_argument (components or families empty, out of range or given twice; folds, validation_fraction;
/// one_standard_error without held-out rows; a fold without a row of positive weight; options of the fits; weights and
/// data as fit() does), the error of the first cell where no cell could be fitted, file_error, cuda_error. After a
/// throw nothing has changed.
select_result select(const context& ctx, const data_source& data, const select_options& options);

} // namespace elbo::gmm
