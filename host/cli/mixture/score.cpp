#include "host/cli/core/fit_summary.hpp"
#include "host/cli/core/text_table.hpp"
#include "host/cli/mixture/model.hpp"

#include "elbo/gmm/infer.hpp"

namespace elbo::cli {

namespace {

class score_command : public mixture_command {
    std::string density_path;

public:
    void add_options(parser& app) override {
        add_common(app);
        add_weights_option(app, data);
        add_known_labels_option(app, data);
        add_density_option(app, density_path);
    }

    command_files files() const override { return {.inputs = {}, .outputs = {}, .rows = {density_path}}; }

    answer apply(const applied<mixture_kind>& work, findings& found) const override {
        const gmm::model& m = work.saved.model;
        const gmm::score_result score = gmm::score(work.ctx, m, work.data(), work.input.view(), work.input.known());
        throw_if_interrupted();
        if (row_output densities(density_path, work.rows(), {"log_density"}); densities) {
            gmm::infer(
                work.ctx, m, work.data(), false,
                [&](const gmm::inference_batch& batch) { densities.append(batch.log_density, batch.rows); },
                work.input.known());
            densities.close();
        }
        found.tell("samples", std::to_string(score.samples));
        add_likelihoods(found, score, m.parameters());
        found.add(score, &gmm::score_result::icl, &gmm::score_result::entropy);
        found.add("seconds", work.seconds());
        add_negligible(found, output, score.negligible);
        return with_page(work, work.heading() + text_list(found.facts), found.facts);
    }
};

} // namespace

void add_mixture_score(parser& mixture, invocation& call) {
    add_command<score_command>(mixture, call, "score", "Log-likelihood, BIC, AIC and ICL of a model on data");
}

} // namespace elbo::cli
