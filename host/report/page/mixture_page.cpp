#include "host/check.hpp"
#include "host/report/image/images.hpp"
#include "host/report/page/pages.hpp"

#include "elbo/gmm/infer.hpp"

#include <fmt/format.h>

namespace elbo::report {
namespace {

std::string points_note(const mixture_page& p) {
    if (p.points.count() == 0)
        return {};
    if (p.points.count() == p.samples)
        return fmt::format(" All {} samples are shown, each in the colour of its most probable component.", p.samples);
    return fmt::format(" {} of {} samples are shown, evenly spaced, each in the colour of its most probable component.",
                       p.points.count(), p.samples);
}

std::string trace_section(const gmm::fit_result& fit) {
    if (fit.trace.empty())
        return {};
    const std::string entropy =
        line_chart({{"", {style_of(3).colour, marker::square}, points_of(fit.trace, &iteration_record::entropy)}},
                   {.id = "entropy",
                    .x_title = "iteration",
                    .y_title = "entropy of q (nats per sample)",
                    .description = "Entropy of the responsibilities against iteration"});
    return "<h2>Convergence</h2>\n<div class=\"charts\">\n" + figure(chain_chart(fit.trace), chain_caption(fit.trace)) +
           figure(convergence_chart(fit.trace),
                  "What is missing to the end of the chain: a straight line is the linear "
                  "convergence of EM.") +
           figure(entropy, "Entropy of the responsibilities: zero when every sample belongs to one "
                           "component alone.") +
           "</div>\n";
}

std::string events_section(const gmm::fit_result& fit) {
    std::string out = "<h2>Events</h2>\n";
    if (fit.events.empty())
        return out + "<p>None: no component was empty or singular, no value far from all others.</p>\n";
    out += "<table><thead><tr><th>iteration</th><th>component</th><th>what</th><th>action</th></tr></thead><tbody>\n";
    for (const gmm::event& e : fit.events)
        out +=
            e.what == gmm::event::kind::far_value
                ? fmt::format("<tr><td></td><td></td><td>{}</td><td>row {}, column {}: {:.6g}</td></tr>\n",
                              to_string(e.what), e.far.row, e.far.column, e.far.value)
                : fmt::format("<tr><td>{}</td><td>{}</td><td>{}</td><td>{}</td></tr>\n", e.iteration, e.component,
                              to_string(e.what), e.what == gmm::event::kind::identical ? "none" : to_string(e.action));
    return out + "</tbody></table>\n";
}

} // namespace

mixture_page page_of(const context& ctx, const gmm::model& m, const data_source& data, heading about,
                     const std::function<void()>& between) {
    const std::int64_t d = m.dimensions();
    expects(data.cols() == d, [&] {
        return fmt::format("report: data of {} columns, expected {}, the dimensions of the model", data.cols(), d);
    });
    mixture_page p;
    static_cast<heading&>(p) = completed(std::move(about), "Gaussian mixture of", ctx, data);
    p.model = &m;
    p.column_names = data.column_names();
    p.samples = data.rows();
    p.points.rows = evenly_spaced_rows(data, shown_points(d), between);
    const auto count = static_cast<std::int64_t>(p.points.rows.size()) / d;
    p.points.labels = gmm::assign(ctx, m, matrix_view<const double>(p.points.rows.data(), count, d));
    return p;
}

void check(const mixture_page& p) {
    const auto expected = static_cast<std::size_t>(p.points.count() * p.model->dimensions());
    if (p.points.rows.size() != expected)
        throw invalid_argument(fmt::format("report: {} points hold {} numbers, expected {} ({} dimensions)",
                                           p.points.count(), p.points.rows.size(), expected, p.model->dimensions()));
    for (const std::int32_t label : p.points.labels)
        if (label < 0 || label >= p.model->components())
            throw invalid_argument(
                fmt::format("report: label {} is not one of {} components", label, p.model->components()));
}

std::string density_section(const mixture_page& p) {
    std::string out = "<h2>Density</h2>\n";
    if (p.model->dimensions() == 1) {
        out += histogram_chart(p) + component_legend(*p.model);
        out += "<p class=\"note\">Bars: histogram of the samples. Black: density of the mixture. Coloured: its "
               "components.</p>\n";
        return out;
    }
    out += scatter_chart(p) + component_legend(*p.model);
    out += fmt::format("<p class=\"note\">Shaded contours hold 25, 50, 75 and 95 % of the mixture's probability. "
                       "Ellipses: one (solid) and two (dashed) standard deviations of each component.{}</p>\n",
                       points_note(p));
    return out;
}

std::string render(const mixture_page& p) {
    check(p);
    std::string out = page_begin(p) + density_section(p);
    if (is_image(p.model->dimensions()))
        out += "<h2>Component means</h2>\n" + component_images(*p.model);
    if (p.fit)
        out += trace_section(*p.fit);
    out += "<h2>Components</h2>\n<div class=\"scroll\">\n" + component_table(*p.model, p.column_names) + "</div>\n";
    if (p.fit)
        out += events_section(*p.fit);
    return out + page_end(p.command);
}

std::string page(const context& ctx, const gmm::model& m, const data_source& data, const heading& about) {
    return render(page_of(ctx, m, data, about));
}

std::string page(const context& ctx, const gmm::fit_result& fit, const data_source& data, const heading& about) {
    mixture_page p = page_of(ctx, fit.model, data, about);
    p.fit = &fit;
    return render(p);
}

} // namespace elbo::report
