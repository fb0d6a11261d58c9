// The way of a fit of a linear-Gaussian model: summarise, choose the frame, load, start, iterate, map back.
#include "elbo/latent/factors.hpp"

#include "host/check.hpp"
#include "host/latent/criteria.hpp"
#include "host/latent/factors/accelerate.hpp"
#include "host/latent/factors/ascent.hpp"
#include "host/latent/factors/eigen.hpp"
#include "host/latent/factors/start.hpp"
#include "host/latent/factors/update.hpp"
#include "host/latent/latent_common.hpp"
#include "host/rows/frame.hpp"
#include "host/rows/restarts.hpp"
#include "host/seconds.hpp"
#include "kernels/math/stopping.hpp"

#include <algorithm>
#include <chrono>
#include <cmath>
#include <fmt/format.h>
#include <numeric>

namespace elbo::latent {

using namespace kernels;

namespace {

/// Rounding of Σ δ²/ψ − ‖c‖² is about 2⁻⁵² / floor: at this floor still below 1e-5 nats.
constexpr double least_noise_floor = 1e-10;

void check_start_model(const data_source& data, const factor_options& o) {
    const factor_model& m = *o.start_model;
    expects(m.dimensions() == data.cols(), [&] {
        return fmt::format("start_model has {} dimensions: expected {}, the columns of {}", m.dimensions(), data.cols(),
                           data.description());
    });
    expects(m.kind() == o.kind && m.components() == o.components && m.latent() == o.latent, [&] {
        return fmt::format("start_model is {} with {} components and latent = {}: expected {} with {} and {}",
                           to_string(m.kind()), m.components(), m.latent(), to_string(o.kind), o.components, o.latent);
    });
}

const factor_options& checked(const data_source& data, const factor_options& o) {
    expects(data.cols() >= 1,
            [&] { return fmt::format("{} has no columns: expected at least one", data.description()); });
    check_factor_sizes(o.kind, data.cols(), o.latent, o.components);
    expects(!o.own_noise || o.kind == factor_kind::factor_mixture, [&] {
        return fmt::format("own_noise = true: expected false for {}, which has one component", to_string(o.kind));
    });
    expects(o.method == factor_method::em || o.kind == factor_kind::ppca, [&] {
        return fmt::format("method = eigen: expected em for {}; eigenvalues solve ppca only", to_string(o.kind));
    });
    expects(o.restarts >= 1, [&] { return fmt::format("restarts = {}: expected at least 1", o.restarts); });
    expects(o.max_iterations >= 1,
            [&] { return fmt::format("max_iterations = {}: expected at least 1", o.max_iterations); });
    expects(o.tolerance >= 0 && std::isfinite(o.tolerance),
            [&] { return fmt::format("tolerance = {}: expected a finite number, at least 0", o.tolerance); });
    expects(o.noise_floor >= least_noise_floor && o.noise_floor <= 1,
            [&] { return fmt::format("noise_floor = {}: expected {} to 1", o.noise_floor, least_noise_floor); });
    expects(o.memory_limit >= 0, [&] {
        return fmt::format("memory_limit = {}: expected 0 (what fits) or a number of bytes", o.memory_limit);
    });
    if (o.start_model)
        check_start_model(data, o);
    return o;
}

/// The same where the variances leave far values out: 2⁻⁶ nats of the farthest row.
constexpr double least_noise_beside_far = 0x1p-46;

/// noise_floor · variance of each column, in the frame; a column without variance counts as one of unit variance there.
/// With one noise variance for all columns, the mean of these, it is also that beside which the farthest row counts.
std::vector<double> floors(const factor_options& o, const gmm::data_summary& s, const frame& f) {
    const std::vector<double>& variance = s.regular_variance;
    std::vector<double> floor(variance.size());
    for (std::size_t j = 0; j < variance.size(); ++j) {
        floor[j] = o.noise_floor * (variance[j] > 0 ? variance[j] / (f.scale[j] * f.scale[j]) : 1);
        if (o.kind != factor_kind::ppca || !s.left_out)
            continue;
        const double farthest = std::max(s.max[j] - f.centre[j], f.centre[j] - s.min[j]) / f.scale[j];
        floor[j] =
            std::max(floor[j], static_cast<double>(variance.size()) * least_noise_beside_far * farthest * farthest);
    }
    return floor;
}

/// One fit under way.
class fitter {
public:
    fitter(const context& ctx, const data_source& data, const factor_options& options)
        : begin_(std::chrono::steady_clock::now()), ctx_(ctx), options_(checked(data, options)),
          rows_(ctx, data, options.weights) {
        const gmm::data_summary& s = rows_.summary();
        rows_.feed().require_distinct_rows(options.components);
        const frame f = factor_frame(options.kind, s.mean, s.variance);
        rule_.total_weight = rows_.total_weight();
        rule_.noise_floor = floors(options, s, f);
        rule_.on_collapse = options.on_collapse;
        log_scale_ = gmm::log_scale(f);
        latent_shape largest{data.cols(), options.components, options.latent};
        if (options.method == factor_method::eigen) {
            way_ = choose_eigen_way(data.rows(), data.cols(), options.latent);
            largest.latent = eigen_columns(way_, data.cols(), options.latent);
        } else {
            const std::int64_t beside = ascent_columns(options.kind, data.cols(), options.latent, options.components);
            largest.latent = std::max(largest.latent, beside);
        }
        rows_.load(f, largest, options.memory_limit);
        spent_.load = seconds_since(begin_);
    }

