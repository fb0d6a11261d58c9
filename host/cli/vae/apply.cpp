// The commands that take rows through an autoencoder, or draw them: evaluate, encode, decode, reconstruct, sample,
// interpolate and info.
#include "host/cli/vae/model.hpp"
#include "host/vae/fields.hpp"

#include "elbo/vae/infer.hpp"

namespace elbo::cli {
namespace {

void add_evaluation(findings& found, const vae::evaluation& e) {
    found.tell("samples", std::to_string(e.rows));
    using s = vae::evaluation;
    found.add(e, &s::elbo, &s::elbo_standard_error, &s::reconstruction, &s::kl, &s::kl_per_unit, &s::unit_activity,
              &s::active_units);
    found.tell("ELBO", fmt::format("{:.4f} nats per sample (standard error {:.2g})", e.elbo, e.elbo_standard_error));
    found.tell("reconstruction", fmt::format(nats, e.reconstruction));
    found.tell("KL", fmt::format(nats, e.kl));
    found.tell("active units", fmt::format("{} of {}", e.active_units, e.kl_per_unit.size()));
    if (!e.log_likelihood_bound)
        return;
    found.add(e, &s::importance_samples, &s::log_likelihood_bound, &s::log_likelihood_standard_error,
              &s::effective_sample_size);
    found.tell("log-likelihood bound",
               fmt::format("{:.4f} nats per sample ({} importance samples, standard error {:.2g})",
                           *e.log_likelihood_bound, e.importance_samples, e.log_likelihood_standard_error.value_or(0)));
    found.tell("effective samples", fmt::format("{:.1f}", e.effective_sample_size.value_or(0)));
}

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
    row_output output(path, std::ssize(bounds.elbo), names);
    output.append(rows.data(), std::ssize(bounds.elbo));
    output.close();
}

class evaluate_command : public apply_command<vae_kind> {
    vae::evaluate_options typed;
    picture_options pictures;
    std::string row_path;
    vae::evaluation evaluated;

    vae::evaluation evaluate(const applied<vae_kind>& work, vae::row_bounds* bounds) const {
        vae::evaluate_options options = typed;
        progress_line progress(output.quiet);
        options.callback = [&](std::int64_t done, std::int64_t rows) {
            progress.show(done, rows);
            return !interrupt_requested();
        };
        return vae::evaluate(work.ctx, work.saved, work.data(), options, bounds);
    }

public:
    void add_options(parser& app) override {
        add_common(app);
        app.add_option(labels_option, data.labels);
        using o = vae::evaluate_options;
        add_field(app, "--samples", typed, &o::samples, "S", "");
        add_field(app, "--importance-samples", typed, &o::importance_samples, "S", "");
        add_field(app, "--binarize", typed, &o::binarize, "", "");
        app.add_option(seed_option, typed.seed);
        app.add_option("-o,--output", row_path, "Write the bounds of every row (.csv, .npy, .f32, .f64, .h5)", "FILE",
                       "Output");
        app.add_option(report_option, output.report);
        app.add_option(image_option, pictures.image);
    }

    command_files files() const override { return {.inputs = {}, .outputs = {}, .rows = {row_path}}; }

    std::string apply(const applied<vae_kind>& work, findings& found) override {
        image_size_of(pictures, vae_kind::dimensions(work.saved)); // refused before the work
        vae::row_bounds bounds;
        evaluated = evaluate(work, row_path.empty() ? nullptr : &bounds);
        if (!row_path.empty())
            write_rows(row_path, bounds);
        add_evaluation(found, evaluated);
        found.add("seconds", evaluated.seconds);
        return fmt::format("{} ({}) on {}\n\n", model_path, work.describe(), describe(work.input)) +
               text_list(found.facts);
    }

