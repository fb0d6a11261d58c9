// The commands that apply a mixture: evidence, score, assign, sample and info.
#include "host/cli/mixture/model.hpp"
#include "host/joined.hpp"
#include "host/report/page/pages.hpp"

#include "elbo/gmm/evidence.hpp"
#include "elbo/gmm/infer.hpp"

namespace elbo::cli {
namespace {

class evidence_command : public apply_command<mixture_kind> {
    std::string other_path;
    std::string responsibility_path;

    std::string q() const {
        return !other_path.empty()            ? "posterior of " + other_path
               : !responsibility_path.empty() ? responsibility_path
                                              : "posterior of the model";
    }

    gmm::evidence_terms terms_of(const applied<mixture_kind>& work) const {
        const gmm::model& m = work.saved.model;
        const input_data& input = work.input;
        if (!other_path.empty())
            return gmm::evidence(work.ctx, m, input.data,
                                 load_in_order(other_path, {work.saved.column_names, model_path}, data.by_position),
                                 input.view(), input.known());
        if (responsibility_path.empty())
            return gmm::evidence(work.ctx, m, input.data, input.view(), input.known());
        const data_source file = data_source::file(responsibility_path);
        const std::vector<double> numbers =
            report::evenly_spaced_rows(file, file.rows(), throw_if_interrupted); // all of them
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
        app.add_option(weights_option, data.weights);
        app.add_option(known_labels_option, data.labels);
        const option other = app.add_option(
            "--posterior", other_path, "Take the posterior of this model for q (default: its own)", "MODEL", "Bound");
        app.add_option("--responsibilities", responsibility_path,
                       "Take these numbers for q: a row for each sample, a column for each component", "FILE", "Bound")
            .excludes(other);
    }

    command_files files() const override { return {.inputs = {other_path, responsibility_path}, .outputs = {}}; }

    std::string apply(const applied<mixture_kind>& work, findings& found) override {
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
        return work.heading() + text_list(found.facts);
    }
};

class score_command : public apply_command<mixture_kind> {
    std::string density_path;

public:
    void add_options(parser& app) override {
        add_common(app);
        app.add_option(weights_option, data.weights);
        app.add_option(known_labels_option, data.labels);
        app.add_option(density_option, density_path);
    }

    command_files files() const override { return {.inputs = {}, .outputs = {}, .rows = {density_path}}; }

    std::string apply(const applied<mixture_kind>& work, findings& found) override {
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
        return work.heading() + text_list(found.facts);
    }
};

std::string count_table(const std::vector<std::int64_t>& counts, std::int64_t samples) {
    std::vector<std::vector<std::string>> table{{"component", "samples", "share"}};
    for (std::size_t k = 0; k < counts.size(); ++k)
        table.push_back({std::to_string(k), std::to_string(counts[k]),
                         fmt::format("{:.4f}", static_cast<double>(counts[k]) / static_cast<double>(samples))});
    return text_table(table);
}

class assign_command : public apply_command<mixture_kind> {
    std::string label_path = "-";
    std::string responsibility_path;
    bool labels_to_stdout() const { return label_path == "-"; }

public:
    void add_options(parser& app) override {
        add_common(app);
        app.add_option(known_labels_option, data.labels);
        add_rows_option(app, label_path, "the labels");
        app.add_option("--responsibilities", responsibility_path, "Write p(component | row), one column each", "FILE",
                       "Output");
    }

    command_files files() const override {
        check_row_output(label_path, output, "labels");
        return {.inputs = {}, .outputs = {}, .rows = {label_path, responsibility_path}};
    }

    std::string apply(const applied<mixture_kind>& work, findings& found) override {
        const std::int64_t n = work.rows(), K = work.saved.model.components();
        std::vector<std::int64_t> counts(static_cast<std::size_t>(K), 0);
        std::optional<io::matrix_writer> labels;
        if (!labels_to_stdout())
            labels = io::matrix_writer::open(label_path, n, 1, io::output_type::int32, {"component"});
        row_output responsibilities(responsibility_path, n, numbered("component ", K));
        const auto take = [&](const gmm::inference_batch& batch) {
            throw_if_interrupted();
            for (std::int64_t i = 0; i < batch.rows; ++i)
                ++counts[static_cast<std::size_t>(batch.assignment[i])];
            if (labels)
                writing([&] { labels->append(matrix_view<const std::int32_t>(batch.assignment, batch.rows, 1)); });
            else
                print(joined(std::span(batch.assignment, static_cast<std::size_t>(batch.rows)), "\n") + "\n");
            responsibilities.append(batch.responsibilities, batch.rows);
        };
        gmm::infer(work.ctx, work.saved.model, work.data(), !responsibility_path.empty(), take, work.input.known());
        if (labels)
            writing([&] { labels->close(); });
        responsibilities.close();
        found.tell("samples", std::to_string(n));
        found.add("counts", counts);
        return labels_to_stdout() ? "" : count_table(counts, n);
    }
};

class sample_command : public draw_command<mixture_kind> {
    device_options device;
    std::string label_path;

    void write_labels(const gmm::sample_result& sample) const {
        auto writer = io::matrix_writer::open(label_path, count, 1, io::output_type::int32, {"component"});
        writing([&] {
            writer.append(matrix_view<const std::int32_t>(sample.labels.data(), count, 1));
            writer.close();
        });
    }

    void write_report(const context& ctx, const gmm::saved_model& saved, const gmm::sample_result& sample,
                      const std::string& command_line) const {
        const data_source drawn(matrix_view<const double>(sample.x.data(), count, saved.model.dimensions()));
        report::mixture_page page =
            report::page_of(ctx, saved.model, drawn,
                            {.title = fmt::format("Samples of {}", model_path),
                             .facts = {{"samples", std::to_string(count)}, {"seed", std::to_string(seed)}},
                             .command = command_line},
                            throw_if_interrupted);
        page.column_names = column_names_of<mixture_kind>(saved);
        write_text(output.report, report::render(page));
    }

public:
    void add_options(parser& app) override {
        add_inputs(app);
        add_device_options(app, device);
        rows.add(app, "the rows");
        app.add_option("--labels", label_path, "Write the component that each row was drawn from", "FILE", "Output");
        add_output_options(app, output);
        app.add_option(report_option, output.report);
    }

    command_files files() const override {
        command_files files = rows.files(output);
        files.rows.push_back(label_path);
        return files;
    }

    bool draw(const gmm::saved_model& saved, const std::string& command_line, findings& found) const override {
        const context ctx = make_context(device);
        const gmm::sample_result sample = gmm::sample(ctx, saved.model, count, seed);
        throw_if_interrupted();
        row_output drawn = open(saved);
        drawn.append(sample.x.data(), count);
        drawn.close();
        if (!label_path.empty())
            write_labels(sample);
        if (!output.report.empty())
            write_report(ctx, saved, sample, command_line);
        found.add("device", ctx.name());
        add_drawn(found);
        found.add("dimensions", saved.model.dimensions());
        found.add("seed", seed);
        return drawn.printed();
    }
};

} // namespace

void add_mixture_apply(parser& mixture, invocation& call) {
    add_command<evidence_command>(mixture, call, "evidence",
                                  "The evidence lower bound of a model on data, term by term, for any q");
    add_command<score_command>(mixture, call, "score", "Log-likelihood, BIC, AIC and ICL of a model on data");
    add_command<assign_command>(mixture, call, "assign", "The most probable component of every row");
    add_command<sample_command>(mixture, call, "sample", "Draw samples of a model");
    add_command<info_command<mixture_kind>>(mixture, call, "info", "Print a model");
}

} // namespace elbo::cli
