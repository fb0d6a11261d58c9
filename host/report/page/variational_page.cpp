// The page about a variational fit: the bound and its terms, the weights, the mixture at the posterior means.
#include "host/report/chart/charts.hpp"
#include "host/report/page/pages.hpp"

#include <cmath>

namespace elbo::report {
namespace {

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
