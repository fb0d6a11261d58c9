#include "host/gmm/start/start_trial.hpp"

#include "host/rows/frame.hpp"
#include "kernels/contract/gmm_engine.hpp"

#include <algorithm>
#include <cmath>
#include <memory>
#include <numeric>

namespace elbo::gmm {

using namespace kernels;

namespace {

/// (row, dimension, component) triples, with a matrix (row, dimension², component), of a step of a trial: some dozen
/// trials then take some hundredths of a second.
constexpr std::int64_t trial_size = 1 << 17;

std::int64_t row_cost(const gmm_shape& shape) {
    return shape.components * shape.dimensions * (geometry(shape.family).matrix() ? shape.dimensions : 1);
}

/// An engine with the first rows of the sample. What it computes depends neither on the back end of the fit nor on the
/// number of threads.
std::unique_ptr<gmm_engine> engine_with(const start_sample& s, std::int64_t rows, const gmm_shape& shape,
                                        const gmm_parameters& p) {
    auto engine = make_gmm_engine(context::cpu(1), shape, element_type::float64);
    engine->reserve(rows, true, s.known);
    engine->set_parameters(p);
    const matrix_view<const double> x(s.x.data(), rows, s.cols), weights(s.weights.data(), rows, 1);
    const std::vector<double> labels(s.labels.begin(), s.labels.end());
    const std::vector<double>& known = s.known == sample_labels::kind::factors ? s.factors : labels;
    const matrix_view<const double> known_view(known.data(), rows, label_columns(s.known, shape.components));
    engine->load({x, weights, 1, known_view, s.known}, {std::vector<double>(s.cols, 0), std::vector<double>(s.cols, 1)},
                 0);
    return engine;
}

} // namespace

start_sample trial_rows(const start_sample& s, const gmm_shape& shape) {
    const std::int64_t most = trial_size / row_cost(shape);
    const std::int64_t every = (s.rows + most) / std::max<std::int64_t>(most, 1);
    start_sample some;
    some.cols = s.cols;
    some.known = s.known;
    // Too few rows for that many components mislead.
    if (most < std::min(s.rows, 16 * shape.components * shape.dimensions))
        return some;
    double sum = 0;
    for (std::int64_t n = 0; n < s.rows; n += every) {
        some.x.insert(some.x.end(), s.x.begin() + n * s.cols, s.x.begin() + (n + 1) * s.cols);
        some.weights.push_back(s.weights[n]);
        sum += s.weights[n];
        if (!s.usual.empty())
            some.usual.push_back(s.usual[n]);
        if (!s.labels.empty())
            some.labels.push_back(s.labels[n]);
        if (!s.factors.empty())
            some.factors.insert(some.factors.end(), s.factors.begin() + n * shape.components,
                                s.factors.begin() + (n + 1) * shape.components);
    }
    some.rows = std::ssize(some.weights);
    for (double& w : some.weights)
        w *= static_cast<double>(some.rows) / sum;
    return some;
}

std::int64_t judged_rows(std::int64_t rows, const gmm_shape& shape) {
    const std::int64_t most = (std::int64_t(1) << 25) / row_cost(shape);
    return std::min(rows, std::clamp<std::int64_t>(most, 128, 4096));
}

double sample_log_likelihood(const start_sample& s, const gmm_shape& shape, const gmm_parameters& p) {
    const std::int64_t rows = judged_rows(s.rows, shape);
    std::vector<double> log_densities(rows);
    engine_with(s, rows, shape, p)->infer(0, rows, {.log_density = {log_densities.data(), rows, 1}});
    return std::inner_product(log_densities.begin(), log_densities.end(), s.weights.begin(), 0.0);
}

gmm_parameters after_some_steps(const start_sample& s, const gmm_shape& shape, const gmm_parameters& first,
                                const std::vector<double>& lambda, int steps) {
    const auto engine = engine_with(s, s.rows, shape, first);
    double largest = 1;
    for (double v : s.x)
        largest = std::max(largest, std::abs(v));
    const auto total = static_cast<double>(s.rows); // the weights of a sample have mean 1
    update_rule rule{total, lambda, {}, collapse_policy::reseed, 3};
    fixed_sums scatter(scatter_size(shape), component_sum_bound(total, largest, s.cols));
    if (is_tied(shape.family))
        engine->accumulate_scatter(0, s.rows, scatter);
    rule.scatter = scatter.values();
    for (int step = 0; step < steps; ++step) {
        engine->clear_sums(component_sum_bound(total, largest, s.cols), scalar_sum_bound(total));
        engine->accumulate(0, s.rows);
        engine->update(rule);
        engine->adopt();
    }
    return engine->parameters();
}

} // namespace elbo::gmm
