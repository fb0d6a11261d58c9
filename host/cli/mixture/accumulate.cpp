#include "host/cli/core/text_table.hpp"
#include "host/cli/mixture/model.hpp"

#include "elbo/gmm/statistics.hpp"
#include "host/gmm/stream/statistics_file.hpp"

namespace elbo::cli {

namespace {

class accumulate_command : public apply_command<mixture_kind> {
    std::string statistics_path;

public:
    void add_options(parser& app) override {
        add_inputs(app);
        add_weights_option(app, data);
        add_device_options(app, device);
        app.add_option("-o,--output", statistics_path, "Write the statistics (.safetensors)", "PART", "Output")
            ->required();
        add_output_options(app, output);
    }

    command_files files() const override {
        gmm::require_safetensors(statistics_path, "statistics");
        return {.inputs = {}, .outputs = {statistics_path}};
    }

    answer apply(const applied<mixture_kind>& work, findings& found) const override {
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

} // namespace

void add_mixture_accumulate(parser& mixture, invocation& call) {
    add_command<accumulate_command>(mixture, call, "accumulate",
                                    "E-step: the statistics of a part of the data, for elbo mixture maximize");
}

} // namespace elbo::cli
