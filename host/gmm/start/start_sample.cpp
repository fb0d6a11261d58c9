// The rows that a start looks at.
#include "host/gmm/start/start.hpp"
#include "kernels/math/philox.hpp"

#include <algorithm>
#include <cmath>

namespace elbo::gmm {

using namespace kernels;

namespace {

/// With which probability a row is taken. Without labels all rows have the same. With labels half of the sample is
/// for the rows with a known component, the same for each of the components: a few labels among many rows are what the
/// start is to follow.
class row_shares {
public:
    row_shares(const data_summary& summary, std::int64_t row_limit) {
        const auto limit = static_cast<double>(row_limit), rows = static_cast<double>(summary.positive_rows);
        const auto labelled = std::ranges::count_if(summary.labelled, [](std::int64_t n) { return n > 0; });
        any_ = std::min(1.0, (rows > limit && labelled > 0 ? limit / 2 : limit) / rows);
        for (const std::int64_t n : summary.labelled)
            known_.push_back(n == 0 ? any_ : std::clamp(limit / 2 / static_cast<double>(labelled * n), any_, 1.0));
    }
    double of(std::int32_t component) const { return component < 0 ? any_ : known_[component]; }
    /// Weight of a row in the sample: those that are taken more often count less.
    double weight(std::int32_t component) const { return any_ / of(component); }

private:
    double any_ = 1;
    std::vector<double> known_;
};

/// Rows of a source that a sample of about `limit` has at most. Each row is taken with a probability of its own: the
/// deviation of their number is below the root of its mean, and one beyond six deviations comes about once in 10^9
/// samples.
std::int64_t rows_within(std::int64_t rows, std::int64_t limit) {
    const auto expected = static_cast<double>(limit);
    return std::min(rows, static_cast<std::int64_t>(expected + 6 * std::sqrt(expected)));
}

/// Rows that are copied from a batch at a time.
constexpr std::size_t gathered_rows = 256;

} // namespace

std::int64_t start_row_limit(std::int64_t k, std::int64_t d) {
    // k-means++ and Lloyd cost rows·k·d operations a step: bounded to about 2^31 a step, at least 16 rows a component.
    const std::int64_t affordable = (std::int64_t(1) << 31) / (k * d * 8);
    // The sample is held several times in float64: of very wide rows fewer, so that it stays at some hundred megabytes.
    const std::int64_t enough = std::min<std::int64_t>(4096, (std::int64_t(1) << 25) / d);
    return std::clamp<std::int64_t>(affordable, std::max<std::int64_t>(16 * k, enough), 65536);
}

std::int64_t most_start_rows(std::int64_t rows, std::int64_t components, std::int64_t dimensions) {
    return rows_within(rows, start_row_limit(components, dimensions));
}

start_sample draw_start_sample(const row_feed& feed, const frame& f, const data_summary& summary,
                               std::int64_t row_limit, std::uint64_t seed) {
    const std::int64_t d = feed.data().cols();
    const bool labelled = feed.known() != sample_labels::kind::none;
    start_sample s;
    s.cols = d;
    s.known = feed.known();
    const row_shares shares(summary, row_limit);
    s.x.reserve(static_cast<std::size_t>(rows_within(summary.positive_rows, row_limit) * d));
    feed.for_each([&](const input_rows& batch, std::int64_t first_row) {
        std::vector<double> weights;
        if (feed.weighted())
            weights = feed.scaled_weights(first_row, batch.x.rows);
        std::vector<std::int32_t> labels;
        if (labelled)
            labels = feed.known_components(batch, first_row);
        std::vector<std::int64_t> chosen;
        for (std::int64_t i = 0; i < batch.x.rows; ++i) {
            if (feed.weighted() && !(weights[i] > 0))
                continue;
            const std::int32_t label = labelled ? labels[i] : -1;
            if (shares.of(label) < 1) {
                const philox_block words = random_block(seed, random_purpose::row_choice, first_row + i);
                if (uniform_double(words.word[0], words.word[1]) >= shares.of(label))
                    continue;
            }
            chosen.push_back(i);
            s.weights.push_back((feed.weighted() ? weights[i] : 1) * shares.weight(label));
            if (labelled)
                s.labels.push_back(label);
        }
        // In pieces: a copy of all of them would take as much as the sample itself.
        for (std::size_t at = 0; at < chosen.size(); at += gathered_rows) {
            const std::size_t end = std::min(chosen.size(), at + gathered_rows);
            const std::vector<double> rows = feed.gather_rows(batch.x, {chosen.begin() + at, chosen.begin() + end});
            for (auto row = rows.begin(); row != rows.end(); row += d) {
                bool usual = true;
                for (std::int64_t j = 0; j < d; ++j) {
                    usual = usual && (summary.usual.empty() || summary.usual[j].holds(row[j]));
                    s.x.push_back((row[j] - f.centre[j]) / f.scale[j]);
                }
                s.usual.push_back(usual ? 1 : 0);
            }
        }
        if (s.known == sample_labels::kind::factors) {
            const std::vector<double> factors = feed.gather_rows(batch.labels, chosen);
            s.factors.insert(s.factors.end(), factors.begin(), factors.end());
        }
    });
    s.rows = static_cast<std::int64_t>(s.weights.size());
    if (std::ranges::count(s.usual, 1.0) == 0)
        s.usual.assign(s.rows, 1);
    double sum = 0;
    for (double w : s.weights)
        sum += w;
    for (double& w : s.weights)
        w *= static_cast<double>(s.rows) / sum;
    return s;
}

std::optional<start_sample> draw_on_device(const context& ctx, const row_feed& feed, const frame& f,
                                           const data_summary& summary, const gmm_shape& shape, std::uint64_t seed,
                                           const start_choice& choice, bool others) {
    const bool from_host = feed.data().space() != memory_space::device;
    const std::optional<any_matrix_view> one_piece = feed.data().contiguous();
    if (feed.weighted() || feed.known() != sample_labels::kind::none ||
        (from_host ? !one_piece : feed.batch_rows() < feed.data().rows()))
        return std::nullopt;
    // What the host makes of rows that it has is not for a detour.
    const std::int64_t limit = start_row_limit(shape.components, shape.dimensions);
    if (from_host && (others || !made_on_device(shape, choice, std::min(summary.positive_rows, limit))))
        return std::nullopt;
    start_sample s;
    s.device = make_start_engine(ctx, shape);
    if (!s.device)
        return std::nullopt;
    s.cols = shape.dimensions;
    std::vector<double> lower, upper;
    for (const value_range& r : summary.usual)
        lower.push_back(r.lower), upper.push_back(r.upper);
    const row_shares shares(summary, limit);
    const auto draw = [&](const any_matrix_view& all) {
        s.rows = s.device->draw({all, f, shares.of(-1), seed, lower, upper});
    };
    if (from_host)
        draw(*one_piece);
    else
        feed.for_each([&](const input_rows& all, std::int64_t) { draw(all.x); });
    s.weights.assign(s.rows, 1);
    if (others || !made_on_device(shape, choice, s.rows)) {
        s.x.resize(s.rows * s.cols), s.usual.resize(s.rows);
        s.device->drawn(s.x, s.usual);
    }
    return s;
}

} // namespace elbo::gmm
