#include "host/check.hpp"
#include "host/report/image/images.hpp"
#include "host/report/page/pages.hpp"

#include <cmath>
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

/// A term of the bound against epoch.
struct history_term {
    std::string_view id, title, description;
    double record::*training;
    std::optional<double> record::*validation;
};
constexpr history_term elbo_term{"elbo", "ELBO (nats per sample)", "Evidence lower bound against epoch",
                                 &record::train_elbo, &record::validation_elbo};
constexpr history_term reconstruction_term{"reconstruction", "reconstruction (nats per sample)",
                                           "Expected log-likelihood of the reconstruction against epoch",
                                           &record::train_reconstruction, &record::validation_reconstruction};
constexpr history_term kl_term{"kl", "KL divergence (nats per sample)",
                               "KL divergence of q(z|x) from the prior against epoch", &record::train_kl,
                               &record::validation_kl};

std::string history_chart(const std::vector<record>& history, const history_term& term) {
    const std::size_t first = history.size() / left_out_share;
    std::vector<curve> curves{{"training", training_style, {}}, {"validation", validation_style, {}}};
    for (const std::size_t i : shown_records(history.size())) {
        if (i < first)
            continue;
        const auto epoch = static_cast<double>(history[i].epoch);
        curves[0].points.push_back({epoch, history[i].*term.training});
        if (const auto& value = history[i].*term.validation)
            curves[1].points.push_back({epoch, *value});
    }
    if (curves[1].points.empty())
        curves.pop_back();
    return line_chart(curves,
                      {.id = term.id, .x_title = "epoch", .y_title = term.title, .description = term.description});
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

// Places of the values, the largest first.
std::vector<std::int64_t> descending(const std::vector<double>& values) {
    std::vector<std::int64_t> order(values.size());
    std::iota(order.begin(), order.end(), std::int64_t(0));
    std::stable_sort(order.begin(), order.end(), [&](auto a, auto b) { return values[a] > values[b]; });
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

// Bars, the largest first; active and inactive units in two colours.
std::string unit_chart(const vae::evaluation& e) {
    if (e.kl_per_unit.empty())
        return {};
    const std::vector<std::int64_t> order = descending(e.kl_per_unit);
    const interval y{0, 1.06 * std::max(e.kl_per_unit[order[0]], 1e-3)};
    const ticks y_ticks = linear_ticks(y, 5);
    chart::layout size = half_page.with_labels(y_ticks);
    size.top = legend_height;
    chart c({-0.7, static_cast<double>(order.size()) - 0.3}, y, size);
    c.axes(unit_ticks(order), y_ticks, "latent unit", "KL divergence (nats per sample)");
    for (std::size_t i = 0; i < order.size(); ++i) {
        const bool active = e.unit_activity[order[i]] > active_variance;
        const auto at = static_cast<double>(i);
        c.add(fmt::format(R"(<path fill="{}" d="{}"/>)", (active ? training_style : validation_style).colour,
                          bar_path(c, at - 0.4, at + 0.4, e.kl_per_unit[order[i]])));
    }
    c.add_outside(legend_line(c, {{{training_style.colour, marker::square}, "active"},
                                  {{validation_style.colour, marker::square}, "inactive"}}));
    return c.svg("units", "KL divergence of each latent unit");
}

// Means of q(z|x) in the two latent units with the largest variance of the means (mean and deviation where there is one
// unit), coloured by label.
std::string latent_chart(const latent_points& latents, std::int64_t latent) {
    std::vector<double> variances;
    for (std::int64_t l = 0; l < latent; ++l)
        variances.push_back(variance(latents.mean, l, latent));
    const std::vector<std::int64_t> order = descending(variances);
    std::vector<point> points;
    for (std::size_t i = 0; i < latents.mean.size(); i += latent)
        points.push_back(
            {latents.mean[i + order[0]], latent > 1 ? latents.mean[i + order[1]] : latents.deviation[i + order[0]]});
    const std::string x = fmt::format("mean of latent unit {}", order[0]);
    const std::string y = latent > 1 ? fmt::format("mean of latent unit {}", order[1])
                                     : fmt::format("standard deviation of latent unit {}", order[0]);
    return point_cloud(group_by(std::move(points), latents.labels),
                       {.id = "latents", .x_title = x, .y_title = y, .description = "Samples in the latent space"});
}

// Rows and samples in the first two columns, for data that are no images.
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

// <img> with images in rows of `columns`; `group`: rows that belong together.
std::string image_element(const std::vector<float>& rows, image_size size, int columns, interval shades, int group,
                          std::string_view description) {
    const grey_image picture = tile(rows, size, columns, shades, group);
    return fmt::format(R"(<img class="tiles" alt="{}" width="{}" height="{}" src="{}"/>)", escape(description),
                       picture.width, picture.height, grey_image_address(picture));
}

void check_size(const char* name, std::size_t size, std::int64_t width) {
    if (size % static_cast<std::size_t>(width) != 0)
        throw invalid_argument(fmt::format("report: {} hold {} numbers, expected rows of {}", name, size, width));
}

void check(const vae_page& p) {
    const vae::architecture& a = p.model->architecture();
    check_size("samples", p.pictures.samples.size(), a.dimensions);
    check_size("originals", p.pictures.originals.size(), a.dimensions);
    check_size("latent means", p.latents.mean.size(), a.latent);
    const std::size_t rows = p.latents.mean.size() / static_cast<std::size_t>(a.latent);
    if (p.pictures.reconstructions.size() != p.pictures.originals.size() && p.image)
        throw invalid_argument(fmt::format("report: {} reconstructed numbers, expected {}, those of the originals",
                                           p.pictures.reconstructions.size(), p.pictures.originals.size()));
    if (p.latents.deviation.size() != p.latents.mean.size() ||
        (!p.latents.labels.empty() && p.latents.labels.size() != rows))
        throw invalid_argument(fmt::format("report: {} deviations and {} labels, expected {} and none or {}",
                                           p.latents.deviation.size(), p.latents.labels.size(), p.latents.mean.size(),
                                           rows));
    if (p.image && p.image->pixels() != a.dimensions)
        throw invalid_argument(fmt::format("report: images of {} x {} pixels, expected {} pixels, the dimensions",
                                           p.image->width, p.image->height, a.dimensions));
}

std::string image_section(const vae_page& p) {
    const row_pictures& rows = p.pictures;
    const interval shades = shades_of(rows.originals.empty() ? rows.samples : rows.originals);
    std::string out;
    if (!rows.samples.empty())
        out += "<h2>Samples</h2>\n" +
               figure(image_element(rows.samples, *p.image, tile_columns, shades, 1, "Samples of the model"),
                      fmt::format("Means of p(x|z) at draws z of the prior; white is {:.3g}, black {:.3g}.", shades.low,
                                  shades.high));
    if (!rows.originals.empty())
        out += "<h2>Reconstructions</h2>\n" +
               figure(image_element(alternate(rows.originals, rows.reconstructions, p.image->pixels(), tile_columns),
                                    *p.image, tile_columns, shades, 2, "Originals above reconstructions"),
                      fmt::format("Rows of the {}, evenly spaced; below each its reconstruction, the mean of p(x|z) at "
                                  "the mean of q(z|x).",
                                  escape(p.rows_name)));
    return out;
}

std::string row_section(const vae_page& p) {
    const std::string picture = row_chart(p.pictures, p.model->architecture().dimensions);
    return picture.empty() ? "" : "<h2>Data and samples</h2>\n" + picture;
}

std::string unit_figure(const vae_page& p) {
    if (!p.evaluated)
        return {};
    return figure(unit_chart(*p.evaluated),
                  "KL divergence of each latent unit, the largest first. A unit is active where "
                  "the variance of its means exceeds 0.01.");
}

std::string history_section(const vae_page& p) {
    const std::string pictures =
        figure(history_chart(p.history, elbo_term),
               "The evidence lower bound, reconstruction &#8722; KL. Training values are means "
               "over an epoch while the parameters moved; of long runs the first fiftieth is left out.") +
        figure(history_chart(p.history, reconstruction_term), "Reconstruction: E<sub>q</sub>[log p(x|z)].") +
        figure(history_chart(p.history, kl_term), "KL divergence of q(z|x) from the prior N(0, I).") + unit_figure(p);
    return pictures.empty() ? "" : "<h2>Terms of the bound</h2>\n<div class=\"charts\">\n" + pictures + "</div>\n";
}

std::string latent_section(const vae_page& p) {
    if (p.latents.mean.empty())
        return {};
    const std::int64_t latent = p.model->architecture().latent;
    const std::string units = latent <= 2 ? "" : fmt::format(" The two of {} units whose means vary most.", latent);
    return "<h2>Latent space</h2>\n" + latent_chart(p.latents, latent) +
           fmt::format("<p class=\"note\">Means of q(z|x) of {} rows of the data{}.{}</p>\n",
                       std::ssize(p.latents.mean) / latent, p.latents.labels.empty() ? "" : ", coloured by label",
                       units);
}

latent_points latents_of(const context& ctx, const vae::model& m, const data_source& data,
                         const std::vector<double>& labels, const std::function<void()>& between) {
    const std::int64_t d = m.architecture().dimensions, count = shown_points(d);
    const std::vector<double> rows = evenly_spaced_rows(data, count, between);
    const vae::latents encoded = vae::encode(ctx, m, matrix_view<const double>(rows.data(), std::ssize(rows) / d, d));
    latent_points points;
    points.mean.assign(encoded.mean.begin(), encoded.mean.end());
    for (const float log_variance : encoded.log_variance)
        points.deviation.push_back(std::exp(0.5 * log_variance));
    points.labels = evenly_spaced(labels, count);
    return points;
}

} // namespace

std::string elbo_chart(const std::vector<record>& history) {
    return history_chart(history, elbo_term);
}

std::string render(const vae_page& p) {
    check(p);
    std::string out = page_begin(p) + (p.image ? image_section(p) : row_section(p));
    out += history_section(p) + latent_section(p);
    out += fmt::format("<h2>Network</h2>\n<pre>{}</pre>\n", escape(p.model->architecture().summary()));
    return out + page_end(p.command);
}

vae_page page_of(const context& ctx, const vae::model& m, const data_source& data, heading about,
                 const autoencoder_extras& extras, const std::function<void()>& between) {
    const std::int64_t d = m.architecture().dimensions;
    expects(data.cols() == d, [&] {
        return fmt::format("report: data of {} columns, expected {}, the dimensions of the model", data.cols(), d);
    });
    expects(extras.labels.empty() || std::ssize(extras.labels) == data.rows(), [&] {
        return fmt::format("labels has {} entries: expected none or {}, the rows", extras.labels.size(), data.rows());
    });
    const data_source& judged = extras.validation ? *extras.validation : data;
    vae_page page;
    static_cast<heading&>(page) = completed(std::move(about), "Variational autoencoder of", ctx, data);
    page.model = &m;
    page.image = extras.image ? extras.image : square_of(d);
    page.latents = latents_of(ctx, m, data, extras.labels, between);
    page.rows_name = extras.validation ? "validation data" : "data";
    const std::vector<double> rows = evenly_spaced_rows(judged, shown_points(d), between);
    page.evaluated = vae::evaluate(ctx, m, matrix_view<const double>(rows.data(), std::ssize(rows) / d, d));
    // As many originals as a picture of pairs shows, or enough points for a cloud.
    const std::int64_t originals = page.image ? largest_tile_count / 2 : shown_points(d);
    const std::vector<double> first = evenly_spaced_rows(judged, originals, between);
    page.pictures.originals.assign(first.begin(), first.end());
    page.pictures.samples =
        vae::sample(ctx, m, page.image ? largest_tile_count : originals, {.seed = extras.seed, .means = true});
    page.pictures.reconstructions =
        vae::reconstruct(ctx, m, matrix_view<const float>(page.pictures.originals.data(), std::ssize(first) / d, d));
    return page;
}

std::string page(const context& ctx, const vae::train_result& fit, const data_source& data, const heading& about,
                 const autoencoder_extras& extras) {
    vae_page p = page_of(ctx, fit.model, data, about, extras);
    p.history = fit.history;
    return render(p);
}

} // namespace elbo::report
