#include "host/report/page/vae_page.hpp"
#include "host/check.hpp"
#include "host/report/chart/svg.hpp"
#include "host/report/chart/vae_charts.hpp"
#include "host/report/page/html.hpp"
#include "host/report/page/spaced_rows.hpp"

#include <cmath>
#include <fmt/format.h>

namespace elbo::report {

namespace {

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
        figure(elbo_chart(p.history),
               "The evidence lower bound, reconstruction &#8722; KL. Training values are means "
               "over an epoch while the parameters moved; of long runs the first fiftieth is left out.") +
        figure(reconstruction_chart(p.history), "Reconstruction: E<sub>q</sub>[log p(x|z)].") +
        figure(kl_chart(p.history), "KL divergence of q(z|x) from the prior N(0, I).") + unit_figure(p);
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
