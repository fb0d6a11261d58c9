#include "host/cli/latent/model.hpp"

namespace elbo::cli {

namespace {

class reconstruct_command : public apply_command<latent_kind> {
    row_options rows;

public:
    void add_options(parser& app) override {
        add_common(app);
        rows.add(app, "the rows");
    }

    command_files files() const override { return rows.files(output); }

    answer apply(const applied<latent_kind>& work, findings& /*found*/) const override {
        const std::vector<double> means =
            std::visit([&](const auto& m) { return latent::reconstruct(work.ctx, m, work.data()); }, work.saved.model);
        row_output output = rows.open(work.rows(), column_names_of(work.saved));
        output.append(means.data(), work.rows());
        output.close();
        return {output.printed() ? ""
                                 : fmt::format("{}: {} rows without their noise under {} ({})\n", rows.path,
                                               work.rows(), model_path, work.describe())};
    }
};

} // namespace

void add_latent_reconstruct(parser& latent, invocation& call) {
    add_command<reconstruct_command>(latent, call, "reconstruct",
                                     "Rows without their noise: means of what the model explains");
}

} // namespace elbo::cli
