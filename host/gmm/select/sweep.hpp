// All fits of a sweep, one after the other and side by side.
#pragma once

#include "elbo/gmm/select.hpp"
#include "host/gmm/select/folds.hpp"
#include "host/io/model/fit_checkpoint.hpp"

#include <atomic>
#include <cstdint>
#include <exception>
#include <map>
#include <memory>
#include <mutex>
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

class sweep {
public:
    /// `rows`, `weights` (empty: all 1), which have been multiplied by `weight_scale`, and `held_out` (null: none) as
    /// for all fits; `description` is what decides the bits. Everything must outlive the sweep.
    sweep(const context& ctx, const data_source& rows, const select_options& options,
          const std::vector<double>& weights, double weight_scale, const held_out_rows* held_out,
          io::checkpoints& store, io::json description);

    /// Runs the parts until all are done or the callback stops them; a part that fails holds its error. Throws
    /// file_error, cuda_error, and what the callback throws.
    void run();

    /// For each family in order, for each number of components: all rows, then the folds.
    std::vector<sweep_part>& parts() { return parts_; }
    bool interrupted() const { return stopped_; }
    std::int64_t jobs() const { return jobs_; } ///< that ran side by side at most

private:
    /// The restarts of a part, together or one of them.
    struct task {
        std::size_t part = 0;
        std::size_t run = 0;
    };
    /// The runs of a part that are under way.
    struct run_record {
        std::vector<std::optional<fit_result>> results;
        std::vector<std::exception_ptr> failures;
        std::atomic<std::int64_t> open = 0;
    };

    fit_shape shape_of(const sweep_part& p) const;
    fit_options options_of(const sweep_part& p) const;
    bool runs_alone(const sweep_part& p) const;
    std::int64_t workers(const std::vector<std::size_t>& parts, std::int64_t tasks) const;
    std::vector<task> tasks_of(const std::vector<std::size_t>& parts, bool apart);

    void work(const context& ctx, const std::vector<task>& tasks, std::atomic<std::size_t>& next);
    void work_side_by_side(const std::vector<task>& tasks, std::int64_t workers);
    context context_of_worker(std::int64_t threads) const;
    void run_task(const context& ctx, const task& t);
    fit_result run_fit(const context& ctx, const task& t, const fit_options& o);
    void finish(const context& ctx, std::size_t part);
    void resume();
    void keep(const std::string& key, io::fit_arrays state);
    void save();
    void collect(std::size_t part);
    bool report(const sweep_part& p, const progress& now);
    void abort(std::exception_ptr why);

    const context& ctx_;
    const data_source& rows_;
    const select_options& options_;
    const std::vector<double>& weights_;
    double weight_scale_;
    const held_out_rows* held_out_;
    std::vector<sweep_part> parts_;
    std::vector<std::unique_ptr<run_record>> records_; ///< of each part
    io::checkpoints& store_;
    io::json description_;
    std::map<std::string, io::fit_arrays> states_; ///< of fits that are done or under way, by task
    std::mutex keeping_;
    std::mutex callback_;
    std::mutex abort_;
    std::exception_ptr aborted_by_;
    std::atomic<bool> stopped_ = false;
    std::atomic<std::int64_t> finished_ = 0;
    std::int64_t jobs_ = 1;
};

} // namespace elbo::gmm
