#include "host/cli/core/apply_command.hpp"
#include "host/cli/core/interrupt.hpp"
#include "host/cli/core/text_table.hpp"

#include "elbo/gmm/infer.hpp"
#include "host/io/write/matrix.hpp"
#include "host/joined.hpp"

#include <fmt/format.h>
#include <memory>
#include <optional>
#include <span>

namespace elbo::cli {

namespace {

struct assign_command {
    apply_options apply;
    std::string label_path = "-";
    std::string responsibility_path;
    bool labels_to_stdout() const { return label_path == "-"; }
};

// Takes the batches of a pass over the data to where labels and responsibilities go.
class assignment_output {
public:
    assignment_output(const assign_command& command, const applied& work) : counts_(work.model.components(), 0) {
        const std::int64_t n = work.input.data.rows(), k = work.model.components();
        if (!command.labels_to_stdout())
            labels_ = io::matrix_writer::open(command.label_path, n, 1, io::output_type::int32, {"component"});
        if (!command.responsibility_path.empty())
            responsibilities_ = io::matrix_writer::open(command.responsibility_path, n, k, io::output_type::float64,
                                                        component_names(k));
    }

    void take(const gmm::inference_batch& batch) {
        for (std::int64_t i = 0; i < batch.rows; ++i)
            ++counts_[batch.assignment[i]];
        if (labels_)
            labels_->append(matrix_view<const std::int32_t>(batch.assignment, batch.rows, 1));
        else
            print(joined(std::span(batch.assignment, static_cast<std::size_t>(batch.rows)), "\n") + "\n");
        if (responsibilities_)
            responsibilities_->append(
                matrix_view<const double>(batch.responsibilities, batch.rows, std::ssize(counts_)));
    }

    void close() {
        if (labels_)
            labels_->close();
        if (responsibilities_)
            responsibilities_->close();
    }

    const std::vector<std::int64_t>& counts() const { return counts_; }

private:
    static std::vector<std::string> component_names(std::int64_t k) {
        std::vector<std::string> names;
        for (std::int64_t i = 0; i < k; ++i)
            names.push_back(fmt::format("component {}", i));
        return names;
    }

    std::vector<std::int64_t> counts_;
    std::optional<io::matrix_writer> labels_, responsibilities_;
};

std::string count_table(const std::vector<std::int64_t>& counts, std::int64_t samples) {
    std::vector<std::vector<std::string>> table{{"component", "samples", "share"}};
    for (std::size_t k = 0; k < counts.size(); ++k)
        table.push_back({std::to_string(k), std::to_string(counts[k]),
                         fmt::format("{:.4f}", static_cast<double>(counts[k]) / static_cast<double>(samples))});
    return text_table(table);
}

exit_status run(const assign_command& command, const std::string& command_line) {
    const apply_options& options = command.apply;
    if (command.labels_to_stdout() && options.output.json_to_stdout())
        throw invalid_argument("--json -: standard output has the labels already; write them with --output FILE");
    check_files({.inputs = files_of(options),
                 .outputs = {options.output.json, options.output.report},
                 .rows = {command.label_path, command.responsibility_path}});
    const interrupt_guard guard;
    const applied work = open(options);
    assignment_output output(command, work);
    const auto take = [&](const gmm::inference_batch& batch) {
        throw_if_interrupted();
        writing([&] { output.take(batch); });
    };
    gmm::infer(work.ctx, work.model, work.input.data, !command.responsibility_path.empty(), take, work.input.known());
    writing([&] { output.close(); });
    json summary = summary_head(command_line, options, work);
    summary["counts"] = output.counts();
    write_json(options.output, summary);
    write_report(options, work, command_line, {{"samples", std::to_string(work.input.data.rows())}});
    if (!command.labels_to_stdout())
        print_results(options.output, count_table(output.counts(), work.input.data.rows()));
    return exit_status::success;
}

} // namespace

void add_mixture_assign(parser& mixture, invocation& call) {
    parser* app = mixture.add_subcommand("assign", "The most probable component of every row");
    const auto command = std::make_shared<assign_command>();
    add_apply_options(*app, command->apply);
    add_known_labels_option(*app, command->apply.data);
    app->add_option("-o,--output", command->label_path, "Write the labels (.csv, .npy, .f32, .f64, .h5); - prints them")
        ->type_name("FILE")
        ->capture_default_str()
        ->group("Output");
    app->add_option("--responsibilities", command->responsibility_path, "Write p(component | row), one column each")
        ->type_name("FILE")
        ->group("Output");
    app->callback([command, &call] { call.run = [command, &call] { return run(*command, call.command_line); }; });
}

} // namespace elbo::cli
