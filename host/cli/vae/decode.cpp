#include "host/cli/vae/model.hpp"

#include "elbo/vae/infer.hpp"

namespace elbo::cli {

namespace {

class decode_command : public vae_command {
    row_options rows{.path = "-", .type = "float32"};

public:
    void add_options(parser& app) override {
        add_common(app);
        rows.add(app, "the means");
        app.footer("DATA holds one latent vector a row, as elbo vae encode writes them.");
    }

    command_files files() const override { return rows.files(output); }

    // Rows of DATA are latent vectors, whose columns have no names of their own.
    model_columns columns(const vae::model& /*m*/) const override { return {{}, model_path}; }
    void check(const vae::model& m, const data_source& latents) const override {
        check_columns(model_path, m.architecture().latent, "latent units", latents);
    }

    answer apply(const applied<vae_kind>& work, findings& /*found*/) const override {
        row_output means = rows.open(work.rows(), column_names_of(work.saved.architecture()));
        vae::decode(work.ctx, work.saved, work.data(),
                    [&](std::int64_t, matrix_view<const float> part) { means.append(part); });
        means.close();
        return {means.printed()
                    ? ""
                    : fmt::format("{}: {} decoded rows of {}\n", rows.path, work.rows(), describe(work.input))};
    }
};

} // namespace

void add_vae_decode(parser& vae, invocation& call) {
    add_command<decode_command>(vae, call, "decode", "Mean of p(x|z) for every row z of a file of latents");
}

} // namespace elbo::cli
