// The commands that fit a mixture part by part: accumulate, maximize and update.
#include "host/cli/mixture/model.hpp"

#include "elbo/gmm/online.hpp"
#include "elbo/gmm/statistics.hpp"
#include "host/gmm/fields.hpp"
#include "host/gmm/stream/file.hpp"
#include "host/joined.hpp"

#include <map>

namespace elbo::cli {
namespace {

class accumulate_command : public apply_command<mixture_kind> {
    std::string statistics_path;

public:
    void add_options(parser& app) override {
        add_inputs(app);
        app.add_option(weights_option, data.weights);
        add_device_options(app, device);
        app.add_option("-o,--output", statistics_path, "Write the statistics (.safetensors)", "PART", "Output")
            .required();
        add_output_options(app, output);
    }

    command_files files() const override {
        gmm::require_safetensors(statistics_path, "statistics");
        return {.inputs = {}, .outputs = {statistics_path}};
    }

    std::string apply(const applied<mixture_kind>& work, findings& found) override {
        gmm::statistics statistics(work.saved.model);
        statistics.accumulate(work.ctx, work.data(), work.input.view());
        throw_if_interrupted();
        writing([&] { gmm::save(statistics, statistics_path, work.data().column_names()); });
        found.tell("samples", std::to_string(statistics.samples()));
        found.add("total_weight", statistics.total_weight());
        found.add("log_likelihood", "log-likelihood", statistics.total_log_likelihood() / statistics.total_weight(),
                  "{:.6f} nats per sample");
        found.add("seconds", work.seconds());
        return {work.heading() + text_list(found.facts)};
    }
};

/// Each counts once: a part that is named twice, by whatever path, is refused.
void check_different(const std::vector<std::string>& parts) {
    std::map<std::string, std::string> seen; // identity, path
    for (const std::string& path : parts) {
        const std::string identity = identity_of(path);
        const auto [before, is_new] = seen.emplace(identity, path);
        if (!is_new && !identity.empty())
            throw invalid_argument(fmt::format("{}: is named twice{}, and would count twice: expected each part once",
                                               path, before->second == path ? "" : ", as " + before->second + ", too"));
    }
}

gmm::saved_statistics merged(const std::vector<std::string>& parts) {
    gmm::saved_statistics all = gmm::load_saved_statistics(parts.front());
    for (std::size_t i = 1; i < parts.size(); ++i) {
        const gmm::saved_statistics next = gmm::load_saved_statistics(parts[i]);
        if (next.statistics.under() != all.statistics.under())
            throw invalid_argument(
                fmt::format("{} was made under another model than {}: expected the same one", parts[i], parts.front()));
        if (!all.column_names.empty() && !next.column_names.empty() && next.column_names != all.column_names)
            throw invalid_argument(fmt::format("{} is of the columns {}: expected those of {}, {}", parts[i],
                                               joined(next.column_names, ", "), parts.front(),
                                               joined(all.column_names, ", ")));
        all.statistics.merge(next.statistics);
        if (all.column_names.empty())
            all.column_names = next.column_names;
    }
    return all;
}

struct maximize_command {
    std::vector<std::string> parts;
    std::string model_path;
    gmm::fit_options typed;
    output_options output;

    void add_options(parser& app) {
        app.add_option("PART", parts, "Files that elbo mixture accumulate wrote").required();
        add_regularization_options(app, typed);
        add_collapse_option(app, typed);
        app.add_option(model_output_option, model_path);
        add_output_options(app, output);
    }

