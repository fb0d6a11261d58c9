#include "host/cli/core/interrupt.hpp"
#include "host/cli/core/report_page.hpp"
#include "host/cli/core/row_output.hpp"
#include "host/cli/core/status_line.hpp"
#include "host/cli/core/text_table.hpp"
#include "host/cli/vae/apply.hpp"
#include "host/cli/vae/pictures.hpp"
#include "host/cli/vae/summary.hpp"

#include <fmt/format.h>
#include <memory>

namespace elbo::cli {

namespace {

struct evaluate_command {
    vae_apply_options apply;
    vae::evaluate_options evaluate;
    picture_options pictures;
    std::string row_path;
};

void write_rows(const std::string& path, const vae::row_bounds& bounds) {
    const bool importance = !bounds.log_likelihood_bound.empty();
    std::vector<std::string> names{"elbo"};
    if (importance)
        names.push_back("log_likelihood_bound");
    std::vector<double> rows;
    for (std::size_t i = 0; i < bounds.elbo.size(); ++i) {
        rows.push_back(bounds.elbo[i]);
        if (importance)
            rows.push_back(bounds.log_likelihood_bound[i]);
    }
    const auto count = std::ssize(bounds.elbo);
    row_output output(path, count, names, io::output_type::float64);
    output.append(matrix_view<const double>(rows.data(), count, std::ssize(names)));
    output.close();
}

void write_report(const evaluate_command& command, const vae_applied& work, const vae::evaluation& e,
                  const std::string& command_line) {
    report::vae_page page =
        make_vae_page(work.ctx, work.model, work.input, work.input.data, command.pictures, command.evaluate.seed);
    page.title = fmt::format("{} on {}", command.apply.model_path, work.input.data.description());
    page.facts = evaluation_facts(e);
    page.evaluated = e;
    page.command = command_line;
    page.made_by = made_by(work.ctx);
    write_text(command.apply.output.report, report::render(page));
}

exit_status run(const evaluate_command& command, const std::string& command_line) {
    const output_options& output = command.apply.output;
    check_files(
        {.inputs = files_of(command.apply), .outputs = {output.json, output.report}, .rows = {command.row_path}});
    const interrupt_guard guard;
    const vae_applied work = open(command.apply);
    image_size_of(command.pictures, work.model.architecture().dimensions); // refused before the work
    vae::evaluate_options options = command.evaluate;
    const bool each = !command.row_path.empty();
    vae::row_bounds bounds;
    vae::evaluation e;
    {
        status_line progress(output.quiet);
        options.callback = [&](std::int64_t done, std::int64_t rows) {
            if (progress.due())
                progress.show(fmt::format("{} of {} rows", done, rows));
            return !interrupt_requested();
        };
        e = vae::evaluate(work.ctx, work.model, work.input.data, options, each ? &bounds : nullptr);
    }
    if (each)
        write_rows(command.row_path, bounds);
    json summary = summary_head(command_line, command.apply, work);
    add_evaluation(summary, e);
    summary["seconds"] = e.seconds;
    write_json(output, summary);
    if (!output.report.empty())
        write_report(command, work, e, command_line);
    print_results(output, fmt::format("{} ({}) on {}\n\n", command.apply.model_path,
                                      describe(work.model.architecture()), describe(work.input)) +
                              text_list(evaluation_facts(e)));
    return exit_status::success;
}

} // namespace

void add_vae_evaluate(parser& vae, invocation& call) {
    parser* app = vae.add_subcommand("evaluate", "ELBO, its terms, active units and the importance bound on data");
    const auto command = std::make_shared<evaluate_command>();
    add_vae_apply_options(*app, command->apply);
    add_labels_option(*app, command->apply.data);
    app->add_option("--samples", command->evaluate.samples, "Draws of z a row for the ELBO")
        ->type_name("S")
        ->capture_default_str();
    app->add_option("--importance-samples", command->evaluate.importance_samples,
                    "Draws of z a row for the importance bound on log p(x); 0: none")
        ->type_name("S")
        ->capture_default_str();
    app->add_flag("--binarize", command->evaluate.binarize, "bernoulli: draw x once, with the values as probabilities");
    add_seed_option(*app, command->evaluate.seed);
    app->add_option("-o,--output", command->row_path, "Write the bounds of every row (.csv, .npy, .f32, .f64, .h5)")
        ->type_name("FILE")
        ->group("Output");
    add_report_option(*app, command->apply.output);
    add_image_option(*app, command->pictures);
    app->callback([command, &call] { call.run = [command, &call] { return run(*command, call.command_line); }; });
}

} // namespace elbo::cli
