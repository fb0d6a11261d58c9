// The way of a fit: check and summarise the data, choose the frame, load, start, iterate, map back.
#include "elbo/gmm/fit.hpp"

#include "elbo/gmm/infer.hpp"
#include "host/check.hpp"
#include "host/gmm/regularization.hpp"
#include "host/gmm/row_feed.hpp"
#include "host/gmm/start.hpp"
#include "host/row_access.hpp"
#include "kernels/host_loop.hpp"
#include "kernels/math/fixed_point.hpp"

#include <algorithm>
#include <chrono>
#include <cmath>
#include <fmt/format.h>

namespace elbo::gmm {

using namespace kernels;

namespace {

using clock = std::chrono::steady_clock;
double seconds_since(clock::time_point t) {
    return std::chrono::duration<double>(clock::now() - t).count();
}

void check_options(const data_source& data, const fit_options& o) {
    const auto not_negative = [](std::string_view name, double value) {
        expects(value >= 0 && std::isfinite(value),
                [&] { return fmt::format("{} = {}: expected a finite number, at least 0", name, value); });
    };
    expects(o.components >= 1, [&] { return fmt::format("components = {}: expected at least 1", o.components); });
    expects(o.restarts >= 1, [&] { return fmt::format("restarts = {}: expected at least 1", o.restarts); });
    expects(o.max_iterations >= 1,
            [&] { return fmt::format("max_iterations = {}: expected at least 1", o.max_iterations); });
    expects(o.memory_limit >= 0, [&] {
        return fmt::format("memory_limit = {}: expected 0 (what fits) or a number of bytes", o.memory_limit);
    });
    not_negative("tolerance", o.tolerance);
    not_negative("regularization", o.regularization);
    not_negative("relative_regularization", o.relative_regularization);
    if (!o.start_model)
        return;
    const model& m = *o.start_model;
    expects(m.dimensions() == data.cols(), [&] {
        return fmt::format("start_model has {} dimensions: expected {}, the columns of {}", m.dimensions(), data.cols(),
                           data.description());
    });
    expects(m.components() == o.components && m.shape() == o.shape, [&] {
        return fmt::format("start_model is {} with {} components: expected {} with {}", to_string(m.shape()),
                           m.components(), to_string(o.shape), o.components);
    });
}

/// One fit under way.
class fitter {
public:
    fitter(const context& ctx, const data_source& data, const fit_options& options)
        : ctx_(ctx), options_(options),
          feed_(ctx, data, options.weights), shape_{options.shape, data.cols(), options.components},
          engine_(make_engine(ctx, shape_, options.precision, data.type())) {
        // Decided once: what is free on a device changes as soon as memory is taken.
        streamed_ = engine_->bytes_needed(data.rows(), feed_.weighted()) > available_bytes(ctx, options.memory_limit);
        if (streamed_)
            feed_.stream();
    }

    memory_plan plan() const {
        memory_plan p;
        const std::int64_t rows = feed_.data().rows();
        p.streamed = streamed_;
        const std::int64_t resident = p.streamed ? std::min(rows, feed_.batch_rows()) : rows;
        const std::int64_t number = feed_.data().type() == element_type::float32 ? 4 : 8;
        const bool doubles = options_.precision == compute_precision::float64 || ctx_.where() == backend::reference ||
                             (options_.precision == compute_precision::automatic && number == 8);
        p.normalized = resident * shape_.dimensions * (doubles ? 8 : 4);
        p.workspace = std::max<std::int64_t>(0, engine_->bytes_needed(resident, feed_.weighted()) - p.normalized);
        const bool on_device = feed_.data().space() == memory_space::device;
        p.data = ctx_.where() == backend::cuda && on_device ? rows * shape_.dimensions * number : 0;
        p.peak = p.data + p.normalized + p.workspace;
        return p;
    }

    fit_result run() {
        const auto begin = clock::now();
        load();
        const double load_seconds = seconds_since(begin);
        fit_seconds spent{load_seconds, 0, 0, 0};
        std::optional<fit_result> best;
        for (restart_ = 0; restart_ < options_.restarts && !interrupted_; ++restart_) {
            fit_result one = run_once(spent);
            if (!best || one.log_likelihood > best->log_likelihood)
                best = std::move(one);
        }
        if (interrupted_)
            best->stopped = stop_reason::interrupted;
        best->seconds = spent;
        best->seconds.total = seconds_since(begin);
        return std::move(*best);
    }

private:
    void load() {
        summary_ = feed_.summarize(*engine_);
        feed_.require_distinct_rows(options_.components);
        frame_ = make_frame(options_.shape, summary_.mean, summary_.variance);
        log_scale_ = log_scale(frame_);

        const double largest = largest_normalized(summary_, frame_);
        loop_.max_iterations = options_.max_iterations;
        loop_.tolerance = options_.tolerance;
        loop_.rule.total_weight = summary_.weight * feed_.weight_scale();
        loop_.rule.lambda = normalized_lambda(options_, summary_.variance, frame_);
        loop_.rule.on_collapse = options_.on_collapse;
        loop_.component_bound = component_sum_bound(loop_.rule.total_weight, largest, shape_.dimensions);
        loop_.scalar_bound = scalar_sum_bound(loop_.rule.total_weight);

        engine_->reserve(streamed_ ? feed_.batch_rows() : feed_.data().rows(), feed_.weighted());
        fixed_sums scatter = empty_scatter(shape_, loop_.component_bound);
        if (!streamed_ || is_tied(options_.shape))
            feed_.for_each([&](const input_rows& batch, std::int64_t first_row) {
                const std::int64_t slot = streamed_ ? 0 : first_row;
                engine_->load(batch, frame_, slot);
                if (is_tied(options_.shape))
                    engine_->accumulate_scatter(slot, batch.x.rows, scatter);
            });
        if (is_tied(options_.shape))
            loop_.rule.scatter = scatter_values(scatter);
    }

