#include "host/gmm/start/start.hpp"

#include "host/gmm/start/kmeans.hpp"
#include "host/gmm/start/start_labels.hpp"
#include "host/gmm/start/start_moments.hpp"
#include "host/gmm/start/start_trial.hpp"
#include "kernels/contract/start_engine.hpp"
#include "kernels/math/philox.hpp"

#include <algorithm>
#include <cmath>
#include <limits>
#include <optional>
#include <set>
#include <utility>

namespace elbo::gmm {

using namespace kernels;

namespace {

/// Below this many (row, dimension, component) triples several k-means runs cost next to nothing.
constexpr std::int64_t small_start = 1 << 18;
/// Below this many (row, dimension², component) products some EM steps on each candidate do, too.
constexpr std::int64_t tiny_start = 1 << 14;
constexpr int tiny_start_steps = 8;
/// Trials of a start, the EM steps of each, and nats a row within which they are equal. With 700 rows of htru2 and
/// three diagonal components one start at samples of ten reaches the best optimum that is known, and six of ten of
/// eight such trials; steps beyond twenty do not change which of the trials leads.
constexpr std::uint64_t trials_of_a_start = 8;
constexpr int trial_steps = 20;
constexpr double equal_trials = 1e-6;

/// Coordinates in which distance means something for the family: the rows as they are for spherical, scaled for the
/// diagonal families. For full and tied there are two that can be right: whitening finds elongated clusters that lie
/// side by side, but hides those that are themselves what makes the data elongated; scaling finds the latter.
std::vector<start_coordinates> distance_coordinates(family f, std::int64_t d) {
    if (geometry(f).spherical())
        return {start_coordinates::plain};
    if (!geometry(f).matrix() || d == 1)
        return {start_coordinates::scaled};
    return {start_coordinates::whitened, start_coordinates::scaled};
}

/// Up to k rows of those whose component is not known, where there are such: those with the smallest Philox keys of
/// the rows that differ from one another, then the others.
std::vector<std::int64_t> random_rows(const start_sample& s, std::int64_t k, std::uint64_t seed) {
    std::vector<std::pair<double, std::int64_t>> keys;
    const bool some_unknown = std::ranges::find(s.labels, -1) != s.labels.end();
    for (std::int64_t n = 0; n < s.rows; ++n) {
        if (some_unknown && s.labels[n] >= 0)
            continue;
        const philox_block words = random_block(seed, random_purpose::centre_choice, n);
        keys.emplace_back(uniform_double(words.word[0], words.word[1]), n);
    }
    std::ranges::sort(keys);
    const auto before = [&](std::int64_t a, std::int64_t b) {
        const double *x = &s.x[a * s.cols], *y = &s.x[b * s.cols];
        return std::lexicographical_compare(x, x + s.cols, y, y + s.cols);
    };
    std::set<std::int64_t, decltype(before)> different(before);
    std::vector<std::int64_t> rows, alike;
    for (std::size_t i = 0; i < keys.size() && std::ssize(rows) < k; ++i)
        (different.insert(keys[i].second).second ? rows : alike).push_back(keys[i].second);
    rows.insert(rows.end(), alike.begin(), alike.begin() + std::min(std::ssize(alike), k - std::ssize(rows)));
    return rows;
}

/// Random rows as means, the covariance of the data for all. The mean of the rows that are known to come from a
/// component, where there are some.
gmm_parameters parameters_from_rows(const start_sample& s, const gmm_shape& shape, const std::vector<double>& lambda,
                                    const moments& total, std::uint64_t seed) {
    const std::vector<std::int64_t> rows = random_rows(s, shape.components, seed);
    const factor_builder builder(shape.family, s.cols, lambda);
    gmm_parameters p;
    for (std::int64_t k = 0; k < shape.components; ++k) {
        const moments labelled = labelled_moments(s, k);
        const double* row = &s.x[rows[k % std::ssize(rows)] * s.cols];
        const double* mean = labelled.weight > 0 ? labelled.mean.data() : row;
        p.log_weights.push_back(-std::log(static_cast<double>(shape.components)));
        p.means.insert(p.means.end(), mean, mean + s.cols);
        if (!is_tied(shape.family) || k == 0)
            builder.append(total.covariance, p.precision_cholesky);
    }
    return p;
}

/// How often k-means runs, and on what: several times where it costs next to nothing. Where a problem is tiny every
/// other run does without Lloyd's iterations (their optimum is not always a good start) and they are compared after
/// some steps of EM; the host is done with it before a device is asked.
struct kmeans_plan {
    std::vector<start_coordinates> ways;
    bool tiny;
    std::uint64_t tries;

