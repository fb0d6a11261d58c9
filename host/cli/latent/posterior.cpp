#include "host/cli/latent/model.hpp"

#include <algorithm>

namespace elbo::cli {

namespace {

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

class posterior_command : public apply_command<latent_kind> {
    row_options rows;

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

    command_files files() const override { return rows.files(output); }

    answer apply(const applied<latent_kind>& work, findings& /*found*/) const override {
        const bool printed = std::visit([&](const auto& m) { return write_rows(work, m); }, work.saved.model);
        return {printed ? ""
                        : fmt::format("{}: posteriors of {} rows under {} ({})\n", rows.path, work.rows(), model_path,
                                      work.describe())};
    }
};

} // namespace

void add_latent_posterior(parser& latent, invocation& call) {
    add_command<posterior_command>(latent, call, "posterior", "Means of the latent variables given each row");
}

} // namespace elbo::cli
