// The pages about a mixture, and about a variational fit: the mixture at the posterior means.
#include "host/check.hpp"
#include "host/report/image/images.hpp"
#include "host/report/page/pages.hpp"

#include "elbo/gmm/infer.hpp"

#include <cmath>
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

// Of a variational fit: the bound and its terms, the weights.

using gmm::variational_record;
using gmm::variational_result;

std::string bound_chart(const variational_result& r) {
    std::vector<point> after = points_of(r.trace, &variational_record::bound_after_m_step, 0.5);
    after.pop_back(); // that of a posterior which was not taken any more
    return line_chart({{"after the update of q(z)",
                        {style_of(0).colour, marker::circle},
                        points_of(r.trace, &variational_record::bound)},
                       {"after that of q(\u03b8)", {style_of(1).colour, marker::diamond}, after}},
                      {.id = "bound",
                       .x_title = "iteration",
                       .y_title = "bound (nats per sample)",
                       .description = "Variational bound against iteration"});
}

std::string divergence_chart(const variational_result& r) {
    return line_chart({{"components",
                        {style_of(3).colour, marker::square},
                        points_of(r.trace, &variational_record::components_divergence)},
                       {"weights",
                        {style_of(4).colour, marker::circle},
                        points_of(r.trace, &variational_record::weights_divergence)}},
                      {.id = "divergence",
                       .x_title = "iteration",
                       .y_title = "divergence (nats per sample)",
                       .description = "Divergence of the posterior from the prior against iteration"});
}

std::string weights_chart(const variational_result& r) {
    std::vector<double> weights = r.posterior.expected_weights();
    std::ranges::sort(weights, std::ranges::greater());
    std::vector<point> points;
    for (std::size_t k = 0; k < weights.size(); ++k)
        if (weights[k] > 0)
            points.push_back({static_cast<double>(k + 1), std::log10(weights[k])});
    return line_chart({{"", {style_of(5).colour, marker::circle}, points}},
                      {.id = "weights",
                       .x_title = "component, by weight",
                       .y_title = "E[weight]",
                       .description = "Expected weights of the components in descending order, logarithmic",
                       .decades = true});
}

std::string bound_section(const variational_result& r) {
    return "<h2>Bound</h2>\n<div class=\"charts\">\n" +
           figure(bound_chart(r), "The bound on the evidence log p(x), with all constants: it never falls.") +
           figure(missing_chart(points_of(r.trace, &variational_record::bound), r.bound, "missing",
                                "Difference to the final bound against iteration, logarithmic"),
                  "What is missing to the final bound.") +
           figure(divergence_chart(r),
                  "KL(q(&#945;) &#8214; p(&#945;)) and &#931; KL(q(&#956;, &#923;) &#8214; p(&#956;, "
                  "&#923;)): what the bound pays for leaving the prior.") +
           figure(weights_chart(r), "Expected weights: superfluous components have lost their samples.") + "</div>\n";
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

std::string page(const context& ctx, const gmm::variational_result& fit, const data_source& data, const heading& about,
                 double threshold) {
    // Components without samples would only be drawn where the prior is.
    const bool some = !fit.posterior.effective_components(threshold).empty();
    const gmm::model shown = some ? fit.posterior.without_empty(threshold).model() : fit.model;
    const mixture_page plug_in = page_of(ctx, shown, data, completed(about, "Variational mixture of", ctx, data));
    return page_begin(plug_in) + bound_section(fit) + density_section(plug_in) +
           "<h2>Effective components at the posterior means</h2>\n<div class=\"scroll\">\n" +
           component_table(shown, plug_in.column_names) + "</div>\n" + page_end(plug_in.command);
}

} // namespace elbo::report
