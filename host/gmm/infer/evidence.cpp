// The terms of the evidence lower bound: log-joint densities from the engines, all else here, in float64.
#include "elbo/gmm/evidence.hpp"

#include "host/check.hpp"
#include "host/gmm/algebra/factor.hpp"
#include "host/gmm/infer/infer.hpp"
#include "host/rows/row_access.hpp"
#include "kernels/shared/threads/parallel.hpp"

#include <algorithm>
#include <cmath>
#include <fmt/format.h>
#include <functional>
#include <limits>
#include <vector>

namespace elbo::gmm {

using namespace kernels;

namespace {

constexpr double infinity = std::numeric_limits<double>::infinity();
constexpr double row_sum_tolerance = 1e-6;

/// Σ w of each term over some rows.
struct term_sums {
    double expected_log_joint = 0, entropy = 0, kl = 0, log_likelihood = 0, weight = 0;

    /// One row: log-joint densities lp [k], and q [k] that sums to 1.
    void add_row(double w, const double* lp, const double* q, std::int64_t components) {
        const double lse = log_sum_exp(lp, components);
        double expected = 0, information = 0, gap = 0;
        for (std::int64_t k = 0; k < components; ++k) {
            if (q[k] == 0)
                continue; // lim q log q = 0
            const double log_q = std::log(q[k]);
            information -= q[k] * log_q;
            expected += q[k] * lp[k];
            // Its own computation of the gap: log q − log r. Where lp is −infinity so is log r, also if all of them
            // are.
            gap += lp[k] == -infinity ? infinity : q[k] * (log_q - (lp[k] - lse));
        }
        expected_log_joint += w * expected;
        entropy += w * information;
        kl += w * gap;
        log_likelihood += w * lse;
        weight += w;
    }
    term_sums operator+(const term_sums& other) const {
        return {expected_log_joint + other.expected_log_joint, entropy + other.entropy, kl + other.kl,
                log_likelihood + other.log_likelihood, weight + other.weight};
    }
};

/// Sum of the units first ... last − 1 by halves: its error grows with the logarithm of their number.
term_sums pairwise_sum(const std::vector<term_sums>& units, std::size_t first, std::size_t last) {
    if (last - first == 1)
        return units[first];
    const std::size_t middle = first + (last - first) / 2;
    return pairwise_sum(units, first, middle) + pairwise_sum(units, middle, last);
}

/// r = exp(lp − max lp) / Σ: that sums to 1 also where log 2 is nothing beside lp. Where the density of x itself is
/// zero there is no posterior: any q does, its bound is −infinity.
void posterior(const double* lp, std::int64_t components, double* r) {
    const double largest = *std::max_element(lp, lp + components);
    double sum = 0;
    for (std::int64_t k = 0; k < components; ++k)
        sum += r[k] = largest == -infinity ? 1 : std::exp(lp[k] - largest);
    for (std::int64_t k = 0; k < components; ++k)
        r[k] /= sum;
}

/// log p(x_n, z_n = k) of the rows of a batch [rows x k].
void joint_densities(scoring<gmm_engine>& model, const input_rows& batch, std::int64_t components,
                     std::vector<double>& lp) {
    lp.resize(batch.x.rows * components);
    model.infer(batch, {.log_joint = {lp.data(), batch.x.rows, components}});
}

/// q [rows x k] for a batch with log-joint densities lp.
using batch_q =
    std::function<std::vector<double>(const input_rows& batch, std::int64_t first_row, const std::vector<double>& lp)>;

/// One pass over the data with q from `make_q`.
evidence_terms evidence_of(const context& ctx, const model& m, row_feed& feed, const batch_q& make_q) {
    const std::int64_t components = m.components();
    scoring<gmm_engine> model = make_scoring(ctx, m, feed.data().type());
    feed.stream(); // densities of a batch are kept, so batches stay small
    feed.summarize(model.engine());
    std::vector<term_sums> units;
    std::vector<double> lp;
    const int threads = on_host(ctx).threads();
    feed.for_each([&](const input_rows& batch, std::int64_t first_row) {
        joint_densities(model, batch, components, lp);
        const std::vector<double> q = make_q(batch, first_row, lp);
        std::vector<double> weights(batch.x.rows, 1);
        if (feed.weighted())
            weights = feed.scaled_weights(first_row, batch.x.rows);
        const auto before = static_cast<std::int64_t>(units.size());
        units.resize(before + (batch.x.rows + unit_rows - 1) / unit_rows);
        parallel_ranges(threads, batch.x.rows, unit_rows, [&](std::int64_t first, std::int64_t last) {
            for (std::int64_t n = first; n < last; ++n)
                if (weights[n] > 0)
                    units[before + first / unit_rows].add_row(weights[n], &lp[n * components], &q[n * components],
                                                              components);
        });
    });
    const term_sums sum = pairwise_sum(units, 0, units.size());
    evidence_terms t;
    t.total_weight = sum.weight / feed.weight_scale();
    t.negligible = feed.negligible();
    t.samples = feed.data().rows();
    t.expected_log_joint = sum.expected_log_joint / sum.weight;
    t.entropy = sum.entropy / sum.weight;
    t.kl = sum.kl / sum.weight;
    t.log_likelihood = sum.log_likelihood / sum.weight;
    t.elbo = t.expected_log_joint + t.entropy;
    t.elbo_from_gap = t.log_likelihood - t.kl;
    return t;
}

/// Posteriors of all rows of a batch.
std::vector<double> posteriors(const std::vector<double>& lp, std::int64_t components, int threads) {
    std::vector<double> r(lp.size());
    parallel_ranges(threads, std::ssize(lp) / components, 64, [&](std::int64_t first, std::int64_t last) {
        for (std::int64_t n = first; n < last; ++n)
            posterior(&lp[n * components], components, &r[n * components]);
    });
    return r;
}

/// Checks rows of q [rows x k] and makes each sum to 1.
void normalize_rows(std::vector<double>& q, std::int64_t components, std::int64_t first_row) {
    for (std::size_t at = 0; at < q.size(); at += components) {
        const std::int64_t row = first_row + static_cast<std::int64_t>(at) / components;
        double sum = 0;
        for (std::int64_t k = 0; k < components; ++k) {
            const double value = q[at + k];
            expects(value >= 0 && std::isfinite(value),
                    [&] { return fmt::format("q[{}][{}] = {}: expected a finite number, at least 0", row, k, value); });
            sum += value;
        }
        expects(std::abs(sum - 1) <= row_sum_tolerance, [&] {
            return fmt::format("q[{}] sums to {}: expected 1, to within {:g}", row, sum, row_sum_tolerance);
        });
        for (std::int64_t k = 0; k < components; ++k)
            q[at + k] /= sum;
    }
}

} // namespace

evidence_terms evidence(const context& ctx, const model& m, const data_source& data, const sample_weights& weights,
                        const sample_labels& labels) {
    check_width(data, m.dimensions());
    row_feed feed(ctx, data, weights, labels, m.components());
    return evidence_of(ctx, m, feed, [&](const input_rows&, std::int64_t, const std::vector<double>& lp) {
        return posteriors(lp, m.components(), on_host(ctx).threads());
    });
}

evidence_terms evidence(const context& ctx, const model& m, const data_source& data, const any_matrix_view& q,
                        const sample_weights& weights, const sample_labels& labels) {
    check_width(data, m.dimensions());
    expects(q.data != nullptr && q.rows == data.rows() && q.cols == m.components(), [&] {
        return fmt::format("q has {} x {} numbers: expected {} x {}, the rows of {} and the components of the model",
                           q.rows, q.cols, data.rows(), m.components(), data.description());
    });
    row_feed feed(ctx, data, weights, labels, m.components());
    if (q.space == memory_space::device)
        ctx.wait(); // for work that writes it
    return evidence_of(ctx, m, feed, [&](const input_rows& batch, std::int64_t first_row, const std::vector<double>&) {
        std::vector<double> rows = feed.to_host(q.slice(first_row, batch.x.rows));
        normalize_rows(rows, m.components(), first_row);
        return rows;
    });
}

evidence_terms evidence(const context& ctx, const model& m, const data_source& data, const model& other,
                        const sample_weights& weights, const sample_labels& labels) {
    check_width(data, m.dimensions());
    check_width(data, other.dimensions(), "the other model");
    expects(other.components() == m.components(), [&] {
        return fmt::format("the other model has {} components: expected {}, the components of the model",
                           other.components(), m.components());
    });
    row_feed feed(ctx, data, weights, labels, m.components());
    feed.stream();
    scoring<gmm_engine> theirs = make_scoring(ctx, other, data.type());
    std::vector<double> lp;
    return evidence_of(ctx, m, feed, [&](const input_rows& batch, std::int64_t, const std::vector<double>&) {
        joint_densities(theirs, batch, m.components(), lp);
        return posteriors(lp, m.components(), on_host(ctx).threads());
    });
}

} // namespace elbo::gmm
