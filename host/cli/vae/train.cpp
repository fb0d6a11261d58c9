#include "host/cli/core/fit_command.hpp"
#include "host/cli/vae/options.hpp"
#include "host/cli/vae/pictures.hpp"
#include "host/io/split.hpp"
#include "host/vae/train/fields.hpp"
#include "host/vae/train/options.hpp"

#include "elbo/vae/train.hpp"

#include <algorithm>
#include <fmt/format.h>
#include <optional>

namespace elbo::cli {

namespace {

constexpr const char* nats = "{:.4f} nats per sample";

std::string stopping(const vae::train_result& result) {
    switch (result.stopped) {
    case vae::train_stop::completed:
        return fmt::format("completed {} epochs, {} steps", result.epochs, result.steps);
    case vae::train_stop::early_stopping:
        return fmt::format("stopped early after {} epochs; the best is epoch {}", result.epochs, result.best_epoch);
    case vae::train_stop::interrupted:
        return fmt::format("interrupted after {} epochs, {} steps", result.epochs, result.steps);
    }
    return {};
}

std::string objective_text(const vae::train_options& o) {
    std::string text(to_string(o.objective));
    if (o.samples > 1)
        text += fmt::format(", {} draws", o.samples);
    if (o.estimator != vae::gradient_estimator::standard)
        text += fmt::format(", {}", to_string(o.estimator));
    if (o.beta != 1)
        text += fmt::format(", beta {:g}", o.beta);
    if (o.free_bits > 0)
        text += fmt::format(", free bits {:g}", o.free_bits);
    return text + (o.binarize ? ", binarised anew at each use" : "");
}

// The epoch whose bound is that of the returned model, the best or the last; none after a stop inside an epoch.
const vae::epoch_record* record_of_result(const vae::train_result& result) {
    const auto found = std::find_if(result.history.rbegin(), result.history.rend(), [&](const vae::epoch_record& r) {
        return r.validation_elbo.value_or(r.train_elbo) == result.elbo;
    });
    return found == result.history.rend() ? nullptr : &*found;
}

// Rows of the record, shortened to about ten lines, always with the first and the last.
std::string history_text(const std::vector<vae::epoch_record>& history) {
    if (history.empty())
        return {};
    constexpr std::size_t wanted = 10;
    const std::size_t step = history.size() / wanted + 1;
    std::vector<std::vector<std::string>> table{{"epoch", "ELBO", "reconstruction", "KL", "validation ELBO"}};
    for (std::size_t i = 0; i < history.size(); ++i) {
        const vae::epoch_record& r = history[i];
        if (i % step == 0 || i + 1 == history.size())
            table.push_back({std::to_string(r.epoch), fmt::format("{:.4f}", r.train_elbo),
                             fmt::format("{:.4f}", r.train_reconstruction), fmt::format("{:.4f}", r.train_kl),
                             r.validation_elbo ? fmt::format("{:.4f}", *r.validation_elbo) : "-"});
    }
    return text_table(table);
}

/// What is trained on and what is held out.
struct train_data : input_data {
    data_source training;
    std::optional<data_source> validation = {};
};

struct train_plan : vae::train_options {
    vae::architecture architecture;
};

struct vae_fit : fit_inputs {
    using input = train_data;
    using options = train_plan;
    using result = vae::train_result;

    std::string validation_path;
    std::optional<double> validation_fraction;
    architecture_options architecture;
    training_options training;
    picture_options pictures;

    void add_options(parser& app);

    command_files files() const {
        const vae::train_options& typed = training.typed;
        command_files files =
            files_with({validation_path, training.start, typed.resume}, {typed.checkpoint.path, pictures.png});
        files.updated = typed.resume; // training goes on in its checkpoint
        return files;
    }

    options prepare(model_columns& start) const {
        options plan{training.parsed(), {}};
        const std::string& path = plan.resume.empty() ? training.start : plan.resume;
        if (!path.empty())
            start = {vae::model::load(path).architecture().column_names, path};
        plan.architecture.column_names = start.names;
        return plan;
    }

    input open(const model_columns& start) const;
    void take(const input& rows, options& plan) const;

    void announce(const context& ctx, const input& rows, const options& plan) const {
        const vae::architecture& a = plan.architecture;
        const std::int64_t bytes = a.training_bytes(vae::batch_of(plan, rows.training.rows()), plan.samples);
        note(output, fmt::format("{}, {} columns; {}; {} parameters, {:.3g} MB a step", describe(rows),
                                 rows.data.cols(), ctx.name(), a.parameters(), 1e-6 * static_cast<double>(bytes)));
    }

    result fit(const context& ctx, const input& rows, const options& plan) const {
        return vae::train(ctx, plan.architecture, rows.training, plan, rows.validation);
    }

    void save(const fitted<vae_fit>& work) const {
        const vae::model& m = work.fit.model;
        if (!model_path.empty())
            writing([&] { m.save(model_path); });
        if (!pictures.png.empty())
            write_png(pictures.png, picture_samples(work.ctx, m, work.options.seed),
                      *image_size_of(pictures, m.architecture().dimensions));
    }

