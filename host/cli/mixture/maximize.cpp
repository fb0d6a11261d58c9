#include "host/cli/mixture/fit_options.hpp"
#include "host/cli/mixture/model.hpp"

#include "elbo/gmm/statistics.hpp"
#include "host/gmm/stream/statistics_file.hpp"
#include "host/joined.hpp"

#include <map>

namespace elbo::cli {

namespace {

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
        app.add_option("PART", parts, "Files that elbo mixture accumulate wrote")->required();
        add_regularization_options(app, typed);
        add_collapse_option(app, typed);
        add_model_output_option(app, model_path);
        add_output_options(app, output);
    }

    exit_status run(const std::string& command_line) const {
        check_model_path(model_path);
        check_files({.inputs = parts, .outputs = {model_path, output.json}});
        check_different(parts);
        const gmm::saved_statistics all = merged(parts);
        const gmm::statistics& s = all.statistics;
        const gmm::model made = gmm::maximize(s, typed);
        if (!model_path.empty())
            writing([&] { gmm::save(made, model_path, all.column_names); });
        const double log_likelihood = s.total_log_likelihood() / s.total_weight();
        findings found(command_line);
        found.summary.update({{"parts", parts},
                              {"samples", s.samples()},
                              {"total_weight", s.total_weight()},
                              {"log_likelihood", log_likelihood},
                              {"entropy", s.total_entropy() / s.total_weight()}});
        add_shape(found.summary, made);
        found.add("column_names", all.column_names);
        add_parameters(found.summary, made);
        write_json(output, found.summary);
        print_results(output,
                      fmt::format("{} samples, log-likelihood of the model before {:.6f} nats per sample\n\n{}\n\n{}",
                                  s.samples(), log_likelihood, describe(made), component_text(made, all.column_names)));
        return exit_status::success;
    }
};

} // namespace

void add_mixture_maximize(parser& mixture, invocation& call) {
    add_command<maximize_command>(mixture, call, "maximize",
                                  "M-step: the model of statistics that parts of the data gave");
}

} // namespace elbo::cli
