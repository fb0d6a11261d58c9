#include "host/cli/core/fit_command.hpp"
#include "host/cli/vae/model.hpp"
#include "host/io/sources.hpp"
#include "host/vae/fields.hpp"
#include "host/vae/train/options.hpp"
#include "kernels/math/likelihood/families.hpp"

namespace elbo::cli {
namespace {

// "200,200", or "none" for a linear map.
std::vector<std::int64_t> widths_from_string(const char* option, const std::string& text) {
    std::vector<std::int64_t> widths;
    if (text == "none")
        return widths;
    for (const std::string& part : split(text, ',')) {
        const std::optional<std::int64_t> width = number_of<std::int64_t>(part);
        if (!width)
            throw invalid_argument(
                fmt::format("{} {}: expected widths of layers, as in 200,200, or none", option, text));
        widths.push_back(*width);
    }
    return widths;
}

void set_schedule(vae::schedule& schedule, const std::string& name) {
    const std::size_t form = place_of("--schedule", name, {"constant", "steps", "cosine", "burda"});
    if (form < 3) {
        schedule.form = static_cast<vae::schedule::kind>(form);
        return;
    }
    const std::int64_t warm_up = schedule.warm_up_steps;
    schedule = vae::schedule::burda();
    schedule.warm_up_steps = warm_up;
}

/// --likelihood, and --sigma, --blocks, ... for its members.
void add_likelihood_options(parser& app, vae::likelihood& form) {
    for_each_field<vae::likelihood>([&](const auto& f) {
        using type = std::remove_cvref_t<decltype(form.*f.member)>;
        std::string name = f.name == "scale" ? "gaussian_scale" : std::string(f.name);
        std::replace(name.begin(), name.end(), '_', '-');
        const char* const value = is_list<type> ? "A,B,..." : named<type> ? "NAME" : "NUMBER";
        add_field(app, "--" + name, form, f.member, value, "Model");
    });
}

/// The network as options give it.
struct architecture_options {
    vae::architecture typed;
    std::optional<std::int64_t> latent; ///< none: 2, or the dimensions for a sphere
    std::string encoder = "400";        ///< widths, or "none"
    std::string decoder;                ///< empty: those of the encoder backwards
    std::string encoder_input;          ///< empty: log1p for counts, else identity

    void add_options(parser& app) {
        constexpr const char* group = "Model";
        using a = vae::architecture;
        add_likelihood_options(app, typed.likelihood);
        app.add_option("--latent", latent, help_of(&a::latent), "L", group);
        app.add_option("--encoder", encoder, help_of(&a::encoder), "A,B,...", group);
        app.add_option("--decoder", decoder, help_of(&a::decoder), "A,B,...", group);
        add_field(app, "--activation", typed, &a::hidden, "NAME", group);
        add_field(app, "--decoder-form", typed, &a::decoder_form, "NAME", group);
        app.add_option("--encoder-input", encoder_input, help_of(&a::encoder_input), "NAME", group);
    }

    /// Throws invalid_argument.
    vae::architecture parsed(std::int64_t dimensions) const {
        vae::architecture a = typed;
        a.dimensions = dimensions;
        a.encoder = widths_from_string("--encoder", encoder);
        a.decoder = a.encoder;
        std::reverse(a.decoder.begin(), a.decoder.end());
        if (!decoder.empty())
            a.decoder = widths_from_string("--decoder", decoder);
        std::vector<std::int64_t>& blocks = a.likelihood.blocks;
        if (const std::int64_t size = blocks.size() == 1 ? blocks[0] : 0; size > 0 && dimensions % size == 0)
            blocks.assign(static_cast<std::size_t>(dimensions / size), size);
        if (kernels::facts_of(a.likelihood.family).counts)
            a.encoder_input = vae::encoder_input::log1p;
        if (!encoder_input.empty())
            a.encoder_input = vae::encoder_input_from_string(encoder_input);
        const bool sphere = a.decoder_form == vae::decoder_kind::sphere;
        a.latent = latent.value_or(sphere ? dimensions : 2);
        if (sphere) {
            if (!decoder.empty())
                throw invalid_argument(fmt::format(
                    "--decoder {}: expected none with --decoder-form sphere, which has no layers", decoder));
            a.decoder.clear();
        }
        a.check();
        return a;
    }
};

void add_optimizer_options(parser& app, vae::train_options& t, std::string& schedule) {
    constexpr const char* group = "Optimiser";
    using o = vae::optimizer;
    using s = vae::schedule;
    add_field(app, "--optimizer", t.optimizer, &o::kind, "NAME", group);
    add_field(app, "--learning-rate", t.optimizer, &o::learning_rate, "R", group);
    add_field(app, "--beta1", t.optimizer, &o::beta1, "B", group);
    add_field(app, "--beta2", t.optimizer, &o::beta2, "B", group);
    add_field(app, "--epsilon", t.optimizer, &o::epsilon, "E", group);
    add_field(app, "--weight-decay", t.optimizer, &o::weight_decay, "D", group);
    add_field(app, "--momentum", t.optimizer, &o::momentum, "M", group);
    add_field(app, "--clip-norm", t.optimizer, &o::clip_norm, "C", group);
    app.add_option("--schedule", schedule, help_of(&s::form), "FORM", group);
    add_field(app, "--boundaries", t.schedule, &s::boundaries, "A,B,...", group);
    add_field(app, "--factors", t.schedule, &s::factors, "A,B,...", group);
    add_field(app, "--final-factor", t.schedule, &s::final_factor, "F", group);
    add_field(app, "--warm-up-steps", t.schedule, &s::warm_up_steps, "N", group);
    add_field(app, "--average-decay", t, &vae::train_options::average_decay, "D", group);
}

void add_objective_options(parser& app, vae::train_options& t) {
    constexpr const char* group = "Objective";
    using o = vae::train_options;
    add_field(app, "--objective", t, &o::objective, "NAME", group);
    add_field(app, "--estimator", t, &o::estimator, "NAME", group);
    add_field(app, "--samples", t, &o::samples, "S", group);
    add_field(app, "--beta", t, &o::beta, "B", group);
    add_field(app, "--kl-warm-up", t, &o::kl_warm_up_epochs, "E", group);
    add_field(app, "--free-bits", t, &o::free_bits, "L", group);
    add_field(app, "--binarize", t, &o::binarize, "", group);
}

/// How it is trained.
struct training_options {
    vae::train_options typed;
    std::string schedule = "constant"; ///< a form, or burda
    std::string start;                 ///< model file

