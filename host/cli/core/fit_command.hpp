// The commands that fit or train a model: the steps they share. A model states what is its own.
#pragma once

#include "elbo/report.hpp"
#include "host/cli/command.hpp"
#include "host/cli/core/findings.hpp"
#include "host/cli/core/inputs.hpp"
#include "host/cli/core/progress.hpp"
#include "host/fit_fields.hpp"

namespace elbo::cli {

/// What every fit takes. The model of each command derives from it and hides what it does in another way.
struct fit_inputs {
    using input = input_data;

    data_options data;
    device_options device;
    output_options output;
    std::string model_path;
    checkpoint_options checkpoint; ///< of fits by EM
    std::string resume;

    /// DATA and how to read it, its columns by name or by position.
    void add_inputs(parser& app);
    /// Where to compute and what to write.
    void add_outputs(parser& app);
    /// --checkpoint, --checkpoint-every, --checkpoint-iterations and --resume of fits by EM.
    void add_checkpoints(parser& app);

    /// The files of every fit and some of its own, which come first; checks the name of a model.
    command_files files_with(std::vector<std::string> inputs, std::vector<std::string> outputs) const;
    /// Opens the data; `start`: the columns of the model to begin with. Says what was left out.
    input_data open(const model_columns& start) const;
    /// What the data adds to the options beside weights and labels, and checks.
    template <class Options>
    void take(const input_data& /*input*/, Options& /*options*/) const {}
    /// One line before the work, which ends in `more`.
    void announce(const context& ctx, const input_data& input, const std::string& more) const;
    template <class Options>
    void announce(const context& ctx, const input_data& input, const Options& /*options*/) const {
        announce(ctx, input, std::string());
    }
    /// Writes the model.
    template <class Fitted>
    void save(const Fitted& work) const {
        write_model(work.fit.model, model_path, work.column_names());
    }
    /// The page of --report.
    template <class Fitted>
    std::string page(const Fitted& work, const report::heading& about) const {
        return report::page(work.ctx, work.fit, work.data(), about);
    }
    /// Whether Ctrl-C ends the work with what there is so far.
    bool interruptible() const { return true; }
};

/// Whether what was typed for --start is meant as a file.
bool is_model_file(const std::string& start);
/// What was typed there where it is a file, else nothing: for check_files.
std::string start_file(const std::string& start);

/// --restarts, --max-iterations, --tolerance and --seed.
template <class Options>
void add_loop_options(parser& app, Options& options) {
    add_field(app, "--restarts", options, &Options::restarts, "R", "Fit");
    add_field(app, "--max-iterations", options, &Options::max_iterations, "N", "Fit");
    add_field(app, "--tolerance", options, &Options::tolerance, "T", "Fit");
    add_field(app, "--seed", options, &Options::seed, "S", "Fit");
}

/// A fit and what it was made of.
template <class Model>
struct fitted {
    std::string command_line;
    context ctx;
    typename Model::input input;
    typename Model::options options;
    typename Model::result fit;
    double seconds_opening; ///< the data

    const data_source& data() const { return input.data; }
    const std::vector<std::string>& column_names() const { return input.data.column_names(); }
};

/// `Model` derives from fit_inputs. It names the types `options` and `result` of the library, and has, in the order of
/// their use and where they differ from those of fit_inputs:
///     void add_options(parser&);
///     command_files files() const;
///     options prepare(model_columns& start) const;                 what was typed, as the library takes it
///     input open(const model_columns& start) const;
///     void take(const input&, options&) const;                     what the data adds to the options, and checks
///     void announce(const context&, const input&, const options&) const;
///     result fit(const context&, const input&, const options&) const;
///     void save(const fitted<Model>&) const;                       models, pictures
///     findings found(const fitted<Model>&) const;                  the facts for people, the JSON summary
///     std::string page(const fitted<Model>&, report::heading) const;
///     std::string text(const fitted<Model>&, const fact_list&) const;
/// Options that hold for every fit belong in fit_inputs, and their effect in run().
template <class Model>
class fit_command : public Model {
public:
    exit_status run(const std::string& command_line) const;

private:
    using clock = std::chrono::steady_clock;

    typename Model::result with_progress(const context& ctx, const typename Model::input& input,
                                         typename Model::options options) const {
        std::optional<interrupt_guard> guard;
        if (this->interruptible())
            guard.emplace();
        progress_line progress(this->output.quiet);
        options.callback = [&](const auto& now) {
            progress.show(now);
            return !interrupt_requested();
        };
        return this->fit(ctx, input, options);
    }