    findings found(const fitted<vae_fit>& work) const;
    std::string page(const fitted<vae_fit>& work, report::heading about) const;

    std::string text(const fitted<vae_fit>& work, const fact_list& facts) const {
        return fit_text("Variational autoencoder of " + work.data().description(),
                        describe(work.fit.model.architecture()), fmt::format("{} samples", work.input.training.rows()),
                        work.ctx, facts, history_text(work.fit.history));
    }
};

train_data vae_fit::open(const model_columns& start) const {
    const double fraction = validation_fraction.value_or(0);
    if (!validation_path.empty() && fraction != 0)
        throw invalid_argument("--validation and --validation-fraction: expected one of them");
    const input_data all = fit_inputs::open(start);
    train_data rows{all, all.data};
    if (!validation_path.empty()) {
        rows.validation = open_alike(data, validation_path, {all.data.column_names(), all.data.description()});
    } else if (fraction != 0) {
        io::data_parts parts = io::split(all.data, fraction, training.typed.seed);
        rows.training = std::move(parts.training);
        rows.validation = std::move(parts.validation);
    }
    return rows;
}

void vae_fit::take(const input& rows, options& plan) const {
    const std::vector<std::string> names = std::move(plan.architecture.column_names); // of the model to begin with
    plan.architecture = plan.start ? plan.start->architecture() : architecture.parsed(rows.training.cols());
    const std::int64_t d = plan.architecture.dimensions;
    if (plan.start)
        check_columns(training.start, d, "dimensions", rows.training);
    if (data.by_position && std::ssize(names) == d)
        plan.architecture.column_names = names; // whatever the data calls them
    image_size_of(pictures, d);                 // refused before the work
}

findings vae_fit::found(const fitted<vae_fit>& work) const {
    const result& fit = work.fit;
    const vae::architecture& a = fit.model.architecture();
    const double total = work.seconds_opening + fit.seconds;
    findings found(work.command_line, work.ctx);
    found.add("samples", work.input.training.rows());
    found.add("validation_samples", work.input.validation ? work.input.validation->rows() : 0);
    found.add("scale", work.input.scale);
    add_architecture(found.summary, a);
    found.add(fit, &result::epochs, &result::steps, &result::stopped, &result::best_epoch);
    found.tell("training", stopping(fit));
    found.add("elbo", work.input.validation ? "ELBO (validation)" : "ELBO (training)", fit.elbo, nats);
    if (const vae::epoch_record* r = record_of_result(fit)) {
        found.tell("reconstruction", fmt::format(nats, r->validation_reconstruction.value_or(r->train_reconstruction)));
        found.tell("KL", fmt::format(nats, r->validation_kl.value_or(r->train_kl)));
    }
    found.tell("parameters", std::to_string(a.parameters()));
    found.tell("objective", objective_text(work.options));
    add_own(found.summary, fit.model);
    if (const std::string own = own_text(fit.model); !own.empty())
        found.tell(own_name(fit.model), own);
    found.add(fit, &result::samples_per_second);
    found.add("seconds", {{"load", work.seconds_opening}, {"training", fit.seconds}, {"total", total}});
    found.tell("time", fmt::format("{} (load {})", duration_text(total), duration_text(work.seconds_opening)));
    found.tell("speed", fmt::format("{:.3g} samples per second", fit.samples_per_second));
    found.add("history", io::json_of(fit.history));
    return found;
}

std::string vae_fit::page(const fitted<vae_fit>& work, report::heading about) const {
    const train_data& rows = work.input;
    const vae::model& m = work.fit.model;
    about.facts.insert(about.facts.begin(),
                       {{"samples", std::to_string(rows.training.rows())},
                        {"dimensions", std::to_string(work.data().cols())},
                        {"latent units", std::to_string(m.architecture().latent)},
                        {"likelihood", std::string(to_string(m.architecture().likelihood.family))}});
    report::vae_page page =
        make_vae_page(work.ctx, m, rows, rows.validation.value_or(rows.training), pictures, work.options.seed, about);
    page.history = work.fit.history;
    page.rows_name = rows.validation ? "validation data" : "training data";
    return report::render(page);
}

void vae_fit::add_options(parser& app) {
    add_inputs(app);
    add_scale_option(app, data);
    add_labels_option(app, data);
    app.add_option("--validation", validation_path, "Data that is evaluated after each epoch; columns as DATA", "FILE",
                   "Data");
    app.add_option("--validation-fraction", validation_fraction,
                   "Share of the rows of DATA that is held out for validation", "F", "Data");
    architecture.add_options(app);
    training.add_options(app);
    add_outputs(app);
    add_png_option(app, pictures, "samples of the model");
    app.footer("Example: elbo vae train train-images-idx3-ubyte.gz --latent 20 --encoder 400 -o model.safetensors");
}

} // namespace

void add_vae_train(parser& vae, invocation& call) {
    add_command<fit_command<vae_fit>>(vae, call, "train", "Train a variational autoencoder on data");
}

} // namespace elbo::cli
