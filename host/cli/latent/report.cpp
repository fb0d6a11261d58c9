#include "host/cli/latent/report.hpp"

#include "host/report/chart/plane.hpp"
#include "host/report/page/latent_page.hpp"
#include "host/report/page/mixture_page.hpp"

#include <algorithm>
#include <cmath>
#include <fmt/format.h>
#include <numbers>

namespace elbo::cli {

namespace {

/// Columns 0 and 1 of rows of `width` numbers; of one column the number of the row and the column.
std::vector<std::array<double, 2>> first_two(const std::vector<double>& rows, std::int64_t width) {
    std::vector<std::array<double, 2>> points;
    for (std::int64_t i = 0; i < std::ssize(rows) / width; ++i)
        points.push_back(width == 1 ? std::array{static_cast<double>(i), rows[i]}
                                    : std::array{rows[i * width], rows[i * width + 1]});
    return points;
}

void set_titles(report::latent_page& page, const std::string& name, std::int64_t width) {
    page.x_title = width == 1 ? "row" : name + " 0";
    page.y_title = width == 1 ? name + " 0" : name + " 1";
}

/// E[z | x] of the component that each row most probably belongs to, coloured by it.
void show(report::latent_page& page, const context& ctx, const latent::factor_model& m,
          const matrix_view<const double>& rows) {
    const std::int64_t K = m.components(), L = m.latent();
    const latent::factor_posterior p = latent::posterior(ctx, m, rows);
    std::vector<double> means, components;
    for (std::int64_t n = 0; n < rows.rows; ++n) {
        const auto r = p.responsibilities.begin() + n * K;
        const std::int64_t k = std::max_element(r, r + K) - r;
        const auto z = p.means.begin() + (n * K + k) * L;
        means.insert(means.end(), z, z + L);
        if (K > 1)
            components.push_back(static_cast<double>(k));
    }
    page.cloud = report::group_by(first_two(means, L), components);
    page.cloud_title = "Latent variables";
    set_titles(page, "E[z | x]", L);
    page.cloud_note = K > 1
                          ? "Means of p(z | x, k) in the most probable component k, by whose number they are coloured."
                          : "Means of p(z | x).";
}

/// The circle as points of a group of its own.
void add_circle(report::point_groups& cloud, const latent::sphere_model& m) {
    constexpr int count = 1000;
    for (int i = 0; i < count; ++i) {
        const double angle = 2 * std::numbers::pi * i / count;
        cloud.points.push_back(
            {m.centre()[0] + m.radius() * std::cos(angle), m.centre()[1] + m.radius() * std::sin(angle)});
        cloud.groups.push_back(1);
    }
    cloud.legend.emplace_back(report::component_style{report::style_of(1).colour, report::marker::circle}, "sphere");
}

void show(report::latent_page& page, const context& ctx, const latent::sphere_model& m,
          const matrix_view<const double>& rows) {
    if (m.dimensions() != 2) {
        page.cloud = report::group_by(first_two(latent::posterior(ctx, m, rows).means, m.dimensions()), {});
        page.cloud_title = "Directions";
        set_titles(page, "E[u | x]", m.dimensions());
        page.cloud_note = "Means of the directions given the rows, at most of length 1: the surer, the longer.";
        return;
    }
    page.cloud = report::group_by(first_two(std::vector(rows.data, rows.data + rows.rows * 2), 2), {});
    add_circle(page.cloud, m);
    page.cloud_title = "Rows and the sphere";
    page.cloud_note = "Rows of the data, and the circle m + r u.";
}

} // namespace

std::string latent_page(const context& ctx, const latent_model& model, const std::vector<gmm::iteration_record>& trace,
                        const data_source& data, fact_list facts, const std::string& command_line) {
    const std::vector<double> rows = evenly_spaced_rows(data, report::shown_points(data.cols()));
    const std::int64_t d = dimensions_of(model);
    const matrix_view<const double> view(rows.data(), std::ssize(rows) / d, d);
    report::latent_page page;
    page.title = fmt::format("{} of {}", kind_of(model), file_name(data));
    page.facts = std::move(facts);
    page.trace = trace;
    page.x_title = report::column_name(data.column_names(), 0);
    page.y_title = report::column_name(data.column_names(), 1);
    std::visit([&](const auto& m) { show(page, ctx, m, view); }, model);
    if (view.rows < data.rows())
        page.cloud_note += fmt::format(" {} of {} samples are shown, evenly spaced.", view.rows, data.rows());
    page.command = command_line;
    page.made_by = made_by(ctx);
    return report::render(page);
}

} // namespace elbo::cli
