#include "host/report/chart/trace_chart.hpp"
#include "host/report/chart/line_chart.hpp"

#include <algorithm>
#include <cmath>
#include <fmt/format.h>

namespace elbo::report {

namespace {

/// What a fit raises, after the E-step and after the M-step: with a prior log p(θ) is a part of it.
double objective(const iteration_record& record) {
    return record.log_likelihood + record.log_prior;
}

double objective_after(const iteration_record& record) {
    return record.elbo_after_m_step + record.log_prior_after;
}

bool has_prior(const std::vector<iteration_record>& trace) {
    return std::ranges::any_of(trace, [](const iteration_record& record) { return record.log_prior != 0; });
}

/// Re-seeded components and ascent steps without backtracking lower it, by more than rounding and regularisation do.
bool never_falls(const std::vector<iteration_record>& trace) {
    double low = INFINITY, high = -INFINITY, fall = 0;
    for (const iteration_record& record : trace) {
        fall = std::max(fall, high - objective(record));
        low = std::min(low, objective(record));
        high = std::max(high, objective(record));
    }
    constexpr double visible = 1e-3; // of the height of the picture
    return !(fall > visible * (high - low));
}

} // namespace

std::string chain_chart(const std::vector<iteration_record>& trace) {
    // The chain as one line: log p(θ_t) at t, then the bound after the M-step half an iteration later.
    std::vector<point> chain, likelihood, bound;
    for (const std::size_t i : shown_records(trace.size())) {
        const iteration_record& record = trace[i];
        const auto t = static_cast<double>(record.iteration);
        likelihood.push_back({t, objective(record)});
        chain.push_back(likelihood.back());
        if (i + 1 < trace.size()) {
            bound.push_back({t + 0.5, objective_after(record)});
            chain.push_back(bound.back());
        }
    }
    const interval x = padded(range_of(chain, 0), 0.03), y = range_of_nats(chain);
    const component_style likelihood_style{style_of(0).colour, marker::circle};
    const component_style bound_style{style_of(1).colour, marker::diamond};
    const ticks y_ticks = linear_ticks(y, 5);
    chart::layout size = half_page.with_labels(y_ticks);
    size.top = legend_height;
    chart c(x, y, size);
    c.axes(whole_ticks(x, 7), y_ticks, "iteration", "nats per sample");
    c.add(fmt::format(R"(<path class="curve" stroke="#8a8f98" d="{}"/>)", line_path(c, chain)));
    if (likelihood.size() <= largest_marker_count) {
        draw_markers(c, bound, bound_style, 3.2);
        draw_markers(c, likelihood, likelihood_style, 3.5);
    } else {
        c.add(fmt::format(R"(<path class="curve" stroke="{}" d="{}"/>)", bound_style.colour, line_path(c, bound)));
        c.add(fmt::format(R"(<path class="curve" stroke="{}" d="{}"/>)", likelihood_style.colour,
                          line_path(c, likelihood)));
    }
    const bool prior = has_prior(trace);
    c.add_outside(
        legend_line(c, {{likelihood_style, prior ? "log-likelihood + log prior" : "log-likelihood (after the E-step)"},
                        {bound_style, prior ? "ELBO + log prior" : "ELBO after the M-step"}}));
    return c.svg("chain", "Log-likelihood and evidence lower bound against iteration");
}

std::string chain_caption(const std::vector<iteration_record>& trace) {
    const std::string chain = "log p(&#952;<sub>t</sub>) &#8804; J(q<sub>t+1</sub>, &#952;<sub>t+1</sub>) &#8804; log "
                              "p(&#952;<sub>t+1</sub>)";
    const char* what = has_prior(trace) ? ", with the log density of the prior in each" : "";
    return fmt::format("The chain {}{}{}", chain, what, never_falls(trace) ? ": it never falls." : ".");
}

std::string convergence_chart(const std::vector<iteration_record>& trace) {
    std::vector<point> points;
    for (const std::size_t i : shown_records(trace.size())) {
        const double missing = objective(trace.back()) - objective(trace[i]);
        if (missing > 0)
            points.push_back({static_cast<double>(trace[i].iteration), std::log10(missing)});
    }
    if (points.size() < 2)
        return {};
    return line_chart({{"", {style_of(2).colour, marker::circle}, points}},
                      {.id = "convergence",
                       .x_title = "iteration",
                       .y_title = "missing to the end (nats)",
                       .description = "Difference to the end of the chain against iteration, logarithmic",
                       .decades = true});
}

std::string entropy_chart(const gmm::fit_result& fit) {
    std::vector<point> points;
    for (const std::size_t i : shown_records(fit.trace.size()))
        points.push_back({static_cast<double>(fit.trace[i].iteration), fit.trace[i].entropy});
    return line_chart({{"", {style_of(3).colour, marker::square}, points}},
                      {.id = "entropy",
                       .x_title = "iteration",
                       .y_title = "entropy of q (nats per sample)",
                       .description = "Entropy of the responsibilities against iteration"});
}

} // namespace elbo::report
