#include "host/gmm/fit/fit_setup.hpp"

#include "host/check.hpp"
#include "host/gmm/fields.hpp"
#include "host/gmm/fit/prior.hpp"
#include "host/gmm/model/check_array.hpp"
#include "host/gmm/start/start.hpp"
#include "host/rows/column_summary.hpp"
#include "host/rows/frame.hpp"
#include "host/rows/restarts.hpp"
#include "host/rows/row_access.hpp"
#include "host/seconds.hpp"
#include "kernels/math/fixed_point.hpp"

#include <algorithm>
#include <cmath>
#include <fmt/format.h>
#include <numeric>
#include <span>
#include <string_view>
#include <utility>

namespace elbo::gmm {

namespace {

/// Standard deviations from the rows to a mean: sums with room for its square (d times that of 2³⁶, which is 2⁷² d)
/// round the counts of samples at 2⁻¹²³ of it, to 1e-11 for d = 10⁴.
constexpr double most_away = 0x1p36;

/// Vectors [d] of a fit that the host keeps beside the engine: mean, variance, range and regular variance of the data,
/// the frame, λ in its units and in those of the data.
constexpr std::int64_t host_vectors = 10;

const fit_options& checked(const data_source& data, const fit_options& o) {
    check_fields(o);
    if (o.regularization_variances)
        check_size("regularization_variances", o.regularization_variances->size(), data.cols(), "columns");
    expects(o.m_step == m_step_method::closed_form || !o.prior,
            "m_step = gradient with a prior: expected closed_form where there is a prior");
    if (o.prior)
        check_prior(*o.prior, o.shape, data.cols());
    if (!o.start_model)
        return o;
    const model& m = *o.start_model;
    expects(m.dimensions() == data.cols(), [&] {
        return fmt::format("start_model has {} dimensions: expected {}, the columns of {}", m.dimensions(), data.cols(),
                           data.description());
    });
    expects(m.components() == o.components && m.shape() == o.shape, [&] {
        return fmt::format("start_model is {} with {} components: expected {} with {}", to_string(m.shape()),
                           m.components(), to_string(o.shape), o.components);
    });
    return o;
}

start_choice choice_of(const fit_options& options, std::int64_t restart) {
    const start_method method = restart_start(options.start, restart);
    // Starts by k-means are as good as they get: trials of them would be alike.
    const bool trials = options.start == start_method::automatic && method != start_method::kmeans;
    return {method, options.greedy, trials, restart_seed(options.seed, restart)};
}

resident_rows<kernels::gmm_engine> rows_of(const context& ctx, const data_source& data, const fit_options& o) {
    row_feed feed(ctx, data, o.weights, o.labels, o.components);
    // More components than rows are refused before memory is taken for them.
    if (o.components > data.rows())
        feed.require_distinct_rows(o.components);
    auto engine = make_engine(ctx, {o.shape, data.cols(), o.components}, o.precision, data.type());
    return {std::move(feed), std::move(engine)};
}

} // namespace

fit_setup::fit_setup(const context& c, const data_source& data, const fit_options& o)
    : ctx(c), options(checked(data, o)), rows(rows_of(c, data, o)) {
    // Decided once: what is free on a device changes as soon as memory is taken.
    const std::int64_t beside = o.restarts > 1 ? start_bytes() : 0;
    const std::int64_t available = available_bytes(c, o.memory_limit) - beside;
    if (engine().bytes_needed(data.rows(), feed().weighted(), feed().known()) > available)
        rows.stream(rows_within(available));
}

std::int64_t fit_setup::rows_within(std::int64_t bytes) const {
    // By what a unit takes where there are so many that every thread has its own memory.
    constexpr std::int64_t many = 1 << 12;
    const auto needed = [&](std::int64_t units) {
        return engine().bytes_needed(units * kernels::unit_rows, feed().weighted(), feed().known());
    };
    const std::int64_t unit = (needed(2 * many) - needed(many)) / many, none = needed(many) - many * unit;
    return std::max<std::int64_t>(0, bytes - none) / unit * kernels::unit_rows;
}

std::int64_t fit_setup::start_bytes() const {
    if (options.start_model)
        return 0;
    const kernels::gmm_shape& s = shape();
    const std::int64_t most = most_start_rows(feed().data().rows(), s.components, s.dimensions);
    return (ctx.memory() == memory_space::device ? 0 : start_host_bytes(s, options.start, most)) +
           start_device_bytes(ctx, s, options.start, most, feed().known() != sample_labels::kind::none);
}

// What a fit will need, stated before it starts.

memory_plan plan_memory(const context& ctx, const data_source& data, const fit_options& options) {
    const fit_setup s(ctx, data, options);
    const bool weighted = s.feed().weighted();
    const sample_labels::kind known = s.feed().known();
    const std::int64_t rows = data.rows(), resident = s.rows.at_a_time();
    const std::int64_t number = data.type() == element_type::float32 ? 4 : 8;
    const bool doubles = options.precision == compute_precision::float64 || ctx.where() == backend::reference ||
                         (options.precision == compute_precision::automatic && number == 8);
    memory_plan p;
    p.streamed = s.rows.streamed();
    const bool on_device = data.space() == memory_space::device, on_host = ctx.memory() == memory_space::host;
    p.data = on_host ? data.kept_bytes() : on_device ? rows * s.shape().dimensions * number : 0;
    p.normalized = resident * s.shape().dimensions * (doubles ? 8 : 4);
    // The first start runs before the rows are loaded, those of further restarts beside them.
    const std::int64_t start = s.start_bytes();
    const std::int64_t summary = on_host ? summary_bytes(rows, s.shape().dimensions) : 0;
    const std::int64_t beside = on_host ? 8 * host_vectors * s.shape().dimensions : 0;
    const std::int64_t first_start = s.engine().bytes_needed(0, weighted, known) + std::max(start, summary);
    // The limbs of the scatter matrix of a tied family are on a device once, beside everything else.
    const std::int64_t scatter = on_host ? 0 : 8 * kernels::limb_count * kernels::scatter_size(s.shape());
    const std::int64_t iterations =
        s.engine().bytes_needed(resident, weighted, known) + scatter + (options.restarts > 1 ? start : 0);
    p.workspace = std::max<std::int64_t>(0, std::max(first_start, iterations) - p.normalized) + beside;
    p.peak = p.data + p.normalized + p.workspace;
    return p;
}

std::string memory_plan::to_string() const {
    const auto mib = [](std::int64_t bytes) { return static_cast<double>(bytes) / (1 << 20); };
    return fmt::format("{:.1f} MiB: data {:.1f}, normalised copy {:.1f}, workspace {:.1f}{}", mib(peak), mib(data),
                       mib(normalized), mib(workspace), streamed ? ", streamed" : "");
}

mixture_rows::mixture_rows(const context& ctx, const data_source& data, const fit_options& options,
                           const std::optional<std::vector<double>>& prior_mean)
    : fit_setup(ctx, data, options), summary_(summarize_columns(rows.feed(), engine())) {
    if (options.regularization_variances)
        summary_.regular_variance = *options.regularization_variances;
    feed().require_distinct_rows(options.components);
    frame_ = make_frame(options.shape, summary_.mean, summary_.variance);
    log_scale_ = gmm::log_scale(frame_);
    lambda_ = normalized_lambda(options, summary_.regular_variance, frame_);
    component_bound_ = component_sum_bound(total_weight(), reach(prior_mean), shape().dimensions);
    scalar_bound_ = scalar_sum_bound(total_weight(), summary_);
}

double mixture_rows::reach(const std::optional<std::vector<double>>& prior_mean) const {
    double largest = largest_normalized(summary_, frame_);
    const double most = std::max(most_away, largest); // where rows are, means may be
    const auto take = [&](std::string_view name, const std::vector<double>& means) {
        for (std::size_t i = 0; i < means.size(); ++i) {
            const std::size_t j = i % frame_.centre.size();
            const double away = std::abs((means[i] - frame_.centre[j]) / frame_.scale[j]);
            expects(away <= most, [&] {
                return fmt::format(
                    "{}[{}] = {}: {:.3g} standard deviations from the mean of {}, expected at most {:.3g}", name, i,
                    means[i], away, feed().data().description(), most);
            });
            largest = std::max(largest, away);
        }
    };
    if (options.start_model)
        take("start_model.means", options.start_model->means());
    if (prior_mean)
        take("prior.mean", *prior_mean);
    return largest;
}

kernels::gmm_parameters mixture_rows::first_parameters(std::int64_t restart) {
    if (options.start_model)
        return to_frame(*options.start_model, frame_);
    const start_choice choice = choice_of(options, restart);
    if (sample_.rows == 0) {
        const std::int64_t limit = start_row_limit(options.components, shape().dimensions);
        auto drawn = draw_on_device(ctx, feed(), frame_, summary_, shape(), options.seed, choice, options.restarts > 1);
        sample_ = drawn ? std::move(*drawn) : draw_start_sample(feed(), frame_, summary_, limit, options.seed);
    }
    return start_parameters(ctx, sample_, shape(), choice, lambda_);
}

kernels::gmm_parameters mixture_rows::start(std::int64_t restart, fit_seconds& spent) {
    kernels::gmm_parameters first;
    timed(spent.start, [&] { first = first_parameters(restart); });
    // After the first start, so that the sample that it takes to the device and the rows are not there at once.
    if (options.restarts == 1)
        sample_ = {};
    load(spent);
    return first;
}

void mixture_rows::load(fit_seconds& spent) {
    if (std::exchange(loaded_, true))
        return;
    timed(spent.load, [&] {
        kernels::fixed_sums scatter(kernels::scatter_size(shape()), component_bound_);
        if (is_tied(shape().family))
            rows.load(frame_, [&](std::int64_t slot, std::int64_t count) {
                engine().accumulate_scatter(slot, count, scatter);
            });
        else
            rows.load(frame_);
        scatter_ = scatter.values();
    });
}

void mixture_rows::pass() {
    engine().clear_sums(component_bound_, scalar_bound_);
    rows.accumulate();
}

std::vector<event> mixture_rows::start_events() const {
    std::vector<event> events;
    if (!options.start_model || feed().known() != sample_labels::kind::none)
        return events;
    const model& m = *options.start_model;
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

} // namespace elbo::gmm