    gmm_parameters first_parameters() {
        if (options_.start_model)
            return to_frame(*options_.start_model, frame_);
        const std::uint64_t seed = options_.seed + static_cast<std::uint64_t>(restart_) * 0x9E3779B97F4A7C15u;
        if (sample_.rows == 0)
            sample_ = draw_start_sample(feed_, frame_, summary_,
                                        start_row_limit(options_.components, shape_.dimensions), options_.seed);
        return start_parameters(ctx_, sample_, shape_, options_, loop_.rule.lambda, seed);
    }

    fit_result run_once(fit_seconds& spent) {
        const auto start = clock::now();
        engine_->set_parameters(first_parameters());
        spent.start += seconds_since(start);

        const auto iterate = clock::now();
        std::vector<iteration_record> trace;
        std::vector<event> events;
        loop_.on_iteration = [&](std::int64_t t, const update_outcome& o, double seconds) {
            return note_iteration(t, o, seconds, trace, events);
        };
        const loop_result loop =
            streamed_ ? em_loop(*engine_, loop_, [&] { stream_pass(); }) : engine_->run(feed_.data().rows(), loop_);
        spent.iterations += seconds_since(iterate);
        return make_result(loop, std::move(trace), std::move(events));
    }

    void stream_pass() {
        engine_->clear_sums(loop_.component_bound, loop_.scalar_bound);
        feed_.for_each([&](const input_rows& batch, std::int64_t) {
            engine_->load(batch, frame_, 0);
            engine_->accumulate(0, batch.x.rows);
        });
    }

    bool note_iteration(std::int64_t t, const update_outcome& o, double seconds, std::vector<iteration_record>& trace,
                        std::vector<event>& events) {
        const double w = loop_.rule.total_weight;
        trace.push_back({t, o.log_likelihood / w - log_scale_, o.elbo_after / w - log_scale_, o.entropy / w,
                         o.parameter_change, seconds});
        for (event e : o.events) {
            e.iteration = t;
            events.push_back(e);
        }
        if (options_.callback && !options_.callback({restart_, options_.restarts, trace.back()}))
            interrupted_ = true;
        return !interrupted_;
    }

    fit_result make_result(const loop_result& loop, std::vector<iteration_record> trace, std::vector<event> events) {
        const iteration_record last = trace.back();
        fit_result r{from_frame(options_.shape, engine_->parameters(), frame_)};
        r.stopped = loop.stopped;
        r.iterations = loop.iterations;
        r.trace = std::move(trace);
        r.events = std::move(events);
        r.log_likelihood = last.log_likelihood;
        r.total_weight = summary_.weight;
        r.total_log_likelihood = last.log_likelihood * summary_.weight;
        r.entropy = last.entropy;
        r.samples = summary_.rows;
        r.bic = bic(r.model, r.total_log_likelihood, r.total_weight);
        r.aic = aic(r.model, r.total_log_likelihood);
        r.icl = icl(r.model, r.total_log_likelihood, r.entropy * r.total_weight, r.total_weight);
        r.best_restart = restart_;
        return r;
    }

    const context& ctx_;
    const fit_options& options_;
    row_feed feed_;
    gmm_shape shape_;
    std::unique_ptr<gmm_engine> engine_;
    data_summary summary_;
    frame frame_;
    double log_scale_ = 0;
    loop_options loop_;
    bool streamed_ = false;
    start_sample sample_;
    std::int64_t restart_ = 0;
    bool interrupted_ = false;
};

} // namespace

fit_result fit(const context& ctx, const data_source& data, const fit_options& options) {
    check_options(data, options);
    return fitter(ctx, data, options).run();
}

memory_plan plan_memory(const context& ctx, const data_source& data, const fit_options& options) {
    check_options(data, options);
    return fitter(ctx, data, options).plan();
}

std::string memory_plan::to_string() const {
    const auto mib = [](std::int64_t bytes) { return static_cast<double>(bytes) / (1 << 20); };
    return fmt::format("{:.1f} MiB: data {:.1f}, normalised copy {:.1f}, workspace {:.1f}{}", mib(peak), mib(data),
                       mib(normalized), mib(workspace), streamed ? ", streamed" : "");
}

} // namespace elbo::gmm
