// Coordinate ascent on the bound: E-steps in an engine, q(θ) on the host.
#include "host/gmm/algebra/factor.hpp"
#include "host/gmm/fields.hpp"
#include "host/gmm/fit/fit_setup.hpp"
#include "host/gmm/fit/prior.hpp"
#include "host/gmm/variational/distribution.hpp"
#include "host/rows/em_driver.hpp"
#include "host/rows/frame.hpp"
#include "host/rows/restarts.hpp"

#include <algorithm>
#include <chrono>
#include <cmath>
#include <numbers>
#include <numeric>

namespace elbo::gmm {

using namespace kernels;

namespace {

/// What the ways to the data and to a start read.
fit_options shared_options(const variational_options& o, std::int64_t dimensions) {
    variational::check_prior(o.prior, o.shape, dimensions);
    fit_options f;
    copy_fields(o, f);
    return f;
}

/// Coordinate ascent as em_driver runs it. Posteriors and priors are in the frame until the result is made.
class variational_em {
public:
    using record = variational_record;
    using result = variational_result;

    /// Reads the data once, after a checkpoint that does not fit was refused.
    variational_em(const context& ctx, const data_source& data, const variational_options& options,
                   const io::checkpoints& store)
        : options_(options), shared_(shared_options(options, data.cols())),
          known_(store.of_same_fit(
              description_of("variational mixture", ctx, options, data, digest_of(options.start_model)))),
          rows_(ctx, data, shared_, options.prior.mean) {
        check_weight_beside_prior(rows_.summary().weight);
        const std::vector<double> covariance = options.prior.scale ? std::vector<double>() : covariance_in_frame();
        prior_ = variational::complete_prior(variational::to_frame(options.prior, options.shape, rows_.frame()), shape_,
                                             covariance, rows_.lambda());
    }

    const variational_options& options() const { return options_; }

    /// θ_0 is that of the E-step of a mixture.
    void start(std::int64_t restart, fit_seconds& spent) {
        const gmm_parameters first = rows_.start(restart, spent);
        timed(spent.start, [&] { q_ = m_step(e_step(first)); });
    }
    void load(fit_seconds& spent) { rows_.load(spent); }

    void pass() { sums_ = e_step(variational::e_step_parameters(q_)); }
    em_step<record> update(std::int64_t) {
        next_ = m_step(sums_);
        const record r = make_record();
        return {r, r.bound};
    }
    void adopt() { q_ = std::move(next_); }

    io::json description() const { return with_data(known_, rows_.summary()); }

    template <class State>
    void describe(State& s) {
        if constexpr (State::reads)
            q_ = {options_.shape, shape_.dimensions, options_.weights_prior, prior_, {}, {}, {}, {}, {}};
        const auto k = static_cast<std::size_t>(shape_.components), d = static_cast<std::size_t>(shape_.dimensions);
        s.list("concentrations", q_.concentrations, q_.weights == weights_model::dirichlet ? k : 2 * (k - 1));
        s.list("means", q_.means, k * d);
        s.list("mean_precisions", q_.mean_precisions, k);
        s.list("degrees_of_freedom", q_.degrees_of_freedom, is_tied(options_.shape) ? 1 : k);
        s.list("precision_cholesky", q_.precision_cholesky,
               covariance_size(options_.shape, shape_.components, shape_.dimensions));
    }

    static bool is_better(const result& one, const result& best) { return one.bound > best.bound; }

    result make_result(std::int64_t restart, const record& last) const {
        const data_summary& data = rows_.summary();
        variational_posterior posterior(variational::from_frame(q_, rows_.frame(), options_.prior));
        gmm::model plug_in =
            keep_regularization(posterior.model(), rows_.lambda(), data.regular_variance, rows_.frame());
        result r{std::move(posterior), std::move(plug_in)};
        r.bound = last.bound;
        r.total_bound = last.bound * data.weight;
        r.entropy = last.entropy;
        r.total_weight = data.weight;
        r.samples = data.rows;
        r.negligible = rows_.feed().negligible();
        r.events = rows_.start_events();
        r.events.insert(r.events.end(), data.far.begin(), data.far.end());
        r.best_start = start_of(options_, restart);
        return r;
    }

private:
    using parameters = variational::parameters;

    /// Of the data about their mean, by structure. Not from the sums of the first E-step, which lose it where a fit
    /// starts far from the data.
    std::vector<double> covariance_in_frame() const {
        variational_prior p;
        const structure s = structure_of(options_.shape);
        if (s == structure::full)
            p.scale = data_covariance(rows_, rows_.summary());
        else
            p.scale = rows_.summary().variance;
        if (s == structure::spherical)
            p.scale = std::vector{std::accumulate(p.scale->begin(), p.scale->end(), 0.0) /
                                  static_cast<double>(shape_.dimensions)};
        return *variational::to_frame(std::move(p), options_.shape, rows_.frame()).scale;
    }

    variational::moments e_step(const gmm_parameters& p) {
        engine_.set_parameters(p);
        rows_.pass();
        variational::moments m = variational::read_moments(shape_, engine_.sums(), rows_.scatter(),
                                                           engine_.parameters().means, rows_.feed().weight_scale());
        // Components change places where their order matters to the prior and nobody has named them.
        const bool ordered = options_.weights_prior == weights_model::stick_breaking && options_.labels.empty();
        return ordered ? variational::in_stick_order(std::move(m), shape_, concentration()) : m;
    }

    double concentration() const {
        return options_.prior.concentration.value_or(1 / static_cast<double>(shape_.components));
    }

    parameters m_step(const variational::moments& m) const {
        return variational::update(shape_, options_.weights_prior, prior_, m);
    }

    record make_record() const {
        const double w = sums_.weight, d = static_cast<double>(shape_.dimensions);
        const variational::divergences kl = variational::divergences_from_prior(q_);
        record r;
        r.expected_log_likelihood = sums_.expected_log_likelihood / w - rows_.log_scale();
        r.weights_divergence = kl.weights / w;
        r.components_divergence = kl.components / w;
        r.bound = r.expected_log_likelihood - r.weights_divergence - r.components_divergence;
        r.bound_after_m_step = (sums_.entropy + sums_.log_factors + variational::log_normalizer_gain(next_)) / w -
                               0.5 * d * std::log(2 * std::numbers::pi) - rows_.log_scale();
        r.entropy = sums_.entropy / w;
        for (std::size_t i = 0; i < sums_.centres.size(); ++i)
            r.parameter_change = std::max(r.parameter_change, std::abs(next_.means[i] - sums_.centres[i]));
        return r;
    }

    const variational_options& options_;
    const fit_options shared_;
    const io::json known_; ///< of the description
    mixture_rows rows_;
    const gmm_shape& shape_ = rows_.shape();
    gmm_engine& engine_ = rows_.engine();
    variational_prior prior_;
    parameters q_, next_;
    variational::moments sums_; ///< of the last pass
};

} // namespace

variational_result fit_variational(const context& ctx, const data_source& data, const variational_options& options) {
    const steady_time begin = std::chrono::steady_clock::now();
    io::checkpoints store(options.checkpoint, options.resume);
    variational_em model(ctx, data, options, store);
    return em_driver(model, store, begin).run(0, options.restarts);
}

} // namespace elbo::gmm
