#include "host/report/charts.hpp"
#include "host/report/report.hpp"
#include "host/report/style.hpp"
#include "host/report/svg.hpp"

#include "elbo/error.hpp"

#include <fmt/format.h>

namespace elbo::report {

namespace {

void check(const page& p) {
    const auto expected = static_cast<std::size_t>(p.points.count() * p.model->dimensions());
    if (p.points.rows.size() != expected)
        throw invalid_argument(fmt::format("report: {} points hold {} numbers, expected {} ({} dimensions)",
                                           p.points.count(), p.points.rows.size(), expected, p.model->dimensions()));
    for (const std::int32_t label : p.points.labels)
        if (label < 0 || label >= p.model->components())
            throw invalid_argument(
                fmt::format("report: label {} is not one of {} components", label, p.model->components()));
}

std::string facts(const page& p) {
    if (p.facts.empty())
        return {};
    std::string out = "<dl class=\"facts\">\n";
    for (const auto& [name, value] : p.facts)
        out += fmt::format("<div><dt>{}</dt><dd>{}</dd></div>\n", escape(name), escape(value));
    return out + "</dl>\n";
}

std::string points_note(const page& p) {
    if (p.points.count() == 0)
        return {};
    if (p.points.count() == p.samples)
        return fmt::format(" All {} samples are shown, each in the colour of its most probable component.", p.samples);
    return fmt::format(" {} of {} samples are shown, evenly spaced, each in the colour of its most probable component.",
                       p.points.count(), p.samples);
}

std::string density_section(const page& p) {
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

std::string figure(const std::string& picture, std::string_view caption) {
    if (picture.empty())
        return {};
    return fmt::format("<figure>{}<figcaption>{}</figcaption></figure>\n", picture, caption);
}

std::string trace_section(const gmm::fit_result& fit) {
    if (fit.trace.empty())
        return {};
    return "<h2>Convergence</h2>\n<div class=\"charts\">\n" +
           figure(chain_chart(fit), "The chain log p(&#952;<sub>t</sub>) &#8804; J(q<sub>t+1</sub>, "
                                    "&#952;<sub>t+1</sub>) &#8804; log p(&#952;<sub>t+1</sub>): it never falls.") +
           figure(convergence_chart(fit), "What is missing to the final log-likelihood: a straight line is the linear "
                                          "convergence of EM.") +
           figure(entropy_chart(fit), "Entropy of the responsibilities: zero when every sample belongs to one "
                                      "component alone.") +
           "</div>\n";
}

std::string events_section(const gmm::fit_result& fit) {
    std::string out = "<h2>Events</h2>\n";
    if (fit.events.empty())
        return out + "<p>None: no component was empty or singular.</p>\n";
    out += "<table><thead><tr><th>iteration</th><th>component</th><th>what</th><th>action</th></tr></thead><tbody>\n";
    for (const gmm::event& e : fit.events)
        out += fmt::format("<tr><td>{}</td><td>{}</td><td>{}</td><td>{}</td></tr>\n", e.iteration, e.component,
                           to_string(e.what), to_string(e.action));
    return out + "</tbody></table>\n";
}

} // namespace

std::string render(const page& p) {
    check(p);
    std::string out = "<!DOCTYPE html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\"/>\n"
                      "<meta name=\"viewport\" content=\"width=device-width, initial-scale=1\"/>\n";
    out += fmt::format("<title>{}</title>\n<style>{}</style>\n</head>\n<body>\n", escape(p.title), style_sheet);
    out += fmt::format("<h1>{}</h1>\n<p class=\"made-by\">{}</p>\n", escape(p.title), escape(p.made_by));
    out += facts(p) + density_section(p);
    if (is_image(p.model->dimensions()))
        out += "<h2>Component means</h2>\n" + component_images(*p.model);
    if (p.fit)
        out += trace_section(*p.fit);
    out += "<h2>Components</h2>\n<div class=\"scroll\">\n" + component_table(*p.model, p.column_names) + "</div>\n";
    if (p.fit)
        out += events_section(*p.fit);
    if (!p.command.empty())
        out += fmt::format("<h2>To make this page again</h2>\n<pre>{}</pre>\n", escape(p.command));
    out += "</body>\n</html>\n";
    return out;
}

} // namespace elbo::report
