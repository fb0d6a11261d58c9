#include "host/cli/vae/pictures.hpp"

#include "elbo/vae/infer.hpp"

namespace elbo::cli {

namespace {

struct sample_command {
    std::string model_path;
    std::int64_t count = 0;
    vae::sample_options typed;
    device_options device;
    output_options output;
    picture_rows rows;

    void add_options(parser& app) {
        app.add_option("MODEL", model_path, vae_kind::argument_help)->required();
        add_count_option(app, count);
        add_seed_option(app, typed.seed);
        app.add_flag("--means", typed.means, "Means of p(x|z) instead of draws of x");
        app.add_option("--row-sum", typed.row_sum, "With library size: what rows shall add up to on average")
            ->type_name("N")
            ->capture_default_str();
        add_device_options(app, device);
        add_output_options(app, output);
        rows.add(app, "the first samples");
    }

    exit_status run(const std::string& command_line) const {
        check_count(count);
        command_files files = rows.files(output);
        files.inputs.push_back(model_path);
        files.outputs.push_back(output.json);
        check_files(files);
        const interrupt_guard guard;
        const vae::model model = vae::model::load(model_path);
        const std::int64_t d = model.architecture().dimensions;
        const auto size = image_size_of(rows.pictures, d);
        const context ctx = make_context(device);
        row_output drawn = rows.open(count, column_names_of(model.architecture()));
        std::vector<float> images; // of the picture
        vae::sample(ctx, model, count, typed, [&](std::int64_t, matrix_view<const float> part) {
            drawn.append(part);
            if (rows.pictures.png.empty())
                return;
            for (std::int64_t i = 0; i < part.rows && std::ssize(images) < report::largest_tile_count * d; ++i)
                images.insert(images.end(), part.row(i), part.row(i) + d);
        });
        drawn.close();
        if (!rows.pictures.png.empty())
            write_png(rows.pictures.png, images, *size);
        findings found(command_line, ctx);
        found.summary.update({{"model", model_path},
                              {"samples", count},
                              {"dimensions", d},
                              {"seed", typed.seed},
                              {"means", typed.means}});
        write_json(output, found.summary);
        if (!drawn.printed())
            print_results(output, fmt::format("{}: {} samples of {} ({})\n", rows.written(), count, model_path,
                                              describe(model.architecture())));
        return exit_status::success;
    }
};

} // namespace

void add_vae_sample(parser& vae, invocation& call) {
    add_command<sample_command>(vae, call, "sample", "Draw z from the prior, then x from p(x|z)");
}

} // namespace elbo::cli