    std::string page(const applied<vae_kind>& work, const fact_list& facts) const override {
        report::vae_page page = make_vae_page(work.ctx, work.saved, work.input, work.data(), pictures, typed.seed,
                                              {.title = fmt::format("{} on {}", model_path, work.data().description()),
                                               .facts = facts,
                                               .command = work.command_line});
        page.evaluated = evaluated;
        return report::render(page);
    }
};

class encode_command : public row_command<vae_kind> {
    std::string log_variance_path;

public:
    void add_options(parser& app) override {
        rows.type = "float32";
        add_common(app);
        add_rows_option(app, rows.path, "the means");
        app.add_option("--log-variances", log_variance_path, "Write the log-variances", "FILE", "Output");
        app.add_option(type_option, rows.type);
    }

    command_files files() const override {
        command_files files = row_command::files();
        files.rows.push_back(log_variance_path);
        return files;
    }

    std::string apply(const applied<vae_kind>& work, findings& /*found*/) override {
        const std::int64_t n = work.rows(), latent = work.saved.architecture().latent;
        row_output means = rows.open(n, numbered("mean", latent));
        row_output log_variances(log_variance_path, n, numbered("log_variance", latent),
                                 output_type_from_string(rows.type));
        vae::encode(work.ctx, work.saved, work.data(), [&](std::int64_t, matrix_view<const float> part) {
            const auto half = [&](std::int64_t first) {
                return matrix_view<const float>(part.data + first, part.rows, latent, part.stride, part.space);
            };
            means.append(half(0));
            log_variances.append(half(latent));
        });
        means.close();
        log_variances.close();
        return {means.printed() ? "" : fmt::format("{}: {} latent means of {}\n", rows.path, n, describe(work.input))};
    }
};

class decode_command : public row_command<vae_kind> {
public:
    void add_options(parser& app) override {
        rows.type = "float32";
        add_common(app);
        rows.add(app, "the means");
        app.footer("DATA holds one latent vector a row, as elbo vae encode writes them.");
    }

    // Rows of DATA are latent vectors, whose columns have no names of their own.
    model_columns columns(const vae::model& /*m*/) const override { return {{}, model_path}; }
    void check(const vae::model& m, const data_source& latents) const override {
        check_columns(model_path, m.architecture().latent, "latent units", latents);
    }

    std::string apply(const applied<vae_kind>& work, findings& /*found*/) override {
        row_output means = rows.open(work.rows(), work.column_names());
        vae::decode(work.ctx, work.saved, work.data(),
                    [&](std::int64_t, matrix_view<const float> part) { means.append(part); });
        means.close();
        return {means.printed()
                    ? ""
                    : fmt::format("{}: {} decoded rows of {}\n", rows.path, work.rows(), describe(work.input))};
    }
};

class reconstruct_command : public row_command<vae_kind, picture_rows> {
    void write_picture(const applied<vae_kind>& work, report::image_size size) const {
        const std::vector<double> some =
            report::evenly_spaced_rows(work.data(), report::largest_tile_count / 2, throw_if_interrupted);
        const std::vector<float> originals(some.begin(), some.end());
        const matrix_view<const float> view(originals.data(), std::ssize(originals) / size.pixels(), size.pixels());
        write_png(rows.pictures.png, originals, vae::reconstruct(work.ctx, work.saved, view), size);
    }

public:
    void add_options(parser& app) override {
        add_common(app);
        rows.add(app, "some rows above their reconstructions");
    }

    std::string apply(const applied<vae_kind>& work, findings& /*found*/) override {
        const auto size = image_size_of(rows.pictures, vae_kind::dimensions(work.saved));
        row_output means = rows.open(work.rows(), work.column_names());
        if (means)
            vae::reconstruct(work.ctx, work.saved, work.data(),
                             [&](std::int64_t, matrix_view<const float> part) { means.append(part); });
        means.close();
        if (!rows.pictures.png.empty())
            write_picture(work, *size);
        if (means.printed())
            return {};
        return {rows.path.empty()
                    ? fmt::format("{}: rows of {} above their reconstructions\n", rows.written(), describe(work.input))
                    : fmt::format("{}: {} reconstructed rows of {}\n", rows.path, work.rows(), describe(work.input))};
    }
};

class sample_command : public draw_command<vae_kind, picture_rows> {
    vae::sample_options typed;
    device_options device;

public:
    void add_options(parser& app) override {
        add_inputs(app);
        add_field(app, "--means", typed, &vae::sample_options::means, "", "");
        add_field(app, "--row-sum", typed, &vae::sample_options::row_sum, "N", "");
        add_device_options(app, device);
        add_output_options(app, output);
        rows.add(app, "the first samples");
    }

