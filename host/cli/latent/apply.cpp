// The commands that apply a model with continuous latent variables: score, posterior, reconstruct, sample and info.
#include "host/cli/core/fit_command.hpp"
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
        app.add_option(weights_option, data.weights);
        app.add_option(density_option, density_path);
    }

    command_files files() const override {
        check_row_output(density_path, output);
        return {.inputs = {}, .outputs = {}, .rows = {density_path}};
    }

    std::string apply(const applied<latent_kind>& work, findings& found) override {
        const gmm::score_result result = std::visit([&](const auto& m) { return score(work, m); }, work.saved.model);
        found.tell("samples", std::to_string(result.samples));
        add_likelihoods(found, result, facts_of(work.saved.model).parameters);
        found.add("seconds", work.seconds());
        add_negligible(found, output, result.negligible);
        return {density_path == "-" ? "" : work.heading() + text_list(found.facts)};
    }
};

/// One component: z0 ... Several: the probabilities p0 ... of the components, then E[z | x, k] of each.
std::vector<std::string> columns_of(const latent::factor_model& m) {
    if (m.components() == 1)
        return numbered("z", m.latent());
    std::vector<std::string> names = numbered("p", m.components());
    for (std::int64_t k = 0; k < m.components(); ++k)
        for (const std::string& name : numbered(fmt::format("k{}_z", k), m.latent()))
            names.push_back(name);
    return names;
}

/// The mean direction u0 ..., then the concentration.
std::vector<std::string> columns_of(const latent::sphere_model& m) {
    std::vector<std::string> names = numbered("u", m.dimensions());
    names.push_back("concentration");
    return names;
}

void copy_row(const latent::factor_model& m, const latent::factor_batch& batch, std::int64_t i, double* out) {
    const std::int64_t K = m.components(), numbers = K * m.latent();
    if (K > 1)
        out = std::copy_n(batch.responsibilities + i * K, K, out);
    std::copy_n(batch.means + i * numbers, numbers, out);
}

void copy_row(const latent::sphere_model& m, const latent::sphere_batch& batch, std::int64_t i, double* out) {
    *std::copy_n(batch.means + i * m.dimensions(), m.dimensions(), out) = batch.concentrations[i];
}

class posterior_command : public row_command<latent_kind> {
    template <class Model>
    bool write_rows(const applied<latent_kind>& work, const Model& m) const {
        const std::vector<std::string> columns = columns_of(m);
        const std::int64_t width = std::ssize(columns);
        row_output output = rows.open(work.rows(), columns);
        std::vector<double> numbers;
        latent::infer(work.ctx, m, work.data(), [&](const auto& batch) {
            numbers.resize(static_cast<std::size_t>(batch.rows * width));
            for (std::int64_t i = 0; i < batch.rows; ++i)
                copy_row(m, batch, i, &numbers[i * width]);
            output.append(numbers.data(), batch.rows);
        });
        output.close();
        return output.printed();
    }

public:
    void add_options(parser& app) override {
        add_common(app);
        rows.add(app, "the means");
    }

    std::string apply(const applied<latent_kind>& work, findings& /*found*/) override {
        const bool printed = std::visit([&](const auto& m) { return write_rows(work, m); }, work.saved.model);
        return {printed ? ""
                        : fmt::format("{}: posteriors of {} rows under {} ({})\n", rows.path, work.rows(), model_path,
                                      work.describe())};
    }
};

class reconstruct_command : public row_command<latent_kind> {
public:
    void add_options(parser& app) override {
        add_common(app);
        rows.add(app, "the rows");
    }

    std::string apply(const applied<latent_kind>& work, findings& /*found*/) override {
        const std::vector<double> means =
            std::visit([&](const auto& m) { return latent::reconstruct(work.ctx, m, work.data()); }, work.saved.model);
        row_output output = rows.open(work.rows(), work.column_names());
        output.append(means.data(), work.rows());
        output.close();
        return {output.printed() ? ""
                                 : fmt::format("{}: {} rows without their noise under {} ({})\n", rows.path,
                                               work.rows(), model_path, work.describe())};
    }
};

class sample_command : public draw_command<latent_kind> {
    /// In parts, so that memory does not grow with the count.
    template <class Model>
    void draw_rows(const Model& m, row_output& drawn) const {
        const std::int64_t part = std::max<std::int64_t>(1, (std::int64_t(1) << 20) / m.dimensions());
        for (std::int64_t first = 0; first < count; first += part) {
            const std::int64_t n = std::min(part, count - first);
            drawn.append(latent::sample_rows(m, first, n, seed).x.data(), n);
        }
    }

public:
    void add_options(parser& app) override {
        add_inputs(app);
        rows.add(app, "the rows");
        add_output_options(app, output);
    }

    bool draw(const latent_kind::saved& saved, const std::string& /*command_line*/, findings& found) const override {
        row_output drawn = open(saved);
        std::visit([&](const auto& m) { draw_rows(m, drawn); }, saved.model);
        drawn.close();
        add_drawn(found);
        add_shape(found.summary, saved.model);
        found.add("seed", seed);
        return drawn.printed();
    }
};

} // namespace

void add_latent_apply(parser& latent, invocation& call) {
    add_command<score_command>(latent, call, "score", "Log-likelihood, BIC and AIC of a model on data");
    add_command<posterior_command>(latent, call, "posterior", "Means of the latent variables given each row");
    add_command<reconstruct_command>(latent, call, "reconstruct",
                                     "Rows without their noise: means of what the model explains");
    add_command<sample_command>(latent, call, "sample", "Draw samples of a model");
    add_command<info_command<latent_kind>>(latent, call, "info", "Print a model");
}

} // namespace elbo::cli
