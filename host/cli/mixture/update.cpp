#include "host/cli/mixture/fit_options.hpp"
#include "host/cli/mixture/model.hpp"

#include "elbo/gmm/online.hpp"
#include "host/gmm/stream/fields.hpp"
#include "host/gmm/stream/online_file.hpp"
#include "host/gmm/stream/statistics_file.hpp"

namespace elbo::cli {

namespace {

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
    std::vector<option*> given; ///< of a stream, which a state has already

    void add_stream_options(parser& app);

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
        add_weights_option(app, data);
        add_device_options(app, device);
        add_stream_options(app);
        app.add_option("-o,--output", state_path, "Write the state, which is a model file, too (.safetensors)", "STATE",
                       "Output")
            ->required();
        add_output_options(app, output);
    }

    command_files files() const override {
        gmm::require_safetensors(state_path, "the state of a stream");
        return {.inputs = {},
                .outputs = {state_path},
                // A state takes the place of the one before; a model that begins a stream stays.
                .updated = holds_state(model_path) ? model_path : ""};
    }

    answer apply(const applied<mixture_kind>& work, findings& found) const override {
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

void update_command::add_stream_options(parser& app) {
    using s = gmm::online_options;
    option* const t0 = add_field(app, "--t0", stream, &s::t0, "T", "Fit");
    option* const kappa = add_field(app, "--kappa", stream, &s::kappa, "K", "Fit");
    add_field(app, "--rate", stream, &s::rate, "R", "Fit")->excludes(t0)->excludes(kappa);
    add_regularization_options(app, stream);
    add_collapse_option(app, stream);
    for (const char* name :
         {"--t0", "--kappa", "--rate", "--regularization", "--relative-regularization", "--on-collapse"})
        given.push_back(app.get_option(name));
}

} // namespace

void add_mixture_update(parser& mixture, invocation& call) {
    add_command<update_command>(mixture, call, "update", "Stepwise EM: one step with the next batch of a stream");
}

} // namespace elbo::cli
