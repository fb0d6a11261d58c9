#include "host/cli/core/fit_command.hpp"
#include "host/cli/latent/model.hpp"
#include "host/joined.hpp"
#include "host/latent/fields.hpp"

#include <map>

namespace elbo::cli {
namespace {

/// What fits of all kinds of model take.
struct latent_fit_options : fit_inputs {
    std::string kind = "ppca";
    std::optional<std::int64_t> latent, components;
    std::string start = "automatic";
    std::optional<double> noise_floor;
    bool no_acceleration = false;
    latent::factor_options typed;                 ///< what all kinds have in common
    std::vector<option> of_components, of_starts; ///< options without a meaning for some models and methods

    void add_options(parser& app) {
        add_inputs(app);
        app.add_option(weights_option, data.weights);
        add_model_options(app);
        add_fit_options(app);
        add_checkpoints(app);
        add_outputs(app);
        app.footer("Example: elbo latent fit digits.npy --model factors -L 5 -o model.safetensors");
    }

    void add_model_options(parser& app) {
        using s = latent::factor_options;
        const auto add = [&](const char* name, auto& value, auto member, const char* type) {
            app.add_option(name, value, help_of(member), type, "Model");
        };
        add("--model", kind, &s::kind, "KIND");
        add("-L,--latent", latent, &s::latent, "L");
        add("-k,--components", components, &s::components, "K");
        add_field(app, "--own-noise", typed, &s::own_noise, "", "Model");
        add("--noise-floor", noise_floor, &s::noise_floor, "F");
    }

    void add_fit_options(parser& app) {
        using s = latent::factor_options;
        add_field(app, "--method", typed, &s::method, "METHOD", "Fit");
        app.add_option("--start", start, help_of(&s::start), "METHOD|FILE", "Fit");
        add_loop_options(app, typed);
        of_components = {add_field(app, "--on-collapse", typed, &s::on_collapse, "POLICY", "Fit")};
        of_starts = {app.get_option("--start"), app.get_option("--restarts")};
        app.add_flag("--no-acceleration", no_acceleration, "Plain EM steps for a sphere", "Fit");
    }
};

/// What was typed, as the library takes it; `start_columns` are those of a model to begin with. Throws invalid_argument
/// and file_error.
void prepare(const latent_fit_options& typed, latent::factor_options& o, model_columns& start_columns) {
    o = typed.typed;
    o.kind = static_cast<latent::factor_kind>(place_of("--model", typed.kind, latent_kinds));
    if (typed.no_acceleration)
        throw invalid_argument(fmt::format("--no-acceleration: expected --model sphere, not {}", typed.kind));
    if (o.method == latent::factor_method::eigen)
        refuse_given(typed.of_starts, "expected --method em beside it; eigenvectors need no start");
    if (is_model_file(typed.start)) {
        latent::saved_factor_model saved = latent::load_saved_factors(typed.start);
        start_columns = {std::move(saved.column_names), typed.start};
        o.start_model = std::move(saved.model);
        o.latent = o.start_model->latent();
        o.components = o.start_model->components();
    } else {
        o.start = latent::factor_start_from_string(typed.start);
    }
    if (typed.latent)
        o.latent = *typed.latent;
    else if (!o.start_model)
        throw invalid_argument("the number of latent variables is missing: give -L L, or --start with a model file");
    o.components = typed.components.value_or(o.components);
}

void prepare(const latent_fit_options& typed, latent::sphere_options& o, model_columns& start_columns) {
    const auto without = [](bool given, const char* option) {
        if (given)
            throw invalid_argument(fmt::format("{}: the sphere has no such choice", option));
    };
    without(typed.latent.has_value(), "-L");
    without(typed.components.has_value(), "-k");
    without(typed.typed.own_noise, "--own-noise");
    without(typed.typed.method != latent::factor_method::em, "--method");
    refuse_given(typed.of_components, "the sphere has no such choice");
    o.restarts = typed.typed.restarts;
    o.max_iterations = typed.typed.max_iterations;
    o.tolerance = typed.typed.tolerance;
    o.seed = typed.typed.seed;
    o.accelerate = !typed.no_acceleration;
    if (is_model_file(typed.start)) {
        latent::saved_sphere saved = latent::load_saved_sphere(typed.start);
        start_columns = {std::move(saved.column_names), typed.start};
        o.start_model = std::move(saved.model);
    } else {
        without(typed.start != "automatic", "--start");
    }
}

json event_json(const latent::factor_event& e) {
    json entry{{"iteration", e.iteration}, {"component", e.component}, {"event", to_string(e.what)}};
    if (e.what == latent::factor_event::kind::empty)
        entry["action"] = to_string(e.action);
    if (e.what == latent::factor_event::kind::noise_floor)
        entry["column"] = e.column;
    return entry;
}

json event_json(const latent::sphere_event& e) {
    return {{"iteration", e.iteration}, {"event", to_string(e.what)}};
}

/// How often each happened but far values: there may be one for every column.
template <class Event>
void tell_events(findings& found, const std::vector<Event>& events) {
    std::map<std::string_view, std::int64_t> counts;
    for (const Event& e : events)
        if (e.what != Event::kind::far_value)
            ++counts[to_string(e.what)];
    std::vector<std::string> texts;
    for (const auto& [what, count] : counts)
        texts.push_back(fmt::format("{} {}", count, what));
    if (!texts.empty())
        found.tell("events", joined(texts, ", "));
}

/// Options and result are those of a kind of model.
template <class Options, class Result>
struct latent_fit : latent_fit_options {
    using options = Options;
    using result = Result;

