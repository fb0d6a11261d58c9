#include "host/gmm/select/sweep.hpp"

#include "elbo/error.hpp"
#include "host/fit_fields.hpp"
#include "host/gmm/start/start.hpp"
#include "host/rows/restarts.hpp"
#include "host/rows/row_access.hpp"
#include "kernels/contract/context_state.hpp"
#include "kernels/contract/gmm_layout.hpp"
#include "kernels/shared/blas_threads.hpp"

#include <algorithm>
#include <atomic>
#include <fmt/format.h>
#include <map>
#include <memory>
#include <mutex>
#include <thread>
#include <utility>

namespace elbo::gmm {

bool fills_machine(const fit_shape& s, std::int64_t threads) {
    const std::int64_t units = (s.rows + kernels::unit_rows - 1) / kernels::unit_rows;
    const double numbers = cost(s, false);
    return threads == 1 || (units >= 2 * threads && numbers >= 0x1p22);
}

bool has_separate_restarts(const fit_shape& s) {
    return s.rows <= start_row_limit(s.components, s.dimensions);
}

double cost(const fit_shape& s, bool matrices) {
    const auto rows = static_cast<double>(s.rows), d = static_cast<double>(s.dimensions);
    return rows * static_cast<double>(s.components) * d * (matrices ? d : 1);
}

std::int64_t side_by_side(std::int64_t wanted, std::int64_t fits, std::int64_t bytes_each, std::int64_t available) {
    const std::int64_t affordable = available / std::max<std::int64_t>(1, bytes_each);
    return std::max<std::int64_t>(1, std::min({wanted, fits, affordable}));
}

namespace {

/// What one fit with all these restarts gives: the best of them, the first of equals; nothing where one failed.
std::optional<fit_result> best_of(std::vector<std::optional<fit_result>>& runs) {
    std::optional<fit_result> best;
    fit_seconds spent;
    bool complete = true;
    for (std::size_t r = 0; r < runs.size(); ++r) {
        complete = complete && runs[r] && runs[r]->stopped != stop_reason::interrupted;
        if (!runs[r])
            continue;
        for_each_field<fit_seconds>([&](const auto& part) { spent.*part.member += runs[r]->seconds.*part.member; });
        if (!best || restart_objective(*runs[r]) > restart_objective(*best))
            best = std::move(runs[r]);
    }
    if (!best)
        return best;
    best->seconds = spent;
    if (!complete)
        best->stopped = stop_reason::interrupted;
    return best;
}

/// All fits of a sweep, one after the other and side by side.
class sweep {
public:
    sweep(const context& ctx, const data_source& rows, const select_options& options, const checked_rows& found,
          const held_out_rows* held_out, io::checkpoints& store)
        : ctx_(ctx), rows_(rows), options_(options), found_(found), held_out_(held_out), store_(store) {
        const std::int64_t folds = held_out ? held_out->folds() : 0;
        for (const family shape : options.families)
            for (const std::int64_t k : options.components)
                for (std::int64_t fold = sweep_part::all_rows; fold < folds; ++fold)
                    parts_.push_back({k, shape, fold});
    }

    sweep_outcome run() {
        std::vector<std::size_t> order(parts_.size()), alone, together;
        for (std::size_t i = 0; i < order.size(); ++i)
            order[i] = i;
        const auto cost_of = [&](std::size_t i) {
            return cost(shape_of(parts_[i]), geometry(parts_[i].shape).matrix());
        };
        std::stable_sort(order.begin(), order.end(), [&](auto a, auto b) { return cost_of(a) > cost_of(b); });
        for (const std::size_t i : order)
            (runs_alone(parts_[i]) ? alone : together).push_back(i);

        records_.resize(parts_.size());
        if (store_.from())
            resume();
        std::atomic<std::size_t> next = 0;
        work(ctx_, tasks_of(alone, false), next);
        if (!together.empty()) {
            const std::vector<task> tasks = tasks_of(together, true);
            work_side_by_side(tasks, workers(together, std::ssize(tasks)));
        }
        if (aborted_by_)
            std::rethrow_exception(aborted_by_);
        if (store_.wanted())
            save();
        for (std::size_t i = 0; i < parts_.size(); ++i)
            collect(i);
        return {std::move(parts_), stopped_, jobs_};
    }

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

