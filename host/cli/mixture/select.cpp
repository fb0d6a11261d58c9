#include "host/cli/command.hpp"
#include "host/cli/core/fit_notes.hpp"
#include "host/cli/core/inputs.hpp"
#include "host/cli/core/interrupt.hpp"
#include "host/cli/core/options.hpp"
#include "host/cli/core/outputs.hpp"
#include "host/cli/core/progress_line.hpp"
#include "host/cli/core/report_page.hpp"
#include "host/cli/mixture/fit_options.hpp"
#include "host/cli/mixture/prior_options.hpp"
#include "host/cli/mixture/summary/select_summary.hpp"
#include "host/report/page/selection_page.hpp"

#include "elbo/gmm/select.hpp"

#include <algorithm>
#include <charconv>
#include <filesystem>
#include <fmt/format.h>
#include <memory>
#include <optional>

namespace elbo::cli {

namespace {

struct select_command {
    data_options data;
    device_options device;
    output_options output;
    fit_arguments fit;
    prior_arguments prior;
    gmm::select_options library;
    std::vector<std::string> components{"1:9"};
    std::vector<std::string> families{"full"};
    std::string criterion = "bic";
    std::string start = "automatic";
    std::string model_path;
    option *fraction = nullptr, *folds = nullptr; ///< each of one criterion
};

std::optional<std::int64_t> whole_number(std::string_view text) {
    std::int64_t value = 0;
    const auto [end, problem] = std::from_chars(text.data(), text.data() + text.size(), value);
    return problem == std::errc() && end == text.data() + text.size() ? std::optional(value) : std::nullopt;
}

// "3", "1:10" or "2:20:2", ends included.
void append_range(std::vector<std::int64_t>& numbers, const std::string& text) {
    constexpr std::int64_t most = 10000;
    std::vector<std::int64_t> parts;
    for (std::size_t begin = 0; begin <= text.size();) {
        const std::size_t end = std::min(text.find(':', begin), text.size());
        const std::optional<std::int64_t> number = whole_number(std::string_view(text).substr(begin, end - begin));
        parts.push_back(number.value_or(0));
        begin = end + 1;
    }
    const std::int64_t first = parts[0], last = parts.size() > 1 ? parts[1] : first;
    const std::int64_t step = parts.size() > 2 ? parts[2] : 1;
    if (parts.size() > 3 || first < 1 || step < 1 || last < first || (last - first) / step >= most)
        throw invalid_argument(fmt::format(
            "--components {}: expected K, FIRST:LAST or FIRST:LAST:STEP of numbers from 1 on, at most {}", text, most));
    for (std::int64_t k = first; k <= last; k += step)
        numbers.push_back(k);
}

gmm::select_options library_options(const select_command& command) {
    gmm::select_options options = command.library;
    options.fit = command.fit.parsed();
    options.fit.prior = command.prior.parsed();
    options.fit.start = gmm::start_method_from_string(command.start);
    options.components.clear();
    for (const std::string& text : command.components)
        append_range(options.components, text);
    options.families.clear();
    for (const std::string& name : command.families)
        options.families.push_back(gmm::family_from_string(name));
    std::string name = command.criterion;
    std::replace(name.begin(), name.end(), '-', '_');
    options.by = gmm::criterion_from_string(name);
    if (options.by != gmm::criterion::validation)
        refuse_given({command.fraction}, "expected --criterion validation beside it");
    if (options.by != gmm::criterion::cross_validation)
        refuse_given({command.folds}, "expected --criterion cross-validation beside it");
    return options;
}

void announce(const select_command& command, const context& ctx, const data_source& data,
              const gmm::select_options& options) {
    note(command.output, fmt::format("{}: {} rows, {} columns; {}; {} models, chosen by {}", data.description(),
                                     data.rows(), data.cols(), ctx.name(),
                                     options.components.size() * options.families.size(), to_string(options.by)));
}

gmm::select_result select_with_progress(const select_command& command, const context& ctx, const data_source& data,
                                        gmm::select_options options) {
    const interrupt_guard guard;
    sweep_line progress(command.output.quiet);
    options.callback = [&](const gmm::select_progress& now) {
        progress.show(now);
        return !interrupt_requested();
    };
    return gmm::select(ctx, data, options);
}

void write_report(const select_command& command, const gmm::select_result& result, const context& ctx,
                  const data_source& data, const std::string& command_line) {
    report::selection_page page{make_page(ctx, result.best.model, data, command_line), &result};
    page.chosen.title =
        fmt::format("Choice of a mixture for {}", std::filesystem::path(data.description()).filename().string());
    page.chosen.facts = select_facts(result);
    write_text(command.output.report, report::render(page));
}

exit_status run(const select_command& command, const std::string& command_line) {
    check_model_path(command.model_path);
    check_files({.inputs = files_of(command.data),
                 .outputs = {command.model_path, command.output.json, command.output.report}});
    gmm::select_options options = library_options(command);
    const context ctx = make_context(command.device);
    const weighted_data input = open_data(command.data);
    tell(command.output, input.data, input.notes);
    options.fit.weights = input.view();
    options.fit.labels = input.known();
    announce(command, ctx, input.data, options);
    const gmm::select_result result = select_with_progress(command, ctx, input.data, options);
    const fit_setting setting{command_line, ctx.name(), input.data.description(), input.data.column_names()};
    if (!command.model_path.empty())
        writing([&] { gmm::save(result.best.model, command.model_path, input.data.column_names()); });
    json summary = select_json(result, options, setting);
    tell_negligible(command.output, result.best.negligible, summary);
    add_left_out(summary, input.notes);
    write_json(command.output, summary);
    if (!command.output.report.empty())
        write_report(command, result, ctx, input.data, command_line);
    print_results(command.output, select_text(result, setting));
    return result.interrupted ? exit_status::interrupted : exit_status::success;
}

void add_model_options(parser& app, select_command& command) {
    app.add_option("-k,--components", command.components, "Numbers of components: 1:10, 2:20:2, or 1,2,5")
        ->delimiter(',')
        ->type_name("K,...")
        ->capture_default_str()
        ->group("Models");
    app.add_option("--families", command.families,
                   "Covariances: full, tied, diagonal, spherical, tied_diagonal, tied_spherical")
        ->delimiter(',')
        ->type_name("FAMILY,...")
        ->capture_default_str()
        ->group("Models");
    add_regularization_options(app, command.fit.fit);
}

void add_choice_options(parser& app, select_command& command) {
    app.add_option("--criterion", command.criterion, "bic, aic, icl, validation or cross-validation")
        ->type_name("NAME")
        ->capture_default_str()
        ->group("Choice");
    command.fraction = app.add_option("--validation-fraction", command.library.validation_fraction,
                                      "Share of the rows that --criterion validation holds out")
                           ->type_name("F")
                           ->capture_default_str()
                           ->group("Choice");
    command.folds = app.add_option("--folds", command.library.folds,
                                   "Folds of --criterion cross-validation (default: 5, or as many as rows)")
                        ->type_name("N")
                        ->group("Choice");
    app.add_flag("--one-standard-error", command.library.one_standard_error,
                 "Of the models within one standard error of the best on held-out rows, that with the fewest "
                 "parameters")
        ->group("Choice");
}

} // namespace

void add_mixture_select(parser& mixture, invocation& call) {
    parser* app = mixture.add_subcommand("select", "Choose the number of components and the family");
    const auto command = std::make_shared<select_command>();
    add_data_options(*app, command->data);
    add_weights_option(*app, command->data);
    add_known_labels_option(*app, command->data);
    add_model_options(*app, *command);
    add_choice_options(*app, *command);
    app->add_option("--start", command->start, "Start: automatic, kmeans, kmeans++, random or samples")
        ->type_name("METHOD")
        ->capture_default_str()
        ->group("Fit");
    add_iteration_options(*app, command->fit);
    add_prior_options(*app, command->prior);
    add_device_options(*app, command->device);
    app->add_option("--jobs", command->library.jobs, "Fits side by side; 0 chooses by their size")
        ->type_name("N")
        ->capture_default_str()
        ->group("Device");
    add_model_output_option(*app, command->model_path);
    add_output_options(*app, command->output);
    add_report_option(*app, command->output);
    app->footer("Example: elbo mixture select faithful.csv -k 1:6 --families full,tied -o model.safetensors");
    app->callback([command, &call] { call.run = [command, &call] { return run(*command, call.command_line); }; });
}

} // namespace elbo::cli
