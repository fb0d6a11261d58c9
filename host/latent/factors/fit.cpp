// The way of a fit of a linear-Gaussian model: summarise, choose the frame, load, start, iterate
// (host/rows/em_driver.hpp), map back.
#include "elbo/latent/factors.hpp"

#include "host/check.hpp"
#include "host/latent/factors/eigen.hpp"
#include "host/latent/factors/start.hpp"
#include "host/latent/factors/update.hpp"
#include "host/latent/fields.hpp"
#include "host/latent/rows.hpp"
#include "host/rows/em_driver.hpp"
#include "host/rows/frame.hpp"
#include "host/rows/restarts.hpp"

#include <algorithm>
#include <chrono>
#include <fmt/format.h>
#include <numeric>

namespace elbo::latent {

using namespace kernels;

namespace {

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
    check_fields(o);
    expects(!o.own_noise || o.kind == factor_kind::factor_mixture, [&] {
        return fmt::format("own_noise = true: expected false for {}, which has one component", to_string(o.kind));
    });
    expects(o.method == factor_method::em || o.kind == factor_kind::ppca, [&] {
        return fmt::format("method = eigen: expected em for {}; eigenvalues solve ppca only", to_string(o.kind));
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

std::string start_digest(const factor_options& o) {
    const std::optional<factor_model>& m = o.start_model;
    return m ? io::digest({m->weights(), m->means(), m->loadings(), m->noise()}) : "";
}

/// A linear-Gaussian model as em_driver fits it. Parameters are in the frame until the result is made.
class factor_em {
public:
    using record = iteration_record;
    using result = factor_result;

    /// Reads the data, after a checkpoint that does not fit was refused, and loads it.
    factor_em(const context& ctx, const data_source& data, const factor_options& options, const io::checkpoints& store)
        : ctx_(ctx), options_(checked(data, options)),
          known_(store.of_same_fit(description_of("linear-Gaussian", ctx, options, data, start_digest(options)))),
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
    }

    const factor_options& options() const { return options_; }

    void start(std::int64_t restart, fit_seconds& spent) {
        timed(spent.start, [&] { values_ = first_values(restart); });
        const std::int64_t K = values_.shape.components;
        history_ = {std::vector<std::int64_t>(K), std::vector<int>(K, 0),
                    std::vector<bool>(values_.noise.size(), false)};
        std::iota(history_.index.begin(), history_.index.end(), 0);
        events_.clear();
        accelerator_ = {};
        accelerator_.restart(values_.noise);
        next_.reset(), proposal_.reset(), ready_.reset();
    }

    void pass() {
        pass_ = ready_ ? std::move(*ready_) : proposal_ ? try_noise(*proposal_) : pass_under(values_);
        ready_.reset(), proposal_.reset();
    }

    em_step<record> update(std::int64_t t) {
        next_ = values_;
        outcome_ = latent::update(pass_.sums, pass_.under, rule_, history_, *next_);
        const double w = rule_.total_weight;
        note_events(t);
        return {{0, outcome_.log_likelihood / w - log_scale_, outcome_.elbo_after / w - log_scale_,
                 outcome_.entropy / w, outcome_.parameter_change},
                outcome_.log_likelihood / w,
                outcome_.rounding / w,
                outcome_.collapsed};
    }

    void adopt() {
        values_ = *std::exchange(next_, std::nullopt);
        // Steps that gain no more than rounding say nothing of where others would lead.
        if (outcome_.collapsed || outcome_.elbo_after - outcome_.log_likelihood <= outcome_.rounding)
            accelerator_.restart(values_.noise);
        else if (options_.accelerate)
            proposal_ = accelerator_.propose(values_.noise, noise_floors(options_.kind, rule_));
    }

    /// Where the model has a higher maximum than EM came to rest at: goes there, with the pass that shows it.
    bool escape(std::int64_t t) {
        std::optional<factor_values> higher = higher_values(
            rows_, *next_,
            {noise_floors(options_.kind, rule_), options_.tolerance, options_.max_iterations, options_.seed});
        if (!higher)
            return false;
        pass_result pass = pass_under(*higher);
        const double reached = log_likelihood_of(pass.sums);
        if (!(reached > outcome_.log_likelihood + options_.tolerance * rule_.total_weight &&
              reached >= outcome_.elbo_after))
            return false;
        values_ = std::move(*higher);
        next_.reset();
        ready_ = std::move(pass);
        events_.push_back({t, 0, -1, factor_event::kind::stalled, options_.on_collapse});
        accelerator_.restart(values_.noise);
        return true;
    }

    io::json description() const { return with_data(known_, rows_.summary()); }

    template <class State>
    void describe(State& s) {
        std::int64_t components = values_.shape.components, beside = next_ ? next_->shape.components : 0;
        s.numbers("components", components, beside, outcome_.log_likelihood, outcome_.elbo_after);
        if constexpr (State::reads) {
            s.require("components", is_possible(components) && (beside == 0 || is_possible(beside)), 4);
            values_ = without_numbers(components);
            next_ = beside > 0 ? std::optional(without_numbers(beside)) : std::nullopt;
            accelerator_ = {};
            ready_.reset();
        }
        describe_values(s, "", values_);
        if (next_)
            describe_values(s, "next_", *next_);
        const factor_values& latest = next_ ? *next_ : values_;
        s.list("index", history_.index, latest.weights.size());
        s.list("reseeds", history_.reseeds, latest.weights.size());
        s.list("floored", history_.floored, latest.noise.size());
        accelerator_.describe(s, values_.noise.size());
        std::vector<double> proposal = proposal_.value_or(std::vector<double>());
        s.list_or_none("proposal", proposal, values_.noise.size());
        proposal_ = proposal.empty() ? std::nullopt : std::optional(std::move(proposal));
        s.table("events", events_, &factor_event::iteration, &factor_event::component, &factor_event::column,
                &factor_event::what, &factor_event::action);
    }

    bool is_better(const result& one, const result& best) const {
        return one.log_likelihood > best.log_likelihood + options_.tolerance;
    }

    result make_result(std::int64_t restart, const record& last) const {
        result r = result_of(values_, last.log_likelihood, events_);
        if (!options_.start_model)
            r.best_start = restart_start(options_, restart);
        return r;
    }

    /// Instead of EM: from eigenvectors.
    result solve() {
        const std::int64_t d = rows_.feed().data().cols();
        const double floor =
            std::accumulate(rule_.noise_floor.begin(), rule_.noise_floor.end(), 0.0) / static_cast<double>(d);
        const eigen_solution s = solve_by_eigen(rows_, way_, options_.latent, floor, options_.tolerance,
                                                options_.max_iterations, options_.seed);
        const std::vector<double> sums = rows_.sums(operators_of(s.values).pass);
        std::vector<factor_event> events;
        if (s.floored)
            events.push_back({s.passes - 1, 0, -1, factor_event::kind::noise_floor, options_.on_collapse});
        result r = result_of(s.values, log_likelihood_of(sums) / rule_.total_weight - log_scale_, events);
        r.stopped = s.converged ? stop_reason::converged : stop_reason::max_iterations;
        r.iterations = s.passes;
        return r;
    }

private:
    /// Sums and the operators they were taken with.
    struct pass_result {
        factor_operators under;
        std::vector<double> sums;
    };

    factor_values first_values(std::int64_t restart) {
        if (options_.start_model) {
            factor_values v = to_frame(*options_.start_model, rows_.frame());
            v.own_noise = options_.own_noise;
            return v;
        }
        if (sample_.rows == 0)
            sample_ = gmm::draw_start_sample(rows_.feed(), rows_.frame(), rows_.summary(),
                                             factor_start_rows(options_.components, rows_.feed().data().cols()),
                                             options_.seed);
        return start_values(ctx_, sample_, options_, rule_.noise_floor, restart);
    }

    bool is_possible(std::int64_t components) const { return components >= 1 && components <= options_.components; }
    factor_values without_numbers(std::int64_t components) const {
        const std::int64_t d = rows_.feed().data().cols();
        return {options_.kind, options_.own_noise, {d, components, options_.latent}, {}, {}, {}, {}};
    }
    template <class State>
    static void describe_values(State& s, const std::string& prefix, factor_values& v) {
        const auto d = static_cast<std::size_t>(v.shape.dimensions), k = static_cast<std::size_t>(v.shape.components);
        s.list(prefix + "weights", v.weights, k);
        s.list(prefix + "means", v.means, k * d);
        s.list(prefix + "loadings", v.loadings, k * d * static_cast<std::size_t>(v.shape.latent));
        s.list(prefix + "noise", v.noise, k * d);
    }

    pass_result pass_under(const factor_values& values) {
        pass_result pass{operators_of(values), {}};
        pass.sums = rows_.sums(pass.under.pass);
        return pass;
    }

    static double log_likelihood_of(const std::vector<double>& sums) {
        return sums[sums.size() - scalar_count + scalar_log_likelihood];
    }

    /// A pass with these noise variances where log p does not fall below the bound after the last step, else without.
    pass_result try_noise(const std::vector<double>& noise) {
        std::vector<double> plain = values_.noise;
        values_.noise = noise;
        pass_result pass = pass_under(values_);
        const bool taken = log_likelihood_of(pass.sums) >= outcome_.elbo_after;
        accelerator_.judge(taken);
        if (!taken) {
            values_.noise = std::move(plain);
            pass = pass_under(values_);
        }
        accelerator_.restart(values_.noise);
        return pass;
    }

    void note_events(std::int64_t t) {
        for (factor_event e : outcome_.events) {
            e.iteration = t;
            if (e.what == factor_event::kind::empty && e.action == collapse_policy::fail)
                throw error(fmt::format("component {} became empty in iteration {} and the collapse policy is `fail`: "
                                        "use fewer components or the policy `reseed` or `drop`",
                                        e.component, t));
            events_.push_back(e);
        }
    }

    result result_of(const factor_values& values, double log_likelihood,
                     const std::vector<factor_event>& events) const {
        const gmm::data_summary& s = rows_.summary();
        result r{from_frame(values, rows_.frame())};
        for (const gmm::event& e : s.far)
            r.events.push_back({0, 0, e.far.column, factor_event::kind::far_value, options_.on_collapse, e.far});
        r.events.insert(r.events.end(), events.begin(), events.end());
        set_likelihood(r, r.model, log_likelihood, s, rows_.negligible());
        return r;
    }

    const context& ctx_;
    const factor_options& options_;
    const io::json known_; ///< of the description
    factor_rows rows_;
    factor_rule rule_;
    eigen_way way_ = eigen_way::matrix;
    double log_scale_ = 0;
    gmm::start_sample sample_;
    factor_values values_;
    std::optional<factor_values> next_; ///< of the last update, until they are adopted
    factor_history history_;            ///< of the latest of both
    pass_result pass_;
    factor_outcome outcome_; ///< totals in the frame
    noise_accelerator accelerator_;
    std::optional<std::vector<double>> proposal_; ///< noise variances to try in the next pass
    std::optional<pass_result> ready_;            ///< the next pass, made already
    std::vector<factor_event> events_;            ///< of this restart
};

} // namespace

factor_result fit(const context& ctx, const data_source& data, const factor_options& options) {
    const steady_time begin = std::chrono::steady_clock::now();
    expects(options.method == factor_method::em || (options.checkpoint.path.empty() && options.resume.empty()),
            "checkpoint or resume with method = eigen: expected em");
    io::checkpoints store(options.checkpoint, options.resume);
    factor_em model(ctx, data, options, store);
    em_driver driver(model, store, begin);
    return options.method == factor_method::eigen ? driver.instead([&] { return model.solve(); })
                                                  : driver.run(0, options.restarts);
}

} // namespace elbo::latent
