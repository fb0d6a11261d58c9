#include "host/report/chart/vae_charts.hpp"

#include "host/report/chart/line_chart.hpp"
#include "host/report/chart/point_cloud.hpp"
#include "host/report/image/png.hpp"

#include <algorithm>
#include <fmt/format.h>
#include <numeric>

namespace elbo::report {

namespace {

const component_style training_style{style_of(0).colour, marker::circle};
const component_style validation_style{style_of(1).colour, marker::diamond};
constexpr double active_variance = 0.01; // arXiv 1509.00519

// The first of many epochs differ from the others by so much that nothing else would be seen.
constexpr std::size_t left_out_share = 50;

using record = vae::epoch_record;

std::string history_chart(const std::vector<record>& history, double record::*training,
                          std::optional<double> record::*validation, const line_axes& axes) {
    const std::size_t first = history.size() / left_out_share;
    std::vector<curve> curves{{"training", training_style, {}}, {"validation", validation_style, {}}};
    for (const std::size_t i : shown_records(history.size())) {
        if (i < first)
            continue;
        const auto epoch = static_cast<double>(history[i].epoch);
        curves[0].points.push_back({epoch, history[i].*training});
        if (const auto& value = history[i].*validation)
            curves[1].points.push_back({epoch, *value});
    }
    if (curves[1].points.empty())
        curves.pop_back();
    return line_chart(curves, axes);
}

double variance(const std::vector<double>& values, std::int64_t unit, std::int64_t units) {
    double mean = 0, sum = 0;
    const auto n = static_cast<double>(std::ssize(values) / units);
    for (std::size_t i = unit; i < values.size(); i += units)
        mean += values[i] / n;
    for (std::size_t i = unit; i < values.size(); i += units)
        sum += (values[i] - mean) * (values[i] - mean);
    return sum / n;
}

// The units whose means vary most, in descending order.
std::vector<std::int64_t> most_active(const latent_points& latents, std::int64_t units) {
    std::vector<double> variances;
    for (std::int64_t l = 0; l < units; ++l)
        variances.push_back(variance(latents.mean, l, units));
    std::vector<std::int64_t> order(units);
    std::iota(order.begin(), order.end(), std::int64_t(0));
    std::stable_sort(order.begin(), order.end(), [&](auto a, auto b) { return variances[a] > variances[b]; });
    return order;
}

// Numbers of the units below their bars, as many as there is room for.
ticks unit_ticks(const std::vector<std::int64_t>& order) {
    constexpr std::size_t room = 28;
    ticks t;
    for (std::size_t i = 0; i < order.size(); i += order.size() / room + 1) {
        t.values.push_back(static_cast<double>(i));
        t.labels.push_back(std::to_string(order[i]));
    }
    return t;
}

} // namespace

std::string elbo_chart(const std::vector<record>& history) {
    return history_chart(history, &record::train_elbo, &record::validation_elbo,
                         {.id = "elbo",
                          .x_title = "epoch",
                          .y_title = "ELBO (nats per sample)",
                          .description = "Evidence lower bound against epoch"});
}

std::string reconstruction_chart(const std::vector<record>& history) {
    return history_chart(history, &record::train_reconstruction, &record::validation_reconstruction,
                         {.id = "reconstruction",
                          .x_title = "epoch",
                          .y_title = "reconstruction (nats per sample)",
                          .description = "Expected log-likelihood of the reconstruction against epoch"});
}

std::string kl_chart(const std::vector<record>& history) {
    return history_chart(history, &record::train_kl, &record::validation_kl,
                         {.id = "kl",
                          .x_title = "epoch",
                          .y_title = "KL divergence (nats per sample)",
                          .description = "KL divergence of q(z|x) from the prior against epoch"});
}

std::string unit_chart(const vae::evaluation& e) {
    if (e.kl_per_unit.empty())
        return {};
    std::vector<std::int64_t> order(e.kl_per_unit.size());
    std::iota(order.begin(), order.end(), std::int64_t(0));
    std::stable_sort(order.begin(), order.end(), [&](auto a, auto b) { return e.kl_per_unit[a] > e.kl_per_unit[b]; });
    const interval y{0, 1.06 * std::max(e.kl_per_unit[order[0]], 1e-3)};
    const ticks y_ticks = linear_ticks(y, 5);
    chart::layout size = half_page.with_labels(y_ticks);
    size.top = legend_height;
    chart c({-0.7, static_cast<double>(order.size()) - 0.3}, y, size);
    c.axes(unit_ticks(order), y_ticks, "latent unit", "KL divergence (nats per sample)");
    for (std::size_t i = 0; i < order.size(); ++i) {
        const bool active = e.unit_activity[order[i]] > active_variance;
        const auto at = static_cast<double>(i);
        c.add(fmt::format(R"(<path fill="{}" d="M{:.1f} {:.1f}V{:.1f}H{:.1f}V{:.1f}z"/>)",
                          (active ? training_style : validation_style).colour, c.x_of(at - 0.4), c.y_of(0),
                          c.y_of(e.kl_per_unit[order[i]]), c.x_of(at + 0.4), c.y_of(0)));
    }
    c.add_outside(legend_line(c, {{{training_style.colour, marker::square}, "active"},
                                  {{validation_style.colour, marker::square}, "inactive"}}));
    return c.svg("units", "KL divergence of each latent unit");
}

std::string latent_chart(const latent_points& latents, std::int64_t latent) {
    const std::vector<std::int64_t> order = most_active(latents, latent);
    std::vector<std::array<double, 2>> points;
    for (std::size_t i = 0; i < latents.mean.size(); i += latent)
        points.push_back(
            {latents.mean[i + order[0]], latent > 1 ? latents.mean[i + order[1]] : latents.deviation[i + order[0]]});
    const std::string x = fmt::format("mean of latent unit {}", order[0]);
    const std::string y = latent > 1 ? fmt::format("mean of latent unit {}", order[1])
                                     : fmt::format("standard deviation of latent unit {}", order[0]);
    return point_cloud(group_by(std::move(points), latents.labels),
                       {.id = "latents", .x_title = x, .y_title = y, .description = "Samples in the latent space"});
}

std::string row_chart(const row_pictures& rows, std::int64_t dimensions) {
    if (dimensions < 2 || rows.samples.empty())
        return {};
    point_groups cloud;
    cloud.legend = {{style_of(0), "data"}, {style_of(1), "means at draws of z"}};
    for (const auto& [values, group] : {std::pair(&rows.originals, 0), std::pair(&rows.samples, 1)})
        for (std::size_t i = 0; i < values->size(); i += dimensions) {
            cloud.points.push_back({(*values)[i], (*values)[i + 1]});
            cloud.groups.push_back(group);
        }
    return point_cloud(cloud, {.id = "rows",
                               .x_title = "column 0",
                               .y_title = "column 1",
                               .description = "Data and samples in the first two columns"});
}

std::string image_element(const std::vector<float>& rows, image_size size, int columns, interval shades, int group,
                          std::string_view description) {
    const grey_image picture = tile(rows, size, columns, shades, group);
    return fmt::format(R"(<img class="tiles" alt="{}" width="{}" height="{}" src="{}"/>)", escape(description),
                       picture.width, picture.height,
                       grey_image_address(picture.pixels, picture.width, picture.height));
}

} // namespace elbo::report