    kmeans_plan(std::int64_t rows, const gmm_shape& shape)
        : ways(distance_coordinates(shape.family, shape.dimensions)) {
        const std::int64_t size = rows * shape.dimensions * shape.components;
        tiny = size * shape.dimensions <= tiny_start;
        tries = shape.components == 1 ? 1 : tiny ? 4 : size <= small_start ? 3 : 1;
        if (shape.components == 1)
            ways.resize(1); // one cluster is the same in any coordinates
    }
    bool compares() const { return ways.size() * tries > 1; }
    /// The iterations of an attempt.
    int iterations(start_method method, std::uint64_t attempt) const {
        return method == start_method::kmeans && !(tiny && attempt % 2 == 1) ? lloyd_iterations : 1;
    }
    static std::uint64_t seed(const start_choice& choice, std::uint64_t attempt) {
        return choice.seed + (attempt << 32);
    }
};

/// Whether all of a start by k-means is left to the engine of a device, where there is one.
bool on_device(const kmeans_plan& plan, bool labelled) {
    return !plan.tiny && !labelled;
}

/// The starts from one sample.
class start_maker {
public:
    start_maker(const context& ctx, const start_sample& s, const gmm_shape& shape, const std::vector<double>& lambda)
        : ctx_(ctx), s_(s), shape_(shape), lambda_(lambda), plan_(s.rows, shape) {
        if (!on_device(plan_, !s.labels.empty()))
            return;
        device_ = s.device;
        loaded_ = device_ != nullptr;
        if (!device_)
            device_ = make_start_engine(ctx, shape);
    }

    gmm_parameters make(const start_choice& choice) {
        if (choice.method == start_method::samples)
            return parameters_from_rows(s_, shape_, lambda_, total(), choice.seed);
        if (choice.method == start_method::random) {
            first_responsibilities r(s_, shape_.components);
            r.use_random(choice.seed);
            return parameters_from(s_, shape_, r, lambda_);
        }
        return device_ ? by_device(choice) : by_host(choice);
    }

private:
    const moments& total() {
        if (!total_)
            total_ = total_moments(s_, geometry(shape_.family).matrix());
        return *total_;
    }

    /// The best of the k-means starts by the likelihood of what they begin with.
    gmm_parameters by_device(const start_choice& choice) {
        if (!std::exchange(loaded_, true))
            device_->load({s_.x.data(), s_.weights.data(), s_.usual.data(), s_.rows});
        std::optional<double> best;
        for (const start_coordinates way : plan_.ways) {
            device_->measure_in(way);
            for (std::uint64_t attempt = 0; attempt < plan_.tries; ++attempt) {
                choose_centres(device_->kmeans(), shape_.components, choice.greedy, plan_.seed(choice, attempt));
                device_->kmeans().refine(plan_.iterations(choice.method, attempt));
                device_->form(lambda_);
                const double likelihood = plan_.compares() ? device_->log_likelihood(judged_rows(s_.rows, shape_)) : 0;
                if (!best || likelihood > *best)
                    device_->keep(), best = likelihood;
            }
        }
        return device_->parameters();
    }