    bool draw(const vae::model& m, const std::string& /*command_line*/, findings& found) const override {
        const std::int64_t d = m.architecture().dimensions;
        const auto size = image_size_of(rows.pictures, d);
        const context ctx = make_context(device);
        row_output drawn = open(m);
        std::vector<float> images; // of the picture
        vae::sample_options options = typed;
        options.seed = seed;
        vae::sample(ctx, m, count, options, [&](std::int64_t, matrix_view<const float> part) {
            drawn.append(part);
            if (rows.pictures.png.empty())
                return;
            for (std::int64_t i = 0; i < part.rows && std::ssize(images) < report::largest_tile_count * d; ++i)
                images.insert(images.end(), part.row(i), part.row(i) + d);
        });
        drawn.close();
        if (!rows.pictures.png.empty())
            write_png(rows.pictures.png, images, *size);
        found.add("device", ctx.name());
        add_drawn(found);
        found.add("dimensions", d);
        found.add("seed", seed);
        found.add(typed, &vae::sample_options::means);
        return drawn.printed();
    }
};

class interpolate_command : public row_command<vae_kind, picture_rows> {
    std::int64_t from = 0, to = 1, steps = 12;

public:
    void add_options(parser& app) override {
        add_common(app);
        app.add_option("--from", from, "Row of DATA where the line begins, from 0", "ROW");
        app.add_option("--to", to, "Row where it ends", "ROW");
        app.add_option("--steps", steps, "Points of the line, ends included", "N");
        rows.add(app, "the points of the line");
    }

    std::string apply(const applied<vae_kind>& work, findings& found) override {
        const std::int64_t d = vae_kind::dimensions(work.saved);
        const auto size = image_size_of(rows.pictures, d);
        const std::vector<float> line = vae::interpolate(work.ctx, work.saved, row_of(work.data(), from, "--from"),
                                                         row_of(work.data(), to, "--to"), steps);
        row_output points = rows.open(steps, work.column_names());
        points.append(matrix_view<const float>(line.data(), steps, d));
        points.close();
        if (!rows.pictures.png.empty())
            write_png(rows.pictures.png, line, *size);
        found.add("from", from);
        found.add("to", to);
        found.add("steps", steps);
        return {points.printed() ? ""
                                 : fmt::format("{}: {} steps from row {} to row {} of {}\n", rows.written(), steps,
                                               from, to, describe(work.input))};
    }
};

} // namespace

void add_vae_apply(parser& vae, invocation& call) {
    add_command<evaluate_command>(vae, call, "evaluate",
                                  "ELBO, its terms, active units and the importance bound on data");
    add_command<encode_command>(vae, call, "encode", "Mean and log-variance of q(z|x) for every row");
    add_command<decode_command>(vae, call, "decode", "Mean of p(x|z) for every row z of a file of latents");
    add_command<reconstruct_command>(vae, call, "reconstruct", "Mean of p(x|z) at the mean of q(z|x) for every row");
    add_command<sample_command>(vae, call, "sample", "Draw z from the prior, then x from p(x|z)");
    add_command<interpolate_command>(vae, call, "interpolate",
                                     "Decode the straight line between the latents of two rows");
    add_command<info_command<vae_kind>>(vae, call, "info", "Print a model: layers, sizes, cost");
}

} // namespace elbo::cli
