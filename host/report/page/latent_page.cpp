// The page about a model with continuous latent variables: its fit, and the rows as it sees them: factors at E[z | x]
// of the component that each row most probably belongs to, a sphere at E[u | x] or, in two dimensions, at the rows.
#include "host/report/chart/charts.hpp"
#include "host/report/page/pages.hpp"

#include <cmath>
#include <fmt/format.h>
#include <numbers>

namespace elbo::report {
namespace {

/// Rows of the data as the model sees them.
struct latent_cloud {
    point_groups points;
    std::string title;            ///< heading above the points
    std::string x_title, y_title; ///< of the axes about them
    std::string note;             ///< what is seen
};

/// Columns 0 and 1 of rows of `width` numbers; of one column the number of the row and the column.
std::vector<point> first_two(const std::vector<double>& rows, std::int64_t width) {
    std::vector<point> points;
    for (std::int64_t i = 0; i < std::ssize(rows) / width; ++i)
        points.push_back(width == 1 ? std::array{static_cast<double>(i), rows[i]}
                                    : std::array{rows[i * width], rows[i * width + 1]});
    return points;
}

void set_titles(latent_cloud& cloud, const std::string& name, std::int64_t width) {
    cloud.x_title = width == 1 ? "row" : name + " 0";
    cloud.y_title = width == 1 ? name + " 0" : name + " 1";
}

/// E[z | x] of the component that each row most probably belongs to, coloured by it.
void show(latent_cloud& cloud, const context& ctx, const latent::factor_model& m,
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
    cloud.points = group_by(first_two(means, L), components);
    cloud.title = "Latent variables";
    set_titles(cloud, "E[z | x]", L);
    cloud.note = K > 1 ? "Means of p(z | x, k) in the most probable component k, by whose number they are coloured."
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

void show(latent_cloud& cloud, const context& ctx, const latent::sphere_model& m,
          const matrix_view<const double>& rows) {
    if (m.dimensions() != 2) {
        cloud.points = group_by(first_two(latent::posterior(ctx, m, rows).means, m.dimensions()), {});
        cloud.title = "Directions";
        set_titles(cloud, "E[u | x]", m.dimensions());
        cloud.note = "Means of the directions given the rows, at most of length 1: the surer, the longer.";
        return;
    }
    cloud.points = group_by(first_two(std::vector(rows.data, rows.data + rows.rows * 2), 2), {});
    add_circle(cloud.points, m);
    cloud.title = "Rows and the sphere";
    cloud.note = "Rows of the data, and the circle m + r u.";
}

template <class Fit>
std::string page_about(const context& ctx, const Fit& fit, const char* what, const data_source& data,
                       const heading& about) {
    const std::vector<double> rows = evenly_spaced_rows(data, shown_points(data.cols()));
    const matrix_view<const double> view(rows.data(), std::ssize(rows) / data.cols(), data.cols());
    latent_cloud cloud;
    cloud.x_title = column_name(data.column_names(), 0);
    cloud.y_title = column_name(data.column_names(), 1);
    show(cloud, ctx, fit.model, view);
    if (view.rows < data.rows())
        cloud.note += fmt::format(" {} of {} samples are shown, evenly spaced.", view.rows, data.rows());
    const heading head = completed(about, what, ctx, data);
    std::string out = page_begin(head);
    if (!cloud.points.points.empty())
        out +=
            fmt::format("<h2>{}</h2>\n", escape(cloud.title)) +
            figure(point_cloud(
                       cloud.points,
                       {.id = "rows", .x_title = cloud.x_title, .y_title = cloud.y_title, .description = cloud.title}),
                   escape(cloud.note));
    if (!fit.trace.empty())
        out += "<h2>Convergence</h2>\n<div class=\"charts\">\n" +
               figure(chain_chart(fit.trace), chain_caption(fit.trace)) +
               figure(convergence_chart(fit.trace), "What is missing to the end of the chain.") + "</div>\n";
    return out + page_end(head.command);
}

} // namespace

std::string page(const context& ctx, const latent::factor_result& fit, const data_source& data, const heading& about) {
    return page_about(ctx, fit, "Factors of", data, about);
}

std::string page(const context& ctx, const latent::sphere_result& fit, const data_source& data, const heading& about) {
    return page_about(ctx, fit, "Sphere of", data, about);
}

} // namespace elbo::report
