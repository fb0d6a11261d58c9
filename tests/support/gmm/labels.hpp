// Rows of which something is known, as the tests of labels in engines take them.
#pragma once

#include "host/rows/row_feed.hpp"
#include "kernels/contract/gmm_engine.hpp"
#include "kernels/math/fixed_point.hpp"
#include "kernels/reference/gmm/engine.hpp"
#include "tests/support/data.hpp"
#include "tests/support/gmm/cases.hpp"

#include <gtest/gtest.h>

#include <cmath>
#include <cstdint>
#include <limits>
#include <memory>
#include <string>
#include <vector>

namespace elbo::test {

using label_kind = gmm::sample_labels::kind;
inline constexpr double infinity = std::numeric_limits<double>::infinity();

/// What is known in a case.
enum class knowledge { all_labels, some_labels, no_labels, factors };
inline constexpr knowledge all_knowledge[] = {knowledge::all_labels, knowledge::some_labels, knowledge::no_labels,
                                              knowledge::factors};

constexpr label_kind kind_of(knowledge k) {
    return k == knowledge::factors ? label_kind::factors : label_kind::labels;
}

struct labelled_case {
    kernels::gmm_shape shape;
    std::int64_t rows;
    knowledge known;
    bool weighted;
    element_type type;
};

inline std::string describe(const labelled_case& c) {
    constexpr const char* names[] = {"all labels", "some labels", "no labels", "factors"};
    return std::string(gmm::to_string(c.shape.family)) + " N=" + std::to_string(c.rows) +
           " d=" + std::to_string(c.shape.dimensions) + " K=" + std::to_string(c.shape.components) + " " +
           names[static_cast<int>(c.known)] + (c.weighted ? " weighted" : "") +
           (c.type == element_type::float32 ? " float32" : " float64");
}

/// Label of row n: any component, none for two rows of three where only some are known.
inline float label_of(knowledge known, std::int64_t n, std::int64_t components) {
    if (known == knowledge::no_labels || (known == knowledge::some_labels && n % 3 != 1))
        return -1;
    return static_cast<float>((7 * n + n / 11) % components);
}

/// π of row n: a third are zero, but never all; the others reach from 2^-20 to 2^4, or are 1 in every seventh row.
inline float factor_of(std::int64_t n, std::int64_t k, std::int64_t components) {
    if (n % 7 == 3)
        return 1;
    const std::int64_t at = n * components + k;
    return k != n % components && at % 3 == 0 ? 0 : static_cast<float>(std::exp2(24 * uniform(17, at) - 20));
}

/// Rows with labels and weights; float32 values in any precision, so that all engines see the same numbers.
struct labelled_rows {
    labelled_case c;
    std::vector<float> x32, labels;
    std::vector<double> x64, weights;
    std::vector<std::int32_t> whole; ///< the labels as the reference takes them
    std::vector<double> log_factors;

    explicit labelled_rows(const labelled_case& of)
        : c(of), x32(as<float>(clustered(of.rows, of.shape.dimensions, 3, 1.0, 11))), x64(x32.begin(), x32.end()) {
        if (c.weighted)
            weights = quarter_weights(c.rows);
        const std::int64_t columns = kernels::label_columns(kind_of(c.known), c.shape.components);
        for (std::int64_t n = 0; n < c.rows; ++n)
            for (std::int64_t j = 0; j < columns; ++j) {
                labels.push_back(c.known == knowledge::factors ? factor_of(n, j, c.shape.components)
                                                               : label_of(c.known, n, c.shape.components));
                if (c.known == knowledge::factors)
                    log_factors.push_back(std::log(static_cast<double>(labels.back())));
                else
                    whole.push_back(static_cast<std::int32_t>(labels.back()));
            }
    }
    kernels::input_rows input() const {
        kernels::input_rows in{matrix_view<const float>(x32.data(), c.rows, c.shape.dimensions), {}, 1};
        if (c.type == element_type::float64)
            in.x = matrix_view<const double>(x64.data(), c.rows, c.shape.dimensions);
        if (c.weighted)
            in.weights = matrix_view<const double>(weights.data(), c.rows, 1);
        in.labels = matrix_view<const float>(labels.data(), c.rows,
                                             kernels::label_columns(kind_of(c.known), c.shape.components));
        in.label_kind = kind_of(c.known);
        return in;
    }
    kernels::reference::row_labels known() const {
        return {whole.empty() ? nullptr : whole.data(), log_factors.empty() ? nullptr : log_factors.data()};
    }
    double weight(std::int64_t n) const { return c.weighted ? weights[n] : 1; }
    double log_factor(std::int64_t n, std::int64_t k) const {
        if (c.known == knowledge::factors)
            return log_factors[n * c.shape.components + k];
        return whole[n] < 0 || whole[n] == k ? 0 : -infinity;
    }
};

inline void load(kernels::gmm_engine& engine, const labelled_rows& data) {
    engine.reserve(data.c.rows, data.c.weighted, kind_of(data.c.known));
    engine.load(data.input(), identity_frame(data.c.shape.dimensions), 0);
}

inline std::unique_ptr<kernels::gmm_engine> loaded_engine(const context& ctx, const labelled_rows& data) {
    auto engine = gmm::make_engine(ctx, data.c.shape, gmm::compute_precision::automatic, data.c.type);
    load(*engine, data);
    return engine;
}

inline void accumulate(kernels::gmm_engine& engine, std::int64_t rows) {
    engine.clear_sums(0x1p40, 0x1p60);
    engine.accumulate(0, rows);
}

/// What infer gives.
struct inferred {
    std::vector<double> density, r, joint;
    std::vector<std::int32_t> label;
    inferred(kernels::gmm_engine& engine, std::int64_t rows)
        : density(rows), r(rows * engine.shape.components), joint(rows * engine.shape.components), label(rows) {
        const std::int64_t k = engine.shape.components;
        engine.infer(
            0, rows,
            {{density.data(), rows, 1}, {r.data(), rows, k}, {label.data(), rows, 1}, {joint.data(), rows, k}});
    }
};

inline void expect_within(double got, double want, double bound, const std::string& what) {
    EXPECT_LE(std::abs(got - want), bound)
        << what << ": got " << got << ", want " << want << ", error/bound " << std::abs(got - want) / bound;
}

} // namespace elbo::test
