#include "host/cli/vae/model.hpp"

#include "elbo/vae/infer.hpp"

namespace elbo::cli {

namespace {

class encode_command : public vae_command {
    row_options rows{.path = "-", .type = "float32"};
    std::string log_variance_path;

public:
    void add_options(parser& app) override {
        add_common(app);
        add_rows_option(app, rows.path, "the means");
        app.add_option("--log-variances", log_variance_path, "Write the log-variances", "FILE", "Output");
        add_type_option(app, rows.type);
    }

    command_files files() const override {
        command_files files = rows.files(output);
        files.rows.push_back(log_variance_path);
        return files;
    }

    answer apply(const applied<vae_kind>& work, findings& /*found*/) const override {
        const std::int64_t n = work.rows(), latent = work.saved.architecture().latent;
        row_output means = rows.open(n, numbered("mean", latent));
        row_output log_variances(log_variance_path, n, numbered("log_variance", latent),
                                 output_type_from_string(rows.type));
        vae::encode(work.ctx, work.saved, work.data(), [&](std::int64_t, matrix_view<const float> part) {
            const auto half = [&](std::int64_t first) {
                return matrix_view<const float>(part.data + first, part.rows, latent, part.stride, part.space);
            };
            means.append(half(0));
            log_variances.append(half(latent));
        });
        means.close();
        log_variances.close();
        return {means.printed() ? "" : fmt::format("{}: {} latent means of {}\n", rows.path, n, describe(work.input))};
    }
};

} // namespace

void add_vae_encode(parser& vae, invocation& call) {
    add_command<encode_command>(vae, call, "encode", "Mean and log-variance of q(z|x) for every row");
}

} // namespace elbo::cli
