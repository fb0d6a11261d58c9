#include "host/report/page/latent_page.hpp"
#include "host/report/chart/charts.hpp"
#include "host/report/page/html.hpp"

#include <fmt/format.h>

namespace elbo::report {

std::string render(const latent_page& p) {
    std::string out = page_begin(p.title, p.made_by) + facts_list(p.facts);
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

} // namespace elbo::report