    fit_shape shape_of(const sweep_part& p) const { return {rows_.rows(), rows_.cols(), p.components}; }

    fit_options options_of(const sweep_part& p) const {
        fit_options o = options_.fit;
        o.components = p.components;
        o.shape = p.shape;
        o.regularization_variances = found_.variances;
        return o;
    }

    bool runs_alone(const sweep_part& p) const {
        if (options_.jobs > 0)
            return options_.jobs == 1;
        return ctx_.where() != backend::cpu || fills_machine(shape_of(p), ctx_.threads());
    }

    std::int64_t workers(const std::vector<std::size_t>& parts, std::int64_t tasks) const {
        std::int64_t largest = 0;
        for (const std::size_t i : parts) {
            fit_options plain = options_of(parts_[i]);
            plain.labels = {};
            plain.prior = {};
            const memory_plan plan = plan_memory(ctx_, rows_, plain);
            largest = std::max(largest, plan.peak - plan.data); // the data is there once
        }
        const std::int64_t wanted = options_.jobs > 0 ? options_.jobs : ctx_.threads();
        return side_by_side(wanted, tasks, largest, available_bytes(ctx_, 0));
    }

    std::vector<task> tasks_of(const std::vector<std::size_t>& parts, bool apart) {
        std::vector<task> tasks;
        for (const std::size_t i : parts) {
            const bool split = apart && has_separate_restarts(shape_of(parts_[i]));
            const std::size_t runs = split ? static_cast<std::size_t>(options_.fit.restarts) : 1;
            records_[i] = std::make_unique<run_record>();
            records_[i]->results.resize(runs);
            records_[i]->failures.resize(runs);
            records_[i]->open = static_cast<std::int64_t>(runs);
            for (std::size_t run = 0; run < runs; ++run)
                tasks.push_back({i, run});
        }
        return tasks;
    }

    void work(const context& ctx, const std::vector<task>& tasks, std::atomic<std::size_t>& next) {
        try {
            for (std::size_t i = next++; i < tasks.size() && !stopped_; i = next++)
                run_task(ctx, tasks[i]);
        } catch (...) {
            abort(std::current_exception());
        }
    }

    void work_side_by_side(const std::vector<task>& tasks, std::int64_t workers) {
        ctx_.wait(); // contexts with streams of their own read what this one has written
        jobs_ = std::max(jobs_, workers);
        const std::int64_t threads = options_.jobs > 0 ? std::max<std::int64_t>(1, ctx_.threads() / workers) : 1;
        std::atomic<std::size_t> next = 0;
        std::vector<std::jthread> pool;
        for (std::int64_t w = 0; w < workers && !stopped_; ++w)
            pool.emplace_back([&] {
                try {
                    const kernels::one_blas_thread one;
                    const int number = ctx_.device() < 0 ? static_cast<int>(threads) : ctx_.device();
                    work(context(ctx_.state().table.open(number)), tasks, next);
                } catch (...) {
                    abort(std::current_exception());
                }
            });
    }

    void run_task(const context& ctx, const task& t) {
        const sweep_part& p = parts_[t.part];
        run_record& record = *records_[t.part];
        fit_options o = options_of(p);
        std::vector<double> training;
        if (p.fold != sweep_part::all_rows) {
            training = held_out_->training_weights(found_.weights, p.fold);
            for (double& w : training)
                w /= found_.weight_scale; // as they were given: a prior counts in samples
            o.weights = sample_weights(training);
        }
        o.callback = [&](const progress& now) { return report(p, now); };
        try {
            record.results[t.run] = run_fit(ctx, t, o);
        } catch (const file_error&) {
            throw;
        } catch (const cuda_error&) {
            throw;
        } catch (const error&) {
            record.failures[t.run] = std::current_exception();
        }
        if (--record.open == 0)
            finish(ctx, t.part);
    }

