// The commands that fit or train a model: the steps they share. A model states what is its own.
#pragma once

#include "elbo/fit.hpp"
#include "host/cli/command.hpp"
#include "host/cli/core/findings.hpp"
#include "host/cli/core/inputs.hpp"
#include "host/cli/core/interrupt.hpp"
#include "host/cli/core/options.hpp"
#include "host/cli/core/outputs.hpp"
#include "host/cli/core/progress_line.hpp"

#include <chrono>
#include <optional>
#include <string>
#include <utility>
#include <vector>

namespace elbo::cli {

/// What every fit takes. The model of each command derives from it and hides what it does in another way.
struct fit_inputs {
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
    weighted_data open(const model_columns& start) const;
    /// One line before the work.
    void announce(const context& ctx, const weighted_data& input, const std::string& more = {}) const;
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

/// A model to begin with, read from `path`, must have as many dimensions as the data has columns.
template <class Options>
void check_start(const Options& options, const std::string& path, const data_source& data) {
    if (options.start_model)
        check_columns(path, options.start_model->dimensions(), "dimensions", data);
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

/// `Model` derives from fit_inputs. It names the types `input` of the data, `options` and `result` of the library, and
/// has, in the order of their use:
///     void add_options(parser&);
///     command_files files() const;
///     options prepare(model_columns& start) const;                 what was typed, as the library takes it
///     input open(const model_columns& start) const;
///     void take(const input&, options&) const;                     what the data adds to the options, and checks
///     void announce(const context&, const input&, const options&) const;
///     result fit(const context&, const input&, const options&) const;
///     void save(const fitted<Model>&) const;                       models, pictures
///     findings found(const fitted<Model>&) const;                  the facts for people, the JSON summary
///     std::string page(const fitted<Model>&, fact_list) const;     for --report
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
    add_left_out(found.summary, work.input.notes);
    write_json(this->output, found.summary);
    if (!this->output.report.empty())
        write_text(this->output.report, this->page(work, found.facts));
    print_results(this->output, this->text(work, found.facts));
    return was_interrupted(work.fit) ? exit_status::interrupted : exit_status::success;
}

} // namespace elbo::cli
