// The evidence lower bound as a tool, its gradient, generalised EM, and labels. docs/bound.md shows the parts between
// the markers.
//   bound tests/data/faithful.csv
#include <elbo/data_source.hpp>
#include <elbo/gmm/evidence.hpp>
#include <elbo/gmm/fit.hpp>
#include <elbo/gmm/gradient.hpp>
#include <elbo/gmm/infer.hpp>

#include <cmath>
#include <iostream>

/// Fits with labels and with factors; whether they are kept.
static bool fits_with_labels(const elbo::context& ctx, const elbo::data_source& data) {
    // [labels]
    std::vector<std::int32_t> labels(data.rows(), -1); // −1: unknown
    labels[0] = 1;                                     // a long eruption
    labels[1] = 0;                                     // a short one
    elbo::gmm::fit_options known{.components = 2};
    known.labels = labels;
    elbo::gmm::model named = elbo::gmm::fit(ctx, data, known).model;
    std::cout << "short eruptions: " << named.means()[0] << ", long ones: " << named.means()[2] << " minutes\n";
    // [labels end]

    // [sets]
    // Row 2 is not of component 0, and of row 3 a prior of its own is known.
    std::vector<float> factors(2 * data.rows(), 1);
    factors[2 * 2] = 0;
    factors[2 * 3] = 0.9f, factors[2 * 3 + 1] = 0.1f;
    elbo::matrix_view<const float> prior(factors.data(), data.rows(), 2);
    std::vector<double> r =
        elbo::gmm::responsibilities(ctx, named, data, elbo::gmm::sample_labels::from_factors(prior));
    // [sets end]
    return named.means()[0] < 3 && named.means()[2] > 4 && r[2 * 2] == 0;
}

int main(int argc, char** argv) {
    const char* path = argc > 1 ? argv[1] : "faithful.csv";
    elbo::context ctx = elbo::context::best();
    elbo::data_source data = elbo::data_source::file(path, {.columns = {"eruptions", "waiting"}});

    // [terms]
    elbo::gmm::model model = elbo::gmm::fit(ctx, data, {.components = 2, .seed = 7}).model;
    elbo::gmm::evidence_terms tight = elbo::gmm::evidence(ctx, model, data); // q: its own posterior
    std::cout << tight.expected_log_joint << " + " << tight.entropy << " = " << tight.log_likelihood << '\n';

    // Any other q has a lower bound, by its divergence from the posterior.
    std::vector<double> q(2 * data.rows(), 0.5);
    elbo::matrix_view<const double> table(q.data(), data.rows(), 2);
    elbo::gmm::evidence_terms loose = elbo::gmm::evidence(ctx, model, data, table);
    std::cout << loose.elbo << " = " << loose.log_likelihood << " - " << loose.kl << '\n';
    // [terms end]

    // [chain]
    elbo::gmm::fit_options options{.components = 2, .start = elbo::gmm::start_method::samples};
    options.relative_regularization = 0;
    options.max_iterations = 2;
    elbo::gmm::model before = elbo::gmm::fit(ctx, data, options).model; // θ_1
    options.max_iterations = 3;
    elbo::gmm::fit_result fit = elbo::gmm::fit(ctx, data, options); // θ_2 and the trace up to it
    elbo::gmm::evidence_terms raised = elbo::gmm::evidence(ctx, fit.model, data, before);
    std::cout << fit.trace[1].log_likelihood << " <= " << raised.elbo << " <= " << raised.log_likelihood << '\n';
    // [chain end]

    // [gradient]
    elbo::gmm::log_likelihood_gradient slope = elbo::gmm::gradient(ctx, before, data);
    std::cout << "d log p / d mean of component 0: " << slope.means[0] << ", " << slope.means[1] << '\n';
    // [gradient end]

    // [steps]
    elbo::gmm::fit_options ascent{.components = 2, .tolerance = 1e-10, .seed = 7};
    ascent.m_step = elbo::gmm::m_step_method::gradient;
    ascent.gradient.steps = 10;
    elbo::gmm::fit_result by_steps = elbo::gmm::fit(ctx, data, ascent);
    std::cout << by_steps.iterations << " iterations to " << by_steps.log_likelihood << '\n';
    // [steps end]

    const bool right = std::abs(tight.elbo - tight.log_likelihood) < 1e-10 && loose.elbo < tight.elbo &&
                       std::abs(loose.elbo - loose.elbo_from_gap) < 1e-10 &&
                       fit.trace[1].log_likelihood <= raised.elbo && raised.elbo <= raised.log_likelihood &&
                       slope.means.size() == 4 && std::abs(by_steps.log_likelihood - tight.log_likelihood) < 1e-6 &&
                       fits_with_labels(ctx, data);
    return right ? 0 : 1;
}
