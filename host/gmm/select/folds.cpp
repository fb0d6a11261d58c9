#include "host/gmm/select/folds.hpp"

#include "elbo/gmm/infer.hpp"
#include "host/check.hpp"
#include "host/io/sources.hpp"
#include "kernels/math/vae_random.hpp"

#include <algorithm>
#include <cmath>
#include <fmt/format.h>

namespace elbo::gmm {

namespace {

/// The order in which run `run` of neighbouring rows is dealt to the folds.
kernels::shuffle_order deal(std::uint64_t seed, std::int64_t run, std::int64_t folds) {
    kernels::shuffle_order order = kernels::make_shuffle(seed, 0, 0, static_cast<std::uint64_t>(folds));
    // A stream of numbers of its own: that of epoch 0 chooses the rows of a single validation set.
    order.key = kernels::make_noise_key(seed, kernels::noise_purpose::validation_rows, 1 + run);
    return order;
}

/// Adds one row (West 1979).
void add(held_out_moments& m, double weight, double value) {
    m.weight += weight;
    const double off = value - m.mean;
    m.mean += off * (weight / m.weight);
    m.square += weight * off * (value - m.mean);
}

double weight_of(const std::vector<double>& weights, std::int64_t row) {
    return weights.empty() ? 1 : weights[row];
}

} // namespace

held_out_rows held_out_rows::validation(const data_source& data, double fraction, std::uint64_t seed) {
    std::vector<std::int32_t> fold_of(data.rows(), -1);
    for (const std::int64_t row : io::validation_rows(data, fraction, seed))
        fold_of[row] = 0;
    return {1, std::move(fold_of)};
}

held_out_rows held_out_rows::cross_validation(const data_source& data, std::int64_t folds, std::uint64_t seed) {
    const std::int64_t most = std::min<std::int64_t>(data.rows(), INT32_MAX);
    expects(folds >= 2 && folds <= most, [&] {
        return fmt::format("folds = {}: expected 2 to {}, the rows of {}", folds, most, data.description());
    });
    std::vector<std::int32_t> fold_of(data.rows());
    for (std::int64_t run = 0; run * folds < data.rows(); ++run) {
        const kernels::shuffle_order order = deal(seed, run, folds);
        const std::int64_t end = std::min(data.rows(), (run + 1) * folds);
        for (std::int64_t row = run * folds; row < end; ++row)
            fold_of[row] = static_cast<std::int32_t>(kernels::shuffled(order, row - run * folds));
    }
    return {folds, std::move(fold_of)};
}

std::vector<double> held_out_rows::training_weights(const std::vector<double>& weights, std::int64_t fold) const {
    std::vector<double> result(fold_of_.size());
    for (std::size_t i = 0; i < result.size(); ++i)
        result[i] = holds_out(fold, i) ? 0 : weight_of(weights, i);
    return result;
}

void held_out_rows::require_weight(const std::vector<double>& weights) const {
    std::vector<double> held_out(folds_, 0);
    double total = 0;
    for (std::size_t i = 0; i < fold_of_.size(); ++i) {
        total += weight_of(weights, i);
        if (fold_of_[i] >= 0)
            held_out[fold_of_[i]] += weight_of(weights, i);
    }
    for (std::int64_t fold = 0; fold < folds_; ++fold)
        expects(held_out[fold] > 0 && held_out[fold] < total, [&] {
            return fmt::format("{} of {} sets of held-out rows has weight {} of {}: expected some, and some for "
                               "training; give fewer folds, another share or another seed",
                               fold, folds_, held_out[fold], total);
        });
}

held_out_moments held_out_rows::score(const context& ctx, const model& m, const data_source& data,
                                      const std::vector<double>& weights, std::int64_t fold) const {
    held_out_moments all;
    infer(ctx, m, data, false, [&](const inference_batch& batch) {
        for (std::int64_t i = 0; i < batch.rows; ++i) {
            const std::int64_t row = batch.first_row + i;
            if (!holds_out(fold, row) || !(weight_of(weights, row) > 0))
                continue;
            if (!std::isfinite(batch.log_density[i]))
                throw error(fmt::format("held-out row {} has log-density {} under the model: expected a finite number",
                                        row, batch.log_density[i]));
            add(all, weight_of(weights, row), batch.log_density[i]);
        }
    });
    return all;
}

} // namespace elbo::gmm