    exit_status run(const std::string& command_line) const {
        check_model_path(model_path);
        check_files({.inputs = parts, .outputs = {model_path, output.json}});
        check_different(parts);
        const gmm::saved_statistics all = merged(parts);
        const gmm::statistics& s = all.statistics;
        const gmm::model made = gmm::maximize(s, typed);
        const double log_likelihood = s.total_log_likelihood() / s.total_weight();
        findings found(command_line);
        found.summary.update({{"parts", parts},
                              {"samples", s.samples()},
                              {"total_weight", s.total_weight()},
                              {"log_likelihood", log_likelihood},
                              {"entropy", s.total_entropy() / s.total_weight()}});
        return deliver(output, model_path, std::move(found), made, all.column_names,
                       fmt::format("{} samples, log-likelihood of the model before {:.6f} nats per sample\n\n",
                                   s.samples(), log_likelihood));
    }
};

json event_list(const gmm::online_step& step) {
    json events = json::array();
    for (const gmm::event& e : step.events)
        events.push_back({{"component", e.component}, {"event", to_string(e.what)}, {"action", to_string(e.action)}});
    return events;
}

bool holds_state(const std::string& path) {
    return path.ends_with(".safetensors") && gmm::holds_online_state(io::read_safetensors(path));
}

class update_command : public apply_command<mixture_kind> {
    std::string state_path;
    gmm::online_options stream;
    std::vector<option> given; ///< of a stream, which a state has already

    void add_stream_options(parser& app) {
        using s = gmm::online_options;
        const option t0 = add_field(app, "--t0", stream, &s::t0, "T", "Fit");
        const option kappa = add_field(app, "--kappa", stream, &s::kappa, "K", "Fit");
        add_field(app, "--rate", stream, &s::rate, "R", "Fit").excludes(t0).excludes(kappa);
        add_regularization_options(app, stream);
        add_collapse_option(app, stream);
        for (const char* name :
             {"--t0", "--kappa", "--rate", "--regularization", "--relative-regularization", "--on-collapse"})
            given.push_back(app.get_option(name));
    }

    /// The stream that MODEL begins or STATE goes on with.
    gmm::online open_stream(const gmm::model& model) const {
        if (holds_state(model_path)) {
            refuse_given(given, model_path + " goes on with the options its stream began with");
            return gmm::online::load(model_path);
        }
        return gmm::online(model, stream);
    }

public:
    void add_options(parser& app) override {
        add_inputs(app, "Model to begin with, or the state that the last step wrote");
        app.add_option(weights_option, data.weights);
        add_device_options(app, device);
        add_stream_options(app);
        app.add_option("-o,--output", state_path, "Write the state, which is a model file, too (.safetensors)", "STATE",
                       "Output")
            .required();
        add_output_options(app, output);
    }

    command_files files() const override {
        gmm::require_safetensors(state_path, "the state of a stream");
        return {.inputs = {},
                .outputs = {state_path},
                // A state takes the place of the one before; a model that begins a stream stays.
                .updated = holds_state(model_path) ? model_path : ""};
    }

    std::string apply(const applied<mixture_kind>& work, findings& found) override {
        gmm::online stream = open_stream(work.saved.model);
        const gmm::online_step step = stream.partial_fit(work.ctx, work.data(), work.input.view());
        throw_if_interrupted();
        const std::vector<std::string>& names = work.data().column_names();
        writing([&] { stream.save(state_path, names); });
        using s = gmm::online_step;
        found.add("components", stream.model().components());
        found.add(step, &s::step, &s::rate, &s::total_weight, &s::log_likelihood, &s::entropy);
        found.add("samples_so_far", stream.state().samples);
        found.add("events", event_list(step));
        found.add("seconds", work.seconds());
        return {fmt::format("step {} at rate {:.6g}: {} samples, log-likelihood of the model before {:.6f} nats per "
                            "sample\n\n{}\n\n{}",
                            step.step, step.rate, step.samples, step.log_likelihood, describe(stream.model()),
                            component_text(stream.model(), names))};
    }
};

} // namespace

void add_mixture_stream(parser& mixture, invocation& call) {
    add_command<accumulate_command>(mixture, call, "accumulate",
                                    "E-step: the statistics of a part of the data, for elbo mixture maximize");
    add_command<maximize_command>(mixture, call, "maximize",
                                  "M-step: the model of statistics that parts of the data gave");
    add_command<update_command>(mixture, call, "update", "Stepwise EM: one step with the next batch of a stream");
}

} // namespace elbo::cli
