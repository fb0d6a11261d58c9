#include "host/cli/mixture/model.hpp"

#include "elbo/gmm/infer.hpp"

namespace elbo::cli {

namespace {

struct sample_command {
    std::string model_path;
    std::int64_t count = 0;
    std::uint64_t seed = 0;
    device_options device;
    output_options output;
    row_options rows;
    std::string label_path;

    void add_options(parser& app) {
        app.add_option("MODEL", model_path, mixture_kind::argument_help)->required();
        add_count_option(app, count);
        add_seed_option(app, seed);
        add_device_options(app, device);
        rows.add(app, "the rows");
        app.add_option("--labels", label_path, "Write the component that each row was drawn from", "FILE", "Output");
        add_output_options(app, output);
        add_report_option(app, output);
    }

    void write_labels(const gmm::sample_result& sample) const {
        auto writer = io::matrix_writer::open(label_path, count, 1, io::output_type::int32, {"component"});
        writing([&] {
            writer.append(matrix_view<const std::int32_t>(sample.labels.data(), count, 1));
            writer.close();
        });
    }

    void write_report(const context& ctx, const gmm::saved_model& saved, const gmm::sample_result& sample,
                      const std::string& command_line) const {
        const data_source drawn(matrix_view<const double>(sample.x.data(), count, saved.model.dimensions()));
        report::mixture_page page =
            make_page(ctx, saved.model, drawn, {{"samples", std::to_string(count)}, {"seed", std::to_string(seed)}},
                      command_line);
        page.column_names = column_names_of(saved);
        page.title = fmt::format("Samples of {}", model_path);
        write_text(output.report, report::render(page));
    }

    exit_status run(const std::string& command_line) const {
        check_count(count);
        command_files files = rows.files(output);
        files.inputs = {model_path};
        files.outputs = {output.json, output.report};
        files.rows.push_back(label_path);
        check_files(files);
        const interrupt_guard guard;
        const gmm::saved_model saved = gmm::load_saved(model_path);
        const context ctx = make_context(device);
        const gmm::sample_result sample = gmm::sample(ctx, saved.model, count, seed);
        throw_if_interrupted();
        row_output drawn = rows.open(count, column_names_of(saved));
        drawn.append(sample.x.data(), count);
        drawn.close();
        if (!label_path.empty())
            write_labels(sample);
        findings found(command_line, ctx);
        found.summary.update(
            {{"model", model_path}, {"samples", count}, {"dimensions", saved.model.dimensions()}, {"seed", seed}});
        write_json(output, found.summary);
        if (!output.report.empty())
            write_report(ctx, saved, sample, command_line);
        if (!drawn.printed())
            print_results(output, fmt::format("{}: {} samples of {} ({})\n", rows.path, count, model_path,
                                              describe(saved.model)));
        return exit_status::success;
    }
};

} // namespace

void add_mixture_sample(parser& mixture, invocation& call) {
    add_command<sample_command>(mixture, call, "sample", "Draw samples of a model");
}

} // namespace elbo::cli
