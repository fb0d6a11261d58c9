// The way of a fit of the sphere model: load, start, iterate (host/rows/em_driver.hpp), map back.
#include "elbo/latent/sphere.hpp"

#include "host/check.hpp"
#include "host/draws.hpp"
#include "host/latent/fields.hpp"
#include "host/latent/sphere/step.hpp"
#include "host/rows/em_driver.hpp"
#include "host/rows/frame.hpp"

#include <algorithm>
#include <chrono>
#include <fmt/format.h>

namespace elbo::latent {

using namespace kernels;

namespace {

const sphere_options& checked(const data_source& data, const sphere_options& o) {
    check_fields(o);
    expects(!o.start_model || o.start_model->dimensions() == data.cols(), [&] {
        return fmt::format("start_model has {} dimensions: expected {}, the columns of {}", o.start_model->dimensions(),
                           data.cols(), data.description());
    });
    return o;
}

std::string start_digest(const sphere_options& o) {
    const std::optional<sphere_model>& m = o.start_model;
    return m ? io::digest({m->centre(), std::vector{m->radius(), m->noise()}}) : "";
}

/// The sphere model as em_driver fits it. Parameters are in the frame until the result is made.
class sphere_em {
public:
    using record = iteration_record;
    using result = sphere_result;

    /// Reads the data, after a checkpoint that does not fit was refused, and loads it.
    sphere_em(const context& ctx, const data_source& data, const sphere_options& o, const io::checkpoints& store)
        : options_(checked(data, o)),
          known_(store.of_same_fit(description_of("sphere", ctx, o, data, start_digest(o)))),
          rows_(ctx, data, o.weights, o.memory_limit) {
        const double variance = rows_.mean_variance();
        least_noise_ = o.noise_floor * (variance > 0 ? variance : 1);
        log_scale_ = gmm::log_scale(rows_.frame());
    }

    const sphere_options& options() const { return options_; }

    void start(std::int64_t restart, fit_seconds& spent) {
        timed(spent.start, [&] { theta_ = first_parameters(restart); });
        path_ = sphere_acceleration(options_.accelerate, least_noise_);
        events_.clear();
    }

    void pass() {
        step_ = maximize(theta_, rows_.sums(theta_), least_noise_);
        if (!path_.falls_short(step_.log_likelihood))
            return;
        theta_ = path_.em_step();
        step_ = maximize(theta_, rows_.sums(theta_), least_noise_);
    }

    em_step<record> update(std::int64_t t) {
        note_events(t);
        return {{0, step_.log_likelihood - log_scale_, step_.elbo_after - log_scale_, step_.entropy,
                 largest_change(theta_, step_.next)},
                step_.log_likelihood};
    }

    void adopt() { theta_ = path_.next(theta_, step_); }

    io::json description() const { return with_data(known_, rows_.summary()); }

    template <class State>
    void describe(State& s) {
        const std::size_t d = rows_.frame().centre.size();
        describe_values(s, "theta", theta_, d);
        if constexpr (State::reads) {
            s.require("theta", theta_.centre.size() == d, d);
            path_ = sphere_acceleration(options_.accelerate, least_noise_);
        }
        path_.describe(s, d);
        s.table("events", events_, &sphere_event::iteration, &sphere_event::what);
    }

    static bool is_better(const result& one, const result& best) { return one.log_likelihood > best.log_likelihood; }

    result make_result(std::int64_t, const record& last) const {
        result r{from_frame(theta_, rows_.frame())};
        for (const gmm::event& e : rows_.summary().far)
            r.events.push_back({0, sphere_event::kind::far_value, e.far});
        r.events.insert(r.events.end(), events_.begin(), events_.end());
        set_likelihood(r, r.model, last.log_likelihood, rows_.summary(), rows_.negligible());
        return r;
    }

private:
    sphere_values first_parameters(std::int64_t restart) {
        if (options_.start_model)
            return to_frame(*options_.start_model, rows_.frame());
        // The frame's origin is the mean of the data; a standard normal number is of the size of their spread.
        std::vector<double> centre(rows_.frame().centre.size(), 0);
        if (restart > 0)
            draw_normals(options_.seed, random_purpose::centre_choice, static_cast<std::uint64_t>(restart),
                         std::ssize(centre), centre.data());
        const sphere_values probe = distance_probe(std::move(centre), rows_.mean_variance());
        return start_from_distances(probe, rows_.sums(probe), least_noise_);
    }

    void note_events(std::int64_t t) {
        const auto note = [&](bool happened, sphere_event::kind what) {
            const auto same = [what](const sphere_event& e) { return e.what == what; };
            if (happened && std::ranges::none_of(events_, same))
                events_.push_back({t, what});
        };
        note(step_.noise_floored, sphere_event::kind::noise_floor);
        note(step_.one_sided, sphere_event::kind::one_sided);
    }

    const sphere_options& options_;
    const io::json known_; ///< of the description
    sphere_rows rows_;
    double least_noise_ = 0, log_scale_ = 0;
    sphere_values theta_;
    sphere_step step_{};
    sphere_acceleration path_{false, 0};
    std::vector<sphere_event> events_; ///< of this restart
};

} // namespace

sphere_result fit(const context& ctx, const data_source& data, const sphere_options& options) {
    const steady_time begin = std::chrono::steady_clock::now();
    io::checkpoints store(options.checkpoint, options.resume);
    sphere_em model(ctx, data, options, store);
    return em_driver(model, store, begin).run(0, options.restarts);
}

} // namespace elbo::latent