    gmm_parameters by_host(const start_choice& choice) {
        const auto engine = make_kmeans_engine(plan_.tiny ? context::cpu(1) : ctx_);
        std::optional<labelled_kmeans> labelled;
        if (!s_.labels.empty())
            labelled.emplace(s_, shape_.components);
        std::optional<gmm_parameters> best; // the first also where its likelihood is not a number
        double best_likelihood = 0;
        std::vector<double> own;
        for (const start_coordinates way : plan_.ways) {
            const std::vector<double>& y = rows_in(way, s_, total(), own);
            if (labelled)
                labelled->load(*engine, y);
            else
                engine->load(y.data(), s_.weights.data(), s_.rows, s_.cols);
            for (std::uint64_t attempt = 0; attempt < plan_.tries; ++attempt) {
                first_responsibilities r(s_, shape_.components);
                const std::uint64_t seed = plan_.seed(choice, attempt);
                r.use_clusters(labelled ? labelled->cluster(*engine, choice.greedy, seed)
                                        : kmeans_labels(*engine, s_.rows, shape_.components, choice.greedy, seed,
                                                        plan_.iterations(choice.method, attempt)));
                gmm_parameters p = parameters_from(s_, shape_, r, lambda_);
                if (plan_.tiny && plan_.compares())
                    p = after_some_steps(s_, shape_, p, lambda_, tiny_start_steps);
                const double likelihood = plan_.compares() ? sample_log_likelihood(s_, shape_, p) : 0;
                if (!best || likelihood > best_likelihood)
                    best = std::move(p), best_likelihood = likelihood;
            }
        }
        return std::move(*best);
    }

    const context& ctx_;
    const start_sample& s_;
    const gmm_shape& shape_;
    const std::vector<double>& lambda_;
    const kmeans_plan plan_;
    std::optional<moments> total_; ///< of the usual rows
    std::shared_ptr<start_engine> device_;
    bool loaded_ = false; ///< the device has the sample
};

} // namespace

std::int64_t start_device_bytes(const context& ctx, const gmm_shape& shape, start_method method,
                                std::int64_t sample_rows, bool labelled) {
    const kmeans_plan plan(sample_rows, shape);
    const bool by_host = plan.tiny && ctx.memory() == memory_space::device;
    if (by_host || method == start_method::samples || method == start_method::random)
        return 0;
    if (on_device(plan, labelled))
        if (const auto engine = make_start_engine(ctx, shape))
            return engine->bytes_needed(sample_rows, plan.compares() ? judged_rows(sample_rows, shape) : 0);
    return make_kmeans_engine(ctx)->bytes_needed(sample_rows, shape.dimensions, shape.components);
}

std::int64_t start_host_bytes(const gmm_shape& shape, start_method method, std::int64_t sample_rows) {
    const bool matrix = geometry(shape.family).matrix();
    const bool clusters = method != start_method::samples && method != start_method::random;
    const bool moved =
        clusters && distance_coordinates(shape.family, shape.dimensions).front() != start_coordinates::plain;
    // The sample, its coordinates, the rows about their mean; some numbers for each row.
    const std::int64_t rows = sample_rows * (shape.dimensions * (1 + (moved ? 1 : 0) + (matrix ? 1 : 0)) + 6);
    // Moments and parameters of all components, of two candidates.
    const std::int64_t each = shape.dimensions * (matrix ? shape.dimensions + 1 : 2);
    return 8 * (rows + (3 * shape.components + 4) * each);
}

bool made_on_device(const gmm_shape& shape, const start_choice& choice, std::int64_t sample_rows) {
    return on_device(kmeans_plan(sample_rows, shape), false) && !choice.trials &&
           choice.method != start_method::samples && choice.method != start_method::random;
}

gmm_parameters start_parameters(const context& ctx, const start_sample& s, const gmm_shape& shape,
                                const start_choice& choice, const std::vector<double>& lambda) {
    start_maker maker(ctx, s, shape, lambda);
    gmm_parameters best = maker.make(choice);
    if (!choice.trials || shape.components == 1)
        return best;
    const start_sample some = trial_rows(s, shape);
    double best_likelihood = -std::numeric_limits<double>::infinity();
    for (std::uint64_t trial = 0; trial < trials_of_a_start && some.rows > 0; ++trial) {
        start_choice other = choice;
        other.seed += trial << 48;
        gmm_parameters p = after_some_steps(some, shape, maker.make(other), lambda, trial_steps);
        if (std::ranges::any_of(p.log_weights, [](double w) { return std::isinf(w); }))
            continue; // it lost components on the way
        const double likelihood = sample_log_likelihood(some, shape, p);
        // Trials on the way to one optimum differ by rounding in the end: the first of them is taken.
        if (likelihood > best_likelihood + equal_trials * static_cast<double>(some.rows))
            best = std::move(p), best_likelihood = likelihood;
    }
    return best;
}

} // namespace elbo::gmm