    /// A fit with the restarts of a task, which goes on where it was left.
    fit_result run_fit(const context& ctx, const task& t, const fit_options& o) {
        const sweep_part& p = parts_[t.part];
        const bool apart = records_[t.part]->results.size() > 1;
        const std::int64_t first = apart ? static_cast<std::int64_t>(t.run) : 0, last = apart ? first + 1 : o.restarts;
        const std::string key =
            fmt::format("{}.{}.{}.{}-{}", to_string(p.shape), p.components, p.fold + 1, first, last);
        std::optional<io::fit_checkpoint> from;
        io::checkpoints::keeper keeper;
        if (store_.wanted())
            keeper = [&](io::fit_checkpoint c) { keep(key, std::move(c.arrays)); };
        {
            const std::lock_guard lock(keeping_);
            if (const auto state = states_.find(key); state != states_.end())
                from.emplace().arrays = state->second;
        }
        io::checkpoints store(options_.checkpoint, std::move(from), options_.resume, keeper);
        return fit_restarts(ctx, rows_, o, first, last, store);
    }

    void resume() {
        static_cast<void>(store_.of_same_fit(found_.description));
        for (const auto& [name, values] : store_.from()->arrays)
            if (const std::size_t slash = name.find('/'); slash != std::string::npos)
                states_[name.substr(0, slash)].emplace(name.substr(slash + 1), values);
    }

    void keep(const std::string& key, io::fit_arrays state) {
        const std::lock_guard lock(keeping_);
        states_[key] = std::move(state);
        if (store_.due())
            save();
    }

    void save() {
        io::fit_checkpoint all{found_.description, {}};
        for (const auto& [key, state] : states_)
            for (const auto& [name, values] : state)
                all.arrays.emplace(key + "/" + name, values);
        store_.keep(std::move(all));
    }

    /// The outcome of a part of which all runs have ended; its fold is scored by who ends the last.
    void finish(const context& ctx, std::size_t part) {
        sweep_part& p = parts_[part];
        collect(part);
        if (p.fold != sweep_part::all_rows && !p.failure && p.fit->stopped != stop_reason::interrupted) {
            try {
                p.held_out = held_out_->score(ctx, p.fit->model, rows_, found_.weights, p.fold);
            } catch (const cuda_error&) {
                throw;
            } catch (const error&) {
                p.failure = std::current_exception();
            }
        }
        ++finished_;
    }

    /// Takes over what the runs of a part came to, if that was not done before; of an interrupted part also where some
    /// never began.
    void collect(std::size_t part) {
        const std::unique_ptr<run_record> record = std::move(records_[part]);
        if (!record)
            return;
        sweep_part& p = parts_[part];
        for (const std::exception_ptr& failure : record->failures)
            if (failure && !p.failure)
                p.failure = failure;
        p.fit = best_of(record->results);
        p.seconds = p.fit ? p.fit->seconds.total : 0;
        if (p.failure)
            p.fit.reset();
    }

    bool report(const sweep_part& p, const progress& now) {
        if (stopped_ || !options_.callback)
            return !stopped_;
        const std::lock_guard lock(callback_);
        try {
            if (!options_.callback({p.components, p.shape, p.fold, finished_, std::ssize(parts_), now}))
                stopped_ = true;
        } catch (...) {
            abort(std::current_exception());
        }
        return !stopped_;
    }

    void abort(std::exception_ptr why) {
        const std::lock_guard lock(abort_);
        if (!aborted_by_)
            aborted_by_ = why;
        stopped_ = true;
    }

    const context& ctx_;
    const data_source& rows_;
    const select_options& options_;
    const checked_rows& found_;
    const held_out_rows* held_out_;
    std::vector<sweep_part> parts_;
    std::vector<std::unique_ptr<run_record>> records_; ///< of each part
    io::checkpoints& store_;
    std::map<std::string, io::fit_arrays> states_; ///< of fits that are done or under way, by task
    std::mutex keeping_;
    std::mutex callback_;
    std::mutex abort_;
    std::exception_ptr aborted_by_;
    std::atomic<bool> stopped_ = false;
    std::atomic<std::int64_t> finished_ = 0;
    std::int64_t jobs_ = 1;
};

} // namespace

sweep_outcome run_sweep(const context& ctx, const data_source& rows, const select_options& options,
                        const checked_rows& found, const held_out_rows* held_out, io::checkpoints& store) {
    return sweep(ctx, rows, options, found, held_out, store).run();
}

} // namespace elbo::gmm
