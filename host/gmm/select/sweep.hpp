// All fits of a sweep, one after the other and side by side, and the choice among them.
#pragma once

#include "elbo/gmm/select.hpp"
#include "host/gmm/select/folds.hpp"
#include "host/io/model/fit_checkpoint.hpp"

#include <cstdint>
#include <exception>
#include <optional>
#include <string>
#include <vector>

namespace elbo::gmm {

// How the fits of a sweep share a machine: functions of shapes alone.

/// Shape of one fit.
struct fit_shape {
    std::int64_t rows = 0, dimensions = 0, components = 0;
};

/// Whether one fit keeps all threads of a cpu context busy. A thread takes a unit of rows at a time, so there must be
/// two units for each; and an iteration must be long beside the start and the end of a parallel loop (some µs, against
/// about a ms for 2²² numbers times components).
bool fills_machine(const fit_shape& s, std::int64_t threads);

/// Whether the restarts of a fit may run apart from each other with the same result: where every start looks at all
/// rows, so that the sample of rows is the same one.
bool has_separate_restarts(const fit_shape& s);

/// Numbers touched by an iteration: fits with more of them are begun first, so that no long one is left for the end.
double cost(const fit_shape& s, bool matrices);

/// Fits that run at the same time: as many as are wanted (positive), as there are, and as `available` bytes hold.
std::int64_t side_by_side(std::int64_t wanted, std::int64_t fits, std::int64_t bytes_each, std::int64_t available);

/// What is found in all rows: their weights on the host (empty where there are none) times a power of two that makes
/// the largest 1 to 2, and the variances that λ is a share of, which the fits to some of the rows take from here.
struct checked_rows {
    std::vector<double> weights, variances;
    double weight_scale = 1;
    io::json description; ///< of the sweep: what decides its bits
};

/// One model fitted to all rows, or without those of a fold and then scored on these.
struct sweep_part {
    static constexpr std::int64_t all_rows = -1;
    std::int64_t components = 0;
    family shape = family::full;
    std::int64_t fold = all_rows;

    std::optional<fit_result> fit{};            ///< what was reached, also if it was interrupted
    std::optional<held_out_moments> held_out{}; ///< of the fold, once its fit is done
    std::exception_ptr failure{};
    double seconds = 0; ///< of all restarts, summed
};

/// What came of a sweep.
struct sweep_outcome {
    /// For each family in order, for each number of components: all rows, then the folds. A part that fails holds its
    /// error.
    std::vector<sweep_part> parts;
    bool interrupted = false;
    std::int64_t jobs = 1; ///< that ran side by side at most
};

/// Runs the parts until all are done or the callback stops them, on `rows` with what was found in them; `held_out`
/// (null: none) as for all fits. Throws file_error, cuda_error, and what the callback throws.
sweep_outcome run_sweep(const context& ctx, const data_source& rows, const select_options& options,
                        const checked_rows& found, const held_out_rows* held_out, io::checkpoints& store);

// Which cell is the best, and why.

struct selection {
    std::int64_t cell = -1; ///< −1: no cell has a value of the criterion
    std::string reason;
};

/// The best of the cells without an error. At equal values the fewest parameters, then the first in the table.
selection choose(const std::vector<select_cell>& table, criterion by, bool one_standard_error);

} // namespace elbo::gmm