    command_files files() const { return files_with({start_file(start)}, {}); }
    /// Eigenvectors come in one piece, without a model so far: there Ctrl-C ends the program as if nothing had been
    /// asked for.
    bool interruptible() const { return typed.method != latent::factor_method::eigen; }

    options prepare(model_columns& start_columns) const {
        options o;
        cli::prepare(*this, o, start_columns);
        o.noise_floor = noise_floor.value_or(o.noise_floor);
        return o;
    }

    void announce(const context& ctx, const input_data& rows, const options& o) const {
        fit_inputs::announce(ctx, rows, o);
        latent_kind::note_on(ctx, output);
    }

    result fit(const context& ctx, const input_data& rows, const options& o) const {
        return latent::fit(ctx, rows.data, o);
    }

    findings found(const fitted<latent_fit>& work) const {
        const result& fit = work.fit;
        findings found(work.command_line, work.ctx);
        found.add("samples", fit.samples);
        add_shape(found.summary, fit.model);
        add_stopping(found, fit.stopped, fit.iterations);
        std::optional<std::string_view> began; // nothing with eigen, a start model and a sphere
        if constexpr (requires { fit.best_start; })
            began = name_of_start(fit.best_start);
        add_start(found, began, fit.best_restart, began.has_value());
        add_likelihoods(found, fit, fit.model.parameters());
        add_seconds(found, fit.seconds);
        found.add("trace", io::json_of(fit.trace));
        tell_events(found, fit.events);
        add_events(found, fit.events, work.column_names(), [](const auto& e) { return event_json(e); });
        add_parameters(found.summary, fit.model);
        add_negligible(found, output, fit.negligible);
        return found;
    }

    std::string page(const fitted<latent_fit>& work, report::heading about) const {
        about.title = fmt::format("{} of {}", facts_of(work.fit.model).kind, file_name(work.data()));
        about.facts.insert(about.facts.begin(),
                           {{"samples", std::to_string(work.fit.samples)}, {"model", describe(work.fit.model)}});
        return fit_inputs::page(work, about);
    }

    std::string text(const fitted<latent_fit>& work, const fact_list& facts) const {
        return fit_text(work.data().description(), describe(work.fit.model),
                        fmt::format("{} samples", work.fit.samples), work.ctx, facts,
                        parameter_text(work.fit.model, work.column_names()));
    }
};

using factor_fit = latent_fit<latent::factor_options, latent::factor_result>;
using sphere_fit = latent_fit<latent::sphere_options, latent::sphere_result>;

/// Which kind, is said by an option.
struct latent_fit_command : latent_fit_options {
    exit_status run(const std::string& command_line) const {
        return kind == "sphere" ? fit_command<sphere_fit>{{*this}}.run(command_line)
                                : fit_command<factor_fit>{{*this}}.run(command_line);
    }
};

} // namespace

void add_latent_fit(parser& latent, invocation& call) {
    add_command<latent_fit_command>(latent, call, "fit", "Fit a model with continuous latent variables to data");
}

} // namespace elbo::cli
