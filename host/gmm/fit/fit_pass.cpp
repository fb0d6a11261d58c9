#include "host/gmm/fit/fit_pass.hpp"

#include "host/rows/column_summary.hpp"
#include "host/rows/frame.hpp"
#include "host/rows/regularization.hpp"
#include "host/rows/restarts.hpp"

#include <algorithm>
#include <numeric>
#include <span>

namespace elbo::gmm {

using namespace kernels;

data_summary summarize_rows(fit_setup& setup) {
    data_summary summary = summarize_columns(setup.rows.feed(), setup.rows.engine());
    if (setup.options.regularization_variances)
        summary.regular_variance = *setup.options.regularization_variances;
    setup.feed().require_distinct_rows(setup.options.components);
    return summary;
}

namespace {

start_choice choice_of(const fit_options& options, std::int64_t restart) {
    const start_method method = restart_start(options.start, restart);
    // Starts by k-means are as good as they get: trials of them would be alike.
    const bool trials = options.start == start_method::automatic && method != start_method::kmeans;
    return {method, options.greedy, trials, restart_seed(options.seed, restart)};
}

} // namespace

gmm_parameters first_parameters(const fit_setup& setup, const frame& f, const data_summary& summary,
                                const std::vector<double>& lambda, std::int64_t restart, start_sample& sample) {
    const fit_options& options = setup.options;
    if (options.start_model)
        return to_frame(*options.start_model, f);
    if (sample.rows == 0)
        sample = draw_start_sample(setup.feed(), f, summary,
                                   start_row_limit(options.components, setup.shape().dimensions), options.seed);
    return start_parameters(setup.ctx, sample, setup.shape(), choice_of(options, restart), lambda);
}

std::vector<event> start_events(const fit_setup& setup) {
    std::vector<event> events;
    if (!setup.options.start_model || setup.feed().known() != sample_labels::kind::none)
        return events;
    const model& m = *setup.options.start_model;
    const std::int64_t each = geometry(m.shape()).stride(m.dimensions());
    const auto means = [&](std::int64_t k) { return std::span(m.means()).subspan(k * m.dimensions(), m.dimensions()); };
    const auto factors = [&](std::int64_t k) { return std::span(m.precision_cholesky()).subspan(k * each, each); };
    // In an order in which equal components are neighbours, the first of them first.
    std::vector<std::int64_t> order(static_cast<std::size_t>(m.components()));
    std::iota(order.begin(), order.end(), std::int64_t(0));
    std::ranges::stable_sort(order, [&](std::int64_t a, std::int64_t b) {
        return std::ranges::equal(means(a), means(b)) ? std::ranges::lexicographical_compare(factors(a), factors(b))
                                                      : std::ranges::lexicographical_compare(means(a), means(b));
    });
    for (std::size_t i = 1; i < order.size(); ++i) {
        const std::int64_t before = order[i - 1], k = order[i];
        if (std::ranges::equal(means(before), means(k)) && std::ranges::equal(factors(before), factors(k)))
            events.push_back({0, k, event::kind::identical});
    }
    std::ranges::sort(events, {}, &event::component);
    return events;
}

std::vector<double> load_rows(fit_setup& setup, const frame& f, double component_bound) {
    fixed_sums scatter(scatter_size(setup.shape()), component_bound);
    if (is_tied(setup.shape().family))
        setup.rows.load(f, [&](std::int64_t slot, std::int64_t rows) {
            setup.rows.engine().accumulate_scatter(slot, rows, scatter);
        });
    else
        setup.rows.load(f);
    return scatter.values();
}

void pass_over_rows(fit_setup& setup, double component_bound, double scalar_bound) {
    setup.rows.engine().clear_sums(component_bound, scalar_bound);
    setup.rows.accumulate();
}

} // namespace elbo::gmm
