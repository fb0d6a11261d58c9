// The rows that a sweep holds out, and what a model says about them.
#pragma once

#include "elbo/context.hpp"
#include "elbo/data_source.hpp"
#include "elbo/gmm/model.hpp"

#include <algorithm>
#include <cstdint>
#include <optional>
#include <vector>

namespace elbo::gmm {

/// Mean and spread of the log-densities of some rows, with their weights.
struct held_out_moments {
    double weight = 0, mean = 0;
    double square = 0; ///< Σ w (l − mean)²
};

/// Which rows are held out: a pure function of the number of rows, the seed and the options.
class held_out_rows {
public:
    /// One set, of about `fraction` of the rows. Throws invalid_argument unless each part has a row.
    static held_out_rows validation(const data_source& data, double fraction, std::uint64_t seed);
    /// Each row in one of `folds` sets. Throws invalid_argument unless 2 ≤ folds ≤ rows.
    static held_out_rows cross_validation(const data_source& data, std::int64_t folds, std::uint64_t seed);

    /// The number of folds of these options for so many rows.
    static std::int64_t folds_of(std::optional<std::int64_t> folds, std::int64_t rows) {
        return folds.value_or(std::clamp<std::int64_t>(rows, 2, 5));
    }

    std::int64_t folds() const { return folds_; }
    /// The weights (empty: all 1) with zeros for the rows of a fold, [n].
    std::vector<double> training_weights(const std::vector<double>& weights, std::int64_t fold) const;
    /// Throws invalid_argument unless each fold and its complement have a row of positive weight.
    void require_weight(const std::vector<double>& weights) const;
    /// Log-density of the rows of a fold. Throws error where one is not finite.
    held_out_moments score(const context& ctx, const model& m, const data_source& data,
                           const std::vector<double>& weights, std::int64_t fold) const;

private:
    held_out_rows(std::int64_t folds, std::vector<std::int32_t> fold_of)
        : folds_(folds), fold_of_(std::move(fold_of)) {}
    bool holds_out(std::int64_t fold, std::int64_t row) const { return fold_of_[row] == fold; }

    std::int64_t folds_;
    std::vector<std::int32_t> fold_of_; ///< −1: never held out
};

} // namespace elbo::gmm