    factor_result run() {
        std::optional<factor_result> best;
        if (options_.method == factor_method::eigen)
            best = solve();
        else
            for (restart_ = 0; restart_ < options_.restarts && !interrupted_; ++restart_) {
                factor_values first = first_values();
                factor_result one = iterate(std::move(first));
                if (!best || one.log_likelihood > best->log_likelihood + options_.tolerance)
                    best = std::move(one);
            }
        if (interrupted_)
            best->stopped = gmm::stop_reason::interrupted;
        best->seconds = spent_;
        best->seconds.total = seconds_since(begin_);
        return std::move(*best);
    }

private:
    factor_values first_values() {
        if (options_.start_model) {
            factor_values v = to_frame(*options_.start_model, rows_.frame());
            v.own_noise = options_.own_noise;
            return v;
        }
        const auto begin = std::chrono::steady_clock::now();
        if (sample_.rows == 0)
            sample_ = gmm::draw_start_sample(rows_.feed(), rows_.frame(), rows_.summary(),
                                             factor_start_rows(options_.components, rows_.feed().data().cols()),
                                             options_.seed);
        factor_values v = start_values(ctx_, sample_, options_, rule_.noise_floor, restart_);
        spent_.start += seconds_since(begin);
        return v;
    }

    /// The model returned is the one whose log-likelihood is known: that of the last pass.
    factor_result iterate(factor_values values) {
        const auto begin = std::chrono::steady_clock::now();
        const std::int64_t K = values.shape.components;
        factor_history history{std::vector<std::int64_t>(K), std::vector<int>(K, 0),
                               std::vector<bool>(values.noise.size(), false)};
        std::iota(history.index.begin(), history.index.end(), 0);
        std::vector<gmm::iteration_record> trace;
        std::vector<factor_event> events;
        stopping_state state;
        const std::vector<double> floor = noise_floors(options_.kind, rule_);
        noise_accelerator accelerator;
        accelerator.restart(values.noise);
        std::optional<std::vector<double>> proposal;
        std::optional<pass_result> ready;
        for (std::int64_t t = 0;; ++t) {
            pass_result pass = ready      ? std::move(*ready)
                               : proposal ? try_noise(values, *proposal, accelerator)
                                          : pass_under(values);
            ready.reset(), proposal.reset();
            const factor_values last = values;
            const factor_outcome o = update(pass.sums, pass.under, rule_, history, values);
            bound_ = o.elbo_after;
            note(t, o, seconds_since(begin), trace, events);
            bool converged = settled(state, o);
            if (converged && !interrupted_ && t + 1 < options_.max_iterations && (ready = go_higher(values, o))) {
                events.push_back({t, 0, -1, factor_event::kind::stalled, options_.on_collapse});
                accelerator.restart(values.noise);
                state = {};
                continue;
            }
            if (converged || interrupted_ || t + 1 >= options_.max_iterations) {
                spent_.iterations += seconds_since(begin);
                return result_of(last, o.log_likelihood,
                                 converged      ? gmm::stop_reason::converged
                                 : interrupted_ ? gmm::stop_reason::interrupted
                                                : gmm::stop_reason::max_iterations,
                                 std::move(trace), std::move(events), t + 1);
            }
            // Steps that gain no more than rounding say nothing of where others would lead.
            if (o.collapsed || o.elbo_after - o.log_likelihood <= o.rounding)
                accelerator.restart(values.noise);
            else if (options_.accelerate)
                proposal = accelerator.propose(values.noise, floor);
        }
    }

    /// Sums and the operators they were taken with.
    struct pass_result {
        factor_operators under;
        std::vector<double> sums;
    };

    pass_result pass_under(const factor_values& values) {
        pass_result pass{operators_of(values), {}};
        pass.sums = rows_.sums(pass.under.pass);
        return pass;
    }

    /// Whether EM has come to rest. Changes below rounding are none, whatever their sign.
    bool settled(stopping_state& state, const factor_outcome& o) const {
        const double last = state.last * rule_.total_weight;
        const double value = std::abs(o.log_likelihood - last) <= o.rounding ? last : o.log_likelihood;
        return should_stop(state, value / rule_.total_weight, options_.tolerance, o.collapsed);
    }

