#include "host/cli/core/text_table.hpp"
#include "host/cli/mixture/model.hpp"

#include "elbo/gmm/infer.hpp"
#include "host/joined.hpp"

#include <optional>
#include <span>

namespace elbo::cli {

namespace {

std::string count_table(const std::vector<std::int64_t>& counts, std::int64_t samples) {
    std::vector<std::vector<std::string>> table{{"component", "samples", "share"}};
    for (std::size_t k = 0; k < counts.size(); ++k)
        table.push_back({std::to_string(k), std::to_string(counts[k]),
                         fmt::format("{:.4f}", static_cast<double>(counts[k]) / static_cast<double>(samples))});
    return text_table(table);
}

class assign_command : public mixture_command {
    std::string label_path = "-";
    std::string responsibility_path;
    bool labels_to_stdout() const { return label_path == "-"; }

public:
    void add_options(parser& app) override {
        add_common(app);
        add_known_labels_option(app, data);
        add_rows_option(app, label_path, "the labels");
        app.add_option("--responsibilities", responsibility_path, "Write p(component | row), one column each", "FILE",
                       "Output");
    }

    command_files files() const override {
        check_row_output(label_path, output, "labels");
        return {.inputs = {}, .outputs = {}, .rows = {label_path, responsibility_path}};
    }

    answer apply(const applied<mixture_kind>& work, findings& found) const override {
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
        return with_page(work, labels_to_stdout() ? "" : count_table(counts, n), found.facts);
    }
};

} // namespace

void add_mixture_assign(parser& mixture, invocation& call) {
    add_command<assign_command>(mixture, call, "assign", "The most probable component of every row");
}

} // namespace elbo::cli