    void add_options(parser& app) {
        constexpr const char* group = "Training";
        using o = vae::train_options;
        using c = vae::checkpoint_options;
        add_field(app, "--epochs", typed, &o::epochs, "E", group);
        add_field(app, "--batch", typed, &o::batch, "B", group);
        add_field(app, "--patience", typed, &o::patience, "E", group);
        add_field(app, "--seed", typed, &o::seed, "S", group);
        add_field(app, "--precision", typed, &o::precision, "TYPE", group);
        app.add_option("--start", start, help_of(&o::start), "MODEL", group);
        add_field(app, "--memory-limit", typed, &o::memory_limit, "BYTES", group);
        add_field(app, "--checkpoint", typed.checkpoint, &c::path, "FILE", group);
        add_field(app, "--checkpoint-every", typed.checkpoint, &c::every_seconds, "SECONDS", group);
        add_field(app, "--checkpoint-epochs", typed.checkpoint, &c::every_epochs, "E", group);
        add_field(app, "--resume", typed, &o::resume, "FILE", group);
        add_objective_options(app, typed);
        add_optimizer_options(app, typed, schedule);
    }

    /// Throws invalid_argument, and file_error for a model to start from.
    vae::train_options parsed() const {
        vae::train_options t = typed;
        set_schedule(t.schedule, schedule);
        if (!start.empty())
            t.start = vae::model::load(start);
        return t;
    }
};

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

    void add_options(parser& app) {
        add_inputs(app);
        add_scale_option(app, data);
        app.add_option(labels_option, data.labels);
        app.add_option("--validation", validation_path, "Data that is evaluated after each epoch; columns as DATA",
                       "FILE", "Data");
        app.add_option("--validation-fraction", validation_fraction,
                       "Share of the rows of DATA that is held out for validation", "F", "Data");
        architecture.add_options(app);
        training.add_options(app);
        add_outputs(app);
        add_png_option(app, pictures, "samples of the model");
        app.footer("Example: elbo vae train train-images-idx3-ubyte.gz --latent 20 --encoder 400 -o model.safetensors");
    }

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

    train_data open(const model_columns& start) const {
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

    void take(const input& rows, options& plan) const {
        const std::vector<std::string> names = std::move(plan.architecture.column_names); // of the model to begin with
        plan.architecture = plan.start ? plan.start->architecture() : architecture.parsed(rows.training.cols());
        const std::int64_t d = plan.architecture.dimensions;
        if (plan.start)
            check_columns(training.start, d, "dimensions", rows.training);
        if (data.by_position && std::ssize(names) == d)
            plan.architecture.column_names = names; // whatever the data calls them
        image_size_of(pictures, d);                 // refused before the work
    }

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
            write_png(pictures.png,
                      vae::sample(work.ctx, m, report::largest_tile_count, {.seed = work.options.seed, .means = true}),
                      *image_size_of(pictures, m.architecture().dimensions));
    }

    findings found(const fitted<vae_fit>& work) const {
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
            found.tell("reconstruction",
                       fmt::format(nats, r->validation_reconstruction.value_or(r->train_reconstruction)));
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

    std::string page(const fitted<vae_fit>& work, report::heading about) const {
        const train_data& rows = work.input;
        const vae::model& m = work.fit.model;
        about.facts.insert(about.facts.begin(),
                           {{"samples", std::to_string(rows.training.rows())},
                            {"dimensions", std::to_string(work.data().cols())},
                            {"latent units", std::to_string(m.architecture().latent)},
                            {"likelihood", std::string(to_string(m.architecture().likelihood.family))}});
        report::vae_page page = make_vae_page(work.ctx, m, rows, rows.validation.value_or(rows.training), pictures,
                                              work.options.seed, about);
        page.history = work.fit.history;
        page.rows_name = rows.validation ? "validation data" : "training data";
        return report::render(page);
    }

    std::string text(const fitted<vae_fit>& work, const fact_list& facts) const {
        return fit_text("Variational autoencoder of " + work.data().description(),
                        describe(work.fit.model.architecture()), fmt::format("{} samples", work.input.training.rows()),
                        work.ctx, facts, history_text(work.fit.history));
    }
};

} // namespace

void add_vae_train(parser& vae, invocation& call) {
    add_command<fit_command<vae_fit>>(vae, call, "train", "Train a variational autoencoder on data");
}

} // namespace elbo::cli
