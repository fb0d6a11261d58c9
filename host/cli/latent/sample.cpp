#include "host/cli/latent/model.hpp"

#include <algorithm>

namespace elbo::cli {

namespace {

struct sample_command {
    std::string model_path;
    std::int64_t count = 0;
    std::uint64_t seed = 0;
    output_options output;
    row_options rows;

    void add_options(parser& app) {
        app.add_option("MODEL", model_path, latent_kind::argument_help)->required();
        add_count_option(app, count);
        add_seed_option(app, seed);
        rows.add(app, "the rows");
        add_output_options(app, output);
    }

    /// In parts, so that memory does not grow with the count.
    template <class Model>
    void draw(const Model& m, row_output& drawn) const {
        const std::int64_t part = std::max<std::int64_t>(1, (std::int64_t(1) << 20) / m.dimensions());
        for (std::int64_t first = 0; first < count; first += part) {
            const std::int64_t n = std::min(part, count - first);
            drawn.append(latent::sample_rows(m, first, n, seed).x.data(), n);
        }
    }

    exit_status run(const std::string& command_line) const {
        check_count(count);
        command_files files = rows.files(output);
        files.inputs = {model_path};
        files.outputs = {output.json};
        check_files(files);
        const interrupt_guard guard;
        const saved_latent_model saved = load_latent_model(model_path);
        row_output drawn = rows.open(count, column_names_of(saved));
        std::visit([&](const auto& m) { draw(m, drawn); }, saved.model);
        drawn.close();
        findings found(command_line);
        found.add("model", model_path);
        found.add("samples", count);
        add_shape(found.summary, saved.model);
        found.add("seed", seed);
        write_json(output, found.summary);
        if (!drawn.printed())
            print_results(output, fmt::format("{}: {} samples of {} ({})\n", rows.path, count, model_path,
                                              describe(saved.model)));
        return exit_status::success;
    }
};

} // namespace

void add_latent_sample(parser& latent, invocation& call) {
    add_command<sample_command>(latent, call, "sample", "Draw samples of a model");
}

} // namespace elbo::cli
