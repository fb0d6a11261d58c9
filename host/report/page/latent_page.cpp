#include "host/report/page/latent_page.hpp"
#include "host/report/chart/plane.hpp"
#include "host/report/chart/trace_chart.hpp"
#include "host/report/page/html.hpp"
#include "host/report/page/spaced_rows.hpp"

#include <algorithm>
#include <cmath>
#include <fmt/format.h>
#include <numbers>

namespace elbo::report {

namespace {

/// Columns 0 and 1 of rows of `width` numbers; of one column the number of the row and the column.
std::vector<std::array<double, 2>> first_two(const std::vector<double>& rows, std::int64_t width) {
    std::vector<std::array<double, 2>> points;
    for (std::int64_t i = 0; i < std::ssize(rows) / width; ++i)
        points.push_back(width == 1 ? std::array{static_cast<double>(i), rows[i]}
                                    : std::array{rows[i * width], rows[i * width + 1]});
    return points;
}

void set_titles(latent_page& page, const std::string& name, std::int64_t width) {
    page.x_title = width == 1 ? "row" : name + " 0";
    page.y_title = width == 1 ? name + " 0" : name + " 1";
}

/// E[z | x] of the component that each row most probably belongs to, coloured by it.
void show(latent_page& page, const context& ctx, const latent::factor_model& m, const matrix_view<const double>& rows) {
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
    page.cloud = group_by(first_two(means, L), components);
    page.cloud_title = "Latent variables";
    set_titles(page, "E[z | x]", L);
    page.cloud_note = K > 1
                          ? "Means of p(z | x, k) in the most probable component k, by whose number they are coloured."
                          : "Means of p(z | x).";
}

/// The circle as points of a group of its own.
void add_circle(point_groups& cloud, const latent::sphere_model& m) {
    constexpr int count = 1000;
    for (int i = 0; i < count; ++i) {
        const double angle = 2 * std::numbers::pi * i / count;
        cloud.points.push_back(
            {m.centre()[0] + m.radius() * std::cos(angle), m.centre()[1] + m.radius() * std::sin(angle)});
        cloud.groups.push_back(1);
    }
    cloud.legend.emplace_back(component_style{style_of(1).colour, marker::circle}, "sphere");
}

void show(latent_page& page, const context& ctx, const latent::sphere_model& m, const matrix_view<const double>& rows) {
    if (m.dimensions() != 2) {
        page.cloud = group_by(first_two(latent::posterior(ctx, m, rows).means, m.dimensions()), {});
        page.cloud_title = "Directions";
        set_titles(page, "E[u | x]", m.dimensions());
        page.cloud_note = "Means of the directions given the rows, at most of length 1: the surer, the longer.";
        return;
    }
    page.cloud = group_by(first_two(std::vector(rows.data, rows.data + rows.rows * 2), 2), {});
    add_circle(page.cloud, m);
    page.cloud_title = "Rows and the sphere";
    page.cloud_note = "Rows of the data, and the circle m + r u.";
}

template <class Model>
latent_page shown(const context& ctx, const Model& m, const char* what, const data_source& data, heading about,
                  const std::function<void()>& between) {
    const std::vector<double> rows = evenly_spaced_rows(data, shown_points(data.cols()), between);
    const matrix_view<const double> view(rows.data(), std::ssize(rows) / data.cols(), data.cols());
    latent_page page;
    static_cast<heading&>(page) = completed(std::move(about), what, ctx, data);
    page.x_title = column_name(data.column_names(), 0);
    page.y_title = column_name(data.column_names(), 1);
    show(page, ctx, m, view);
    if (view.rows < data.rows())
        page.cloud_note += fmt::format(" {} of {} samples are shown, evenly spaced.", view.rows, data.rows());
    return page;
}

template <class Fit>
std::string page_about(const context& ctx, const Fit& fit, const data_source& data, const heading& about) {
    latent_page p = page_of(ctx, fit.model, data, about);
    p.trace = fit.trace;
    return render(p);
}

} // namespace

latent_page page_of(const context& ctx, const latent::factor_model& m, const data_source& data, heading about,
                    const std::function<void()>& between) {
    return shown(ctx, m, "Factors of", data, std::move(about), between);
}

latent_page page_of(const context& ctx, const latent::sphere_model& m, const data_source& data, heading about,
                    const std::function<void()>& between) {
    return shown(ctx, m, "Sphere of", data, std::move(about), between);
}

std::string render(const latent_page& p) {
    std::string out = page_begin(p);
    if (!p.cloud.points.empty())
        out += fmt::format("<h2>{}</h2>\n", escape(p.cloud_title)) +
               figure(point_cloud(
                          p.cloud,
                          {.id = "rows", .x_title = p.x_title, .y_title = p.y_title, .description = p.cloud_title}),
                      escape(p.cloud_note));
    if (!p.trace.empty())
        out += "<h2>Convergence</h2>\n<div class=\"charts\">\n" + figure(chain_chart(p.trace), chain_caption(p.trace)) +
               figure(convergence_chart(p.trace), "What is missing to the end of the chain.") + "</div>\n";
    return out + page_end(p.command);
}

std::string page(const context& ctx, const latent::factor_result& fit, const data_source& data, const heading& about) {
    return page_about(ctx, fit, data, about);
}

std::string page(const context& ctx, const latent::sphere_result& fit, const data_source& data, const heading& about) {
    return page_about(ctx, fit, data, about);
}

} // namespace elbo::report