    static bool was_interrupted(const typename Model::result& fit) {
        if constexpr (requires { fit.interrupted; })
            return fit.interrupted;
        else
            return fit.stopped == decltype(fit.stopped)::interrupted;
    }
};

template <class Model>
exit_status fit_command<Model>::run(const std::string& command_line) const {
    check_files(this->files());
    model_columns start;
    typename Model::options options = this->prepare(start);
    context ctx = make_context(this->device);
    const auto opened = clock::now();
    typename Model::input input = this->open(start);
    const double seconds = std::chrono::duration<double>(clock::now() - opened).count();
    if constexpr (requires { options.weights; })
        options.weights = input.view();
    if constexpr (requires { options.labels; })
        options.labels = input.known();
    if constexpr (requires { options.start_model->dimensions(); })
        if (options.start_model)
            check_columns(start.model, options.start_model->dimensions(), "dimensions", input.data);
    this->take(input, options);
    if constexpr (requires { options.checkpoint = this->checkpoint; }) {
        options.checkpoint = this->checkpoint;
        options.resume = this->resume;
    }
    this->announce(ctx, input, options);
    typename Model::result fit = with_progress(ctx, input, options);
    if constexpr (requires { fit.seconds.load; }) {
        fit.seconds.load += seconds;
        fit.seconds.total += seconds;
    }
    const fitted<Model> work{command_line,       std::move(ctx), std::move(input),
                             std::move(options), std::move(fit), seconds};
    this->save(work);
    findings found = this->found(work);
    add_left_out(found.summary, work.input);
    write_json(this->output, found.summary);
    if (!this->output.report.empty())
        write_text(this->output.report, this->page(work, {.facts = found.facts, .command = command_line}));
    print_results(this->output, this->text(work, found.facts));
    return was_interrupted(work.fit) ? exit_status::interrupted : exit_status::success;
}

// What the summaries of fits have in common, and those of scores.

/// The kind of start that was kept, by name; nothing where that was a model.
template <class Kind>
std::optional<std::string_view> name_of_start(const std::optional<Kind>& kind) {
    return kind ? std::optional(to_string(*kind)) : std::nullopt;
}

/// "fit": how it ended, and "start", unless there is only one kind.
void add_stopping(findings& found, gmm::stop_reason stopped, std::int64_t iterations);
void add_start(findings& found, std::optional<std::string_view> kind, std::int64_t restart, bool for_people = true);

/// Log-likelihoods and criteria of a model on data, of scores and of fits.
template <class Result>
void add_likelihoods(findings& found, const Result& result, std::int64_t parameters) {
    found.add(result, &Result::log_likelihood, &Result::total_log_likelihood);
    found.add("parameters", "parameters", parameters);
    found.add(result, &Result::bic, &Result::aic);
}

void add_seconds(findings& found, const gmm::fit_seconds& s);
json far_values_json(const gmm::far_values& far);
/// One fact for each column with far values, the first ten of them.
void tell_far_values(findings& found, const std::vector<gmm::far_values>& far,
                     const std::vector<std::string>& column_names);
/// "events", by `entry` where they are not of far values, unless that is null; far values are told as facts, too.
template <class Event, class Entry>
void add_events(findings& found, const std::vector<Event>& happened, const std::vector<std::string>& column_names,
                const Entry& entry) {
    json events = json::array();
    std::vector<gmm::far_values> far;
    for (const Event& e : happened)
        if (e.what == Event::kind::far_value) {
            far.push_back(e.far);
            events.push_back(far_values_json(e.far));
        } else if (json told = entry(e); !told.is_null()) {
            events.push_back(std::move(told));
        }
    found.add("events", std::move(events));
    tell_far_values(found, far, column_names);
}

/// Rows whose weights are too small to count: a note on standard error, and "negligible_weights" in the summary.
/// Nothing where there are none.
void add_negligible(findings& found, const output_options& output, const gmm::negligible_weights& rows);
/// A note where components of the start model are the same.
void note_identical(const output_options& output, const std::vector<gmm::event>& events);

/// The text for standard output: `subject` is what was fitted to what, `model` describes it, `more` comes below the
/// facts.
std::string fit_text(const std::string& subject, const std::string& model, const std::string& samples,
                     const context& ctx, const fact_list& facts, const std::string& more);

} // namespace elbo::cli
