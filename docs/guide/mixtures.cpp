// EM, its chain, and its gradient form.
#include "docs/guide/gallery.hpp"
#include "host/report/page/pages.hpp"

#include <elbo/data_source.hpp>
#include <elbo/gmm/gradient.hpp>
#include <elbo/gmm/infer.hpp>

#include <cmath>
#include <iostream>

namespace elbo::guide {

namespace {

void em(const gallery& g) {
    const context& ctx = g.ctx;
    const std::string path = g.file("faithful.csv");
    // [em]
    elbo::data_source data = elbo::data_source::file(path, {.columns = {"eruptions", "waiting"}});
    elbo::gmm::fit_options options{.components = 2, .start = elbo::gmm::start_method::random, .seed = 3};
    elbo::gmm::fit_result fit = elbo::gmm::fit(ctx, data, options);
    for (const elbo::gmm::iteration_record& t : fit.trace)
        std::cout << t.log_likelihood << " <= " << t.elbo_after_m_step << '\n';
    // [em end]
    for (std::size_t t = 0; t + 1 < fit.trace.size(); ++t)
        holds(fit.trace[t].log_likelihood <= fit.trace[t].elbo_after_m_step + 1e-7 &&
                  fit.trace[t].elbo_after_m_step <= fit.trace[t + 1].log_likelihood + 1e-7,
              "the chain of EM");

    report::mixture_page page;
    page.model = &fit.model;
    page.column_names = data.column_names();
    page.points = {numbers_of(data), gmm::assign(ctx, fit.model, data)};
    page.samples = data.rows();
    page.fit = &fit;
    g.save("chain", report::chain_chart(fit.trace));
    g.save("faithful", report::scatter_chart(page));
}

void gradient_form(const gallery& g) {
    const context& ctx = g.ctx;
    const data_source data = data_source::file(g.file("faithful.csv"), {.columns = {"eruptions", "waiting"}});
    // [gradient]
    elbo::gmm::fit_options options{.components = 2, .start = elbo::gmm::start_method::random, .seed = 3};
    elbo::gmm::fit_result closed = elbo::gmm::fit(ctx, data, options); // the M-step
    options.m_step = elbo::gmm::m_step_method::gradient;               // the M'-step
    options.gradient = {.steps = 5, .rate = 1};
    elbo::gmm::fit_result ascent = elbo::gmm::fit(ctx, data, options);
    std::cout << closed.log_likelihood << " in " << closed.iterations << " iterations, " << ascent.log_likelihood
              << " in " << ascent.iterations << '\n';

    elbo::gmm::log_likelihood_gradient slope = elbo::gmm::gradient(ctx, closed.model, data); // near 0 at the optimum
    // [gradient end]
    for (const double component : slope.logits)
        holds(std::abs(component) < 0.1, "the gradient vanishes at the optimum");
    holds(std::abs(closed.log_likelihood - ascent.log_likelihood) < 1e-5, "both M-steps reach the same optimum");
    const double best = std::max(closed.log_likelihood, ascent.log_likelihood);
    g.save("gradient", report::line_chart({curve("M-step in closed form", 0, missing(closed.trace, best)),
                                           curve("5 gradient steps", 1, missing(ascent.trace, best))},
                                          {.id = "gradient",
                                           .x_title = "iteration",
                                           .y_title = "missing to the optimum (nats)",
                                           .description = "Convergence of EM and of generalised EM",
                                           .decades = true}));
}

} // namespace

void mixtures(const gallery& g) {
    em(g);
    gradient_form(g);
}

} // namespace elbo::guide
