#include "host/cli/core/text_table.hpp"
#include "host/cli/mixture/model.hpp"

#include "elbo/gmm/algebra.hpp"

namespace elbo::cli {

namespace {

struct divergence_command {
    std::string from, to;
    gmm::divergence_options options;
    bool by_position = false;
    device_options device;
    output_options output;

    void add_options(parser& app) {
        app.add_option("P", from, "Model whose samples are drawn (.safetensors or .json)")->required();
        app.add_option("Q", to, "Model that it is compared with")->required();
        app.add_option("-n,--samples", options.samples, "Number of samples")->type_name("N")->capture_default_str();
        app.add_flag("--by-position", by_position, "Take the columns of Q by their order, not by their names");
        add_seed_option(app, options.seed);
        add_device_options(app, device);
        add_output_options(app, output);
    }

    exit_status run(const std::string& command_line) const {
        check_files({.inputs = {from, to}, .outputs = {output.json}});
        const gmm::saved_model saved = gmm::load_saved(from);
        const gmm::model& p = saved.model;
        const gmm::model q = load_in_order(to, {saved.column_names, from}, by_position);
        if (p.dimensions() != q.dimensions())
            throw invalid_argument(fmt::format("{} has {} dimensions: expected {}, those of {}", to, q.dimensions(),
                                               p.dimensions(), from));
        const context ctx = make_context(device);
        const gmm::divergence_result estimate = gmm::kl_divergence(ctx, p, q, options);
        const gmm::variational_divergence variational = gmm::kl_variational(p, q);
        findings found(command_line, ctx);
        found.summary.update({{"from", from},
                              {"to", to},
                              {"samples", estimate.samples},
                              {"seed", options.seed},
                              {"divergence", estimate.value},
                              {"standard_error", estimate.standard_error}});
        found.tell("estimate", fmt::format("{:.6f} ± {:.6f} nats ({} samples)", estimate.value, estimate.standard_error,
                                           estimate.samples));
        found.add("variational_approximation", "variational approximation", variational.approximation, "{:.6f} nats");
        found.add("variational_upper_bound", "variational upper bound", variational.upper_bound, "{:.6f} nats");
        write_json(output, found.summary);
        print_results(output, fmt::format("D(p‖q) from {} ({}) to {} ({})\n\n", from, describe(p), to, describe(q)) +
                                  text_list(found.facts));
        return exit_status::success;
    }
};

} // namespace

void add_mixture_divergence(parser& mixture, invocation& call) {
    add_command<divergence_command>(mixture, call, "divergence",
                                    "Kullback-Leibler divergence of one model from another");
}

} // namespace elbo::cli
