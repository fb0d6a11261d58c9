#include "host/report/page/selection_page.hpp"
#include "host/report/chart/selection_chart.hpp"
#include "host/report/chart/svg.hpp"
#include "host/report/page/component_table.hpp"
#include "host/report/page/html.hpp"

#include <fmt/format.h>

namespace elbo::report {

namespace {

using gmm::criterion;

std::string held_out_figure(const gmm::select_result& r) {
    if (!is_held_out(r.by))
        return {};
    return figure(
        criterion_chart(r, r.by),
        r.by == criterion::validation
            ? "Mean log-likelihood of the rows that were held out, with one standard error over these rows: "
              "large is good."
            : "Mean log-likelihood of all rows, each under a model that was fitted without its fold, with one "
              "standard error over the folds: large is good.");
}

std::string criteria_section(const gmm::select_result& r) {
    return "<h2>Criteria</h2>\n" + family_legend(r) + "<div class=\"charts\">\n" + held_out_figure(r) +
           figure(criterion_chart(r, criterion::bic),
                  "BIC = &#8722;2 log L + p ln n: small is good; consistent where the truth is among the models.") +
           figure(criterion_chart(r, criterion::icl),
                  "ICL = BIC + 2 &#215; the entropy of the responsibilities: prefers clusters that do not overlap.") +
           figure(criterion_chart(r, criterion::aic),
                  "AIC = &#8722;2 log L + 2 p: aims at prediction, and takes more components than BIC.") +
           "</div>\n" +
           fmt::format(
               "<p class=\"note\">The ring marks what was chosen: {}. Models far worse than most may lie outside the "
               "frame.</p>\n",
               escape(r.reason));
}

} // namespace

std::string render(const selection_page& p) {
    const mixture_page& chosen = p.chosen;
    check(chosen);
    const gmm::select_result& r = *p.result;
    return page_begin(chosen) + criteria_section(r) + "<h2>All models</h2>\n<div class=\"scroll\">\n" +
           selection_table(r) + "</div>\n" + density_section(chosen) + "<h2>Components</h2>\n<div class=\"scroll\">\n" +
           component_table(*chosen.model, chosen.column_names) + "</div>\n" + page_end(chosen.command);
}

std::string page(const context& ctx, const gmm::select_result& choice, const data_source& data, const heading& about) {
    return render(selection_page{
        page_of(ctx, choice.best.model, data, completed(about, "Choice of a mixture for", ctx, data)), &choice});
}

} // namespace elbo::report