    /// Where the model has a higher maximum than EM came to rest at after the pass of `o`: that, and its pass.
    std::optional<pass_result> go_higher(factor_values& values, const factor_outcome& o) {
        std::optional<factor_values> higher = higher_values(
            rows_, values,
            {noise_floors(options_.kind, rule_), options_.tolerance, options_.max_iterations, options_.seed});
        if (!higher)
            return std::nullopt;
        pass_result pass = pass_under(*higher);
        const double reached = log_likelihood_of(pass.sums);
        if (!(reached > o.log_likelihood + options_.tolerance * rule_.total_weight && reached >= o.elbo_after))
            return std::nullopt;
        values = std::move(*higher);
        return pass;
    }

    static double log_likelihood_of(const std::vector<double>& sums) {
        return sums[sums.size() - scalar_count + scalar_log_likelihood];
    }

    /// A pass with these noise variances where log p does not fall below the bound after the last step, else without.
    pass_result try_noise(factor_values& values, const std::vector<double>& noise, noise_accelerator& accelerator) {
        std::vector<double> plain = values.noise;
        values.noise = noise;
        pass_result pass = pass_under(values);
        const bool taken = log_likelihood_of(pass.sums) >= bound_;
        accelerator.judge(taken);
        if (!taken) {
            values.noise = std::move(plain);
            pass = pass_under(values);
        }
        accelerator.restart(values.noise);
        return pass;
    }

    void note(std::int64_t t, const factor_outcome& o, double seconds, std::vector<gmm::iteration_record>& trace,
              std::vector<factor_event>& events) {
        const double w = rule_.total_weight;
        gmm::require_finite(t, o.log_likelihood / w);
        for (factor_event e : o.events) {
            e.iteration = t;
            if (e.what == factor_event::kind::empty && e.action == gmm::collapse_policy::fail)
                throw error(fmt::format("component {} became empty in iteration {} and the collapse policy is `fail`: "
                                        "use fewer components or the policy `reseed` or `drop`",
                                        e.component, t));
            events.push_back(e);
        }
        trace.push_back({t, o.log_likelihood / w - log_scale_, o.elbo_after / w - log_scale_, o.entropy / w,
                         o.parameter_change, seconds});
        if (options_.callback && !options_.callback({restart_, options_.restarts, trace.back()}))
            interrupted_ = true;
    }

    factor_result solve() {
        const auto begin = std::chrono::steady_clock::now();
        const std::int64_t d = rows_.feed().data().cols();
        const double floor =
            std::accumulate(rule_.noise_floor.begin(), rule_.noise_floor.end(), 0.0) / static_cast<double>(d);
        const eigen_solution s = solve_by_eigen(rows_, way_, options_.latent, floor, options_.tolerance,
                                                options_.max_iterations, options_.seed);
        const std::vector<double> sums = rows_.sums(operators_of(s.values).pass);
        spent_.iterations += seconds_since(begin);
        std::vector<factor_event> events;
        if (s.floored)
            events.push_back({s.passes - 1, 0, -1, factor_event::kind::noise_floor, options_.on_collapse});
        return result_of(s.values, log_likelihood_of(sums),
                         s.converged ? gmm::stop_reason::converged : gmm::stop_reason::max_iterations, {},
                         std::move(events), s.passes);
    }

    factor_result result_of(const factor_values& values, double log_likelihood, gmm::stop_reason stopped,
                            std::vector<gmm::iteration_record> trace, std::vector<factor_event> events,
                            std::int64_t iterations) const {
        const gmm::data_summary& s = rows_.summary();
        factor_result r{from_frame(values, rows_.frame())};
        r.stopped = stopped;
        r.iterations = iterations;
        r.trace = std::move(trace);
        for (const gmm::event& e : s.far)
            r.events.push_back({0, 0, e.far.column, factor_event::kind::far_value, options_.on_collapse, e.far});
        r.events.insert(r.events.end(), events.begin(), events.end());
        r.log_likelihood = log_likelihood / rule_.total_weight - log_scale_;
        r.total_weight = s.weight;
        r.total_log_likelihood = r.log_likelihood * s.weight;
        r.samples = s.rows;
        r.negligible = rows_.negligible();
        r.bic = bic(r.model, r.total_log_likelihood, r.total_weight);
        r.aic = aic(r.model, r.total_log_likelihood);
        r.best_restart = restart_;
        if (options_.method == factor_method::em && !options_.start_model)
            r.best_start = restart_start(options_, restart_);
        return r;
    }

    const steady_time begin_;
    const context& ctx_;
    const factor_options& options_;
    factor_rows rows_;
    factor_rule rule_;
    eigen_way way_ = eigen_way::matrix;
    double log_scale_ = 0;
    double bound_ = 0; ///< J after the last step, a total in the frame
    gmm::start_sample sample_;
    gmm::fit_seconds spent_;
    std::int64_t restart_ = 0;
    bool interrupted_ = false;
};

} // namespace

factor_result fit(const context& ctx, const data_source& data, const factor_options& options) {
    return fitter(ctx, data, options).run();
}

} // namespace elbo::latent
