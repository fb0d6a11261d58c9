#include "host/cli/vae/model.hpp"
#include "host/vae/fields.hpp"

#include "elbo/vae/infer.hpp"

namespace elbo::cli {

namespace {

constexpr const char* nats = "{:.4f} nats per sample";

void add_evaluation(findings& found, const vae::evaluation& e) {
    found.tell("samples", std::to_string(e.rows));
    using s = vae::evaluation;
    found.add(e, &s::elbo, &s::elbo_standard_error, &s::reconstruction, &s::kl, &s::kl_per_unit, &s::unit_activity,
              &s::active_units);
    found.tell("ELBO", fmt::format("{:.4f} nats per sample (standard error {:.2g})", e.elbo, e.elbo_standard_error));
    found.tell("reconstruction", fmt::format(nats, e.reconstruction));
    found.tell("KL", fmt::format(nats, e.kl));
    found.tell("active units", fmt::format("{} of {}", e.active_units, e.kl_per_unit.size()));
    if (!e.log_likelihood_bound)
        return;
    found.add(e, &s::importance_samples, &s::log_likelihood_bound, &s::log_likelihood_standard_error,
              &s::effective_sample_size);
    found.tell("log-likelihood bound",
               fmt::format("{:.4f} nats per sample ({} importance samples, standard error {:.2g})",
                           *e.log_likelihood_bound, e.importance_samples, e.log_likelihood_standard_error.value_or(0)));
    found.tell("effective samples", fmt::format("{:.1f}", e.effective_sample_size.value_or(0)));
}

void write_rows(const std::string& path, const vae::row_bounds& bounds) {
    const bool importance = !bounds.log_likelihood_bound.empty();
    std::vector<std::string> names{"elbo"};
    if (importance)
        names.push_back("log_likelihood_bound");
    std::vector<double> rows;
    for (std::size_t i = 0; i < bounds.elbo.size(); ++i) {
        rows.push_back(bounds.elbo[i]);
        if (importance)
            rows.push_back(bounds.log_likelihood_bound[i]);
    }
    row_output output(path, std::ssize(bounds.elbo), names);
    output.append(rows.data(), std::ssize(bounds.elbo));
    output.close();
}

class evaluate_command : public apply_command<vae_kind> {
    vae::evaluate_options typed;
    picture_options pictures;
    std::string row_path;
    vae::evaluation evaluated;

    vae::evaluation evaluate(const applied<vae_kind>& work, vae::row_bounds* bounds) const {
        vae::evaluate_options options = typed;
        progress_line progress(output.quiet);
        options.callback = [&](std::int64_t done, std::int64_t rows) {
            progress.show(done, rows);
            return !interrupt_requested();
        };
        return vae::evaluate(work.ctx, work.saved, work.data(), options, bounds);
    }

public:
    void add_options(parser& app) override;

    command_files files() const override { return {.inputs = {}, .outputs = {}, .rows = {row_path}}; }

    std::string apply(const applied<vae_kind>& work, findings& found) override {
        image_size_of(pictures, vae_kind::dimensions(work.saved)); // refused before the work
        vae::row_bounds bounds;
        evaluated = evaluate(work, row_path.empty() ? nullptr : &bounds);
        if (!row_path.empty())
            write_rows(row_path, bounds);
        add_evaluation(found, evaluated);
        found.add("seconds", evaluated.seconds);
        return fmt::format("{} ({}) on {}\n\n", model_path, work.describe(), describe(work.input)) +
               text_list(found.facts);
    }

    std::string page(const applied<vae_kind>& work, const fact_list& facts) const override {
        report::vae_page page = make_vae_page(work.ctx, work.saved, work.input, work.data(), pictures, typed.seed,
                                              {.title = fmt::format("{} on {}", model_path, work.data().description()),
                                               .facts = facts,
                                               .command = work.command_line});
        page.evaluated = evaluated;
        return report::render(page);
    }
};

void evaluate_command::add_options(parser& app) {
    add_common(app);
    app.add_option(labels_option, data.labels);
    using o = vae::evaluate_options;
    add_field(app, "--samples", typed, &o::samples, "S", "");
    add_field(app, "--importance-samples", typed, &o::importance_samples, "S", "");
    add_field(app, "--binarize", typed, &o::binarize, "", "");
    app.add_option(seed_option, typed.seed);
    app.add_option("-o,--output", row_path, "Write the bounds of every row (.csv, .npy, .f32, .f64, .h5)", "FILE",
                   "Output");
    app.add_option(report_option, output.report);
    add_image_option(app, pictures);
}

} // namespace

void add_vae_evaluate(parser& vae, invocation& call) {
    add_command<evaluate_command>(vae, call, "evaluate",
                                  "ELBO, its terms, active units and the importance bound on data");
}

} // namespace elbo::cli
