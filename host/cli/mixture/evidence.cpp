#include "host/cli/core/fit_summary.hpp"
#include "host/cli/core/text_table.hpp"
#include "host/cli/mixture/model.hpp"

#include "elbo/error.hpp"
#include "elbo/gmm/evidence.hpp"

namespace elbo::cli {

namespace {

class evidence_command : public mixture_command {
    std::string other_path;
    std::string responsibility_path;

    std::string q() const {
        return !other_path.empty()            ? "posterior of " + other_path
               : !responsibility_path.empty() ? responsibility_path
                                              : "posterior of the model";
    }

    gmm::evidence_terms terms_of(const applied<mixture_kind>& work) const {
        const gmm::model& m = work.saved.model;
        const weighted_data& input = work.input;
        if (!other_path.empty())
            return gmm::evidence(work.ctx, m, input.data,
                                 load_in_order(other_path, {work.saved.column_names, model_path}, data.by_position),
                                 input.view(), input.known());
        if (responsibility_path.empty())
            return gmm::evidence(work.ctx, m, input.data, input.view(), input.known());
        const data_source file = data_source::file(responsibility_path);
        const std::vector<double> numbers = evenly_spaced_rows(file, file.rows()); // all of them
        const matrix_view<const double> view(numbers.data(), file.rows(), file.cols());
        try {
            return gmm::evidence(work.ctx, m, input.data, view, input.view(), input.known());
        } catch (const invalid_argument& wrong) {
            throw invalid_argument(fmt::format("--responsibilities {}: {}", responsibility_path, wrong.what()));
        }
    }

public:
    void add_options(parser& app) override {
        add_common(app);
        add_weights_option(app, data);
        add_known_labels_option(app, data);
        option* other = app.add_option("--posterior", other_path,
                                       "Take the posterior of this model for q (default: its own)", "MODEL", "Bound");
        app.add_option("--responsibilities", responsibility_path,
                       "Take these numbers for q: a row for each sample, a column for each component", "FILE", "Bound")
            ->excludes(other);
    }

    command_files files() const override { return {.inputs = {other_path, responsibility_path}, .outputs = {}}; }

    answer apply(const applied<mixture_kind>& work, findings& found) const override {
        constexpr const char* nats = "{:.9f} nats per sample";
        const gmm::evidence_terms t = terms_of(work);
        throw_if_interrupted();
        found.tell("samples", std::to_string(t.samples));
        found.add("q", q());
        found.tell("q", q());
        found.add("expected_log_joint", "E_q[log p(x, z)]", t.expected_log_joint, nats);
        found.add("entropy", "entropy of q", t.entropy, nats);
        found.add("elbo", "bound, their sum", t.elbo, nats);
        found.add("log_likelihood", "log-likelihood", t.log_likelihood, nats);
        found.add("kl", "KL(q || posterior)", t.kl, nats);
        found.add("elbo_from_gap", "bound, their difference", t.elbo_from_gap, nats);
        found.add("total_weight", t.total_weight);
        add_negligible(found, output, t.negligible);
        return with_page(work, work.heading() + text_list(found.facts), found.facts);
    }
};

} // namespace

void add_mixture_evidence(parser& mixture, invocation& call) {
    add_command<evidence_command>(mixture, call, "evidence",
                                  "The evidence lower bound of a model on data, term by term, for any q");
}

} // namespace elbo::cli
