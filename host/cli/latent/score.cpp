#include "host/cli/core/fit_summary.hpp"
#include "host/cli/core/text_table.hpp"
#include "host/cli/latent/model.hpp"

namespace elbo::cli {

namespace {

class score_command : public apply_command<latent_kind> {
    std::string density_path;

    template <class Model>
    gmm::score_result score(const applied<latent_kind>& work, const Model& m) const {
        const gmm::score_result result = latent::score(work.ctx, m, work.data(), work.input.view());
        throw_if_interrupted();
        if (row_output densities(density_path, work.rows(), {"log_density"}); densities) {
            latent::infer(work.ctx, m, work.data(),
                          [&](const auto& batch) { densities.append(batch.log_density, batch.rows); });
            densities.close();
        }
        return result;
    }

public:
    void add_options(parser& app) override {
        add_common(app);
        add_weights_option(app, data);
        add_density_option(app, density_path);
    }

    command_files files() const override {
        check_row_output(density_path, output);
        return {.inputs = {}, .outputs = {}, .rows = {density_path}};
    }

    answer apply(const applied<latent_kind>& work, findings& found) const override {
        const gmm::score_result result = std::visit([&](const auto& m) { return score(work, m); }, work.saved.model);
        found.tell("samples", std::to_string(result.samples));
        add_likelihoods(found, result, parameters_of(work.saved.model));
        found.add("seconds", work.seconds());
        add_negligible(found, output, result.negligible);
        return {density_path == "-" ? "" : work.heading() + text_list(found.facts)};
    }
};

} // namespace

void add_latent_score(parser& latent, invocation& call) {
    add_command<score_command>(latent, call, "score", "Log-likelihood, BIC and AIC of a model on data");
}

} // namespace elbo::cli
