#include "host/cli/latent/model.hpp"

#include "host/io/model/model_archive.hpp"
#include "host/report/chart/charts.hpp"

#include "elbo/blas.hpp"

#include <cmath>
#include <cstdlib>

namespace elbo::cli {
namespace {

constexpr std::int64_t largest_row_count = 20;

std::string text_of(const latent::sphere_model& m, const std::vector<std::string>& names) {
    std::vector<std::vector<std::string>> table{{"column", "centre"}};
    const std::int64_t rows = std::min(m.dimensions(), largest_row_count);
    for (std::int64_t j = 0; j < rows; ++j)
        table.push_back({report::column_name(names, j), fmt::format("{:.6g}", m.centre()[j])});
    return text_list({{"radius", fmt::format("{:.6g}", m.radius())},
                      {"standard deviation of the noise", fmt::format("{:.6g}", std::sqrt(m.noise()))}}) +
           "\n" + text_table(table);
}

/// Mean, length of the loadings and deviation of the noise of each column, for each component.
std::string text_of(const latent::factor_model& m, const std::vector<std::string>& names) {
    const std::int64_t d = m.dimensions(), L = m.latent();
    std::vector<std::vector<std::string>> table{{"component", "weight", "column", "mean", "|loadings|", "noise"}};
    for (std::int64_t k = 0; k < m.components(); ++k) {
        const std::vector<double> noise = m.noise_of(k);
        for (std::int64_t j = 0; j < d && std::ssize(table) <= largest_row_count; ++j) {
            double square = 0;
            for (std::int64_t l = 0; l < L; ++l)
                square += std::pow(m.loadings()[(k * d + j) * L + l], 2);
            table.push_back({std::to_string(k), fmt::format("{:.4f}", m.weights()[k]), report::column_name(names, j),
                             fmt::format("{:.5g}", m.means()[k * d + j]), fmt::format("{:.4g}", std::sqrt(square)),
                             fmt::format("{:.4g}", std::sqrt(noise[j]))});
        }
    }
    std::string out = text_table(table) + "  (standard deviations of what the factors explain and of the noise";
    if (m.components() * d > largest_row_count)
        out += fmt::format("; the first {} of {} columns of components", largest_row_count, m.components() * d);
    return out + ")\n";
}

void add_arrays(json& summary, const latent::sphere_model& m) {
    summary["centre"] = array_or_null(m.centre(), std::vector{m.dimensions()});
    summary["radius"] = m.radius();
    summary["noise"] = m.noise();
}

void add_arrays(json& summary, const latent::factor_model& m) {
    const std::int64_t k = m.components(), d = m.dimensions();
    summary["weights"] = m.weights();
    summary["means"] = array_or_null(m.means(), std::vector{k, d});
    summary["loadings"] = array_or_null(m.loadings(), std::vector{k, d, m.latent()});
    const auto size = static_cast<std::int64_t>(m.noise().size());
    summary["noise"] = array_or_null(m.noise(), m.own_noise() ? std::vector{k, d} : std::vector{size});
}

} // namespace

latent_facts facts_of(const latent_model& m) {
    if (const auto* s = std::get_if<latent::sphere_model>(&m))
        return {latent_kinds.back(), s->dimensions(), 1, s->dimensions(), s->parameters()};
    const auto& f = std::get<latent::factor_model>(m);
    return {latent_kinds[static_cast<std::size_t>(f.kind())], f.dimensions(), f.components(), f.latent(),
            f.parameters()};
}

std::string describe(const latent_model& m) {
    const latent_facts facts = facts_of(m);
    std::string text = facts.kind;
    if (facts.components > 1)
        text += ", " + plural(facts.components, "component");
    text += ", " + plural(facts.dimensions, "dimension");
    return std::holds_alternative<latent::factor_model>(m) ? text + fmt::format(", {} latent", facts.latent) : text;
}

std::string parameter_text(const latent_model& m, const std::vector<std::string>& column_names) {
    return std::visit([&](const auto& model) { return text_of(model, column_names); }, m);
}

void add_shape(json& summary, const latent_model& m) {
    const latent_facts facts = facts_of(m);
    summary["kind"] = facts.kind;
    summary["dimensions"] = facts.dimensions;
    summary["components"] = facts.components;
    summary["latent"] = facts.latent;
}

void add_parameters(json& summary, const latent_model& m) {
    std::visit([&](const auto& model) { add_arrays(summary, model); }, m);
}

latent_kind::saved latent_kind::load(const std::string& path) {
    if (io::declared_format(path) == latent::sphere_format.name) {
        latent::saved_sphere saved = latent::load_saved_sphere(path);
        return {std::move(saved.model), std::move(saved.column_names)};
    }
    latent::saved_factor_model saved = latent::load_saved_factors(path);
    return {std::move(saved.model), std::move(saved.column_names)};
}

void latent_kind::note_on(const context& ctx, const output_options& output) {
    if (ctx.where() != backend::cpu || std::getenv("OPENBLAS_CORETYPE") != nullptr)
        return;
    const std::string advice = blas().advice;
    if (!advice.empty())
        note(output, advice);
}

void latent_kind::add_parameters(json& summary, const saved& s) {
    summary["parameters"] = facts_of(s.model).parameters;
    summary["column_names"] = s.column_names;
    cli::add_parameters(summary, s.model);
}

std::string latent_kind::text(const saved& s) {
    return fmt::format(", {} parameters\n\n{}", facts_of(s.model).parameters, parameter_text(s.model, s.column_names));
}

template class apply_command<latent_kind>;

} // namespace elbo::cli
