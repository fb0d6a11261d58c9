// What an engine of variational autoencoders computes for a case, and how far two engines may differ.
//
// Backward error: a sum of n products in floating point is the exact sum with each factor moved by about u √n relative
// (the random-walk form of γ_n; Higham and Mary, SIAM J. Sci. Comput. 41, 2019), and rounding of activations, noise
// and intermediate results moves pre-activations by a few u of their size. So what a back end computes is what the
// reference computes for parameters moved by that much; the reference itself, run with several random movements of
// the parameters, tells how far each group of results then goes. Four times the largest movement of a group, plus a
// floor for the last sums and for the rounding of results to float32, is the bound.
#pragma once

#include "tests/support/vae_networks.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <span>

namespace elbo::test {

/// One network with rows, and what is asked of it.
struct vae_case {
    vae::architecture architecture;
    std::int64_t rows = 1;
    kernels::vae_settings settings = {};
    double beta = 1;
    values kind = values::real;
    element_type type = element_type::float32;
    std::int64_t first_row = 5;
    std::int64_t epoch = 3;
};

inline std::string describe(const vae_case& c) {
    return describe(c.architecture) + " B=" + std::to_string(c.rows) + " " + describe(c.settings) +
           " beta=" + std::to_string(c.beta) + (c.type == element_type::float32 ? "" : " float64") +
           " precision=" + std::to_string(static_cast<int>(c.settings.precision));
}

/// Rows of a case in a matrix with a gap behind each row.
struct vae_matrix {
    std::int64_t rows, cols, stride;
    std::vector<float> x32;
    std::vector<double> x64;
    element_type type;

    explicit vae_matrix(const vae_case& c, std::int64_t gap = 3)
        : vae_matrix(network_rows(c.architecture, c.rows, c.kind, 42), c.architecture.dimensions, c.type, gap) {}
    vae_matrix(const std::vector<float>& x, std::int64_t width, element_type t, std::int64_t gap)
        : rows(static_cast<std::int64_t>(x.size()) / width), cols(width), stride(width + gap),
          x32(rows * stride, std::nanf("")), type(t) {
        for (std::int64_t n = 0; n < rows; ++n)
            std::copy_n(x.begin() + n * cols, cols, x32.begin() + n * stride);
        x64.assign(x32.begin(), x32.end());
    }
    any_matrix_view view() const {
        if (type == element_type::float32)
            return matrix_view<const float>(x32.data(), rows, cols, stride, memory_space::host);
        return matrix_view<const double>(x64.data(), rows, cols, stride, memory_space::host);
    }
    kernels::vae_rows given(std::int64_t first_row) const { return {view(), 0, 0, rows, first_row}; }
};

/// Results of one kind. `terms` is how many numbers are added up for each, `scale` what their size is multiplied with.
struct observation {
    std::string name;
    std::vector<double> values;
    double terms = 1;
    double scale = 1;
};

inline std::vector<double> widened(const std::vector<float>& v) {
    return {v.begin(), v.end()};
}

/// Everything that inference gives.
inline std::vector<observation> observe_evaluation(kernels::vae_engine& engine, const vae_case& c,
                                                   const kernels::vae_rows& rows) {
    const std::int64_t latent = c.architecture.latent, d = c.architecture.dimensions, n = rows.rows;
    const auto terms = static_cast<double>(d);
    std::vector<double> reconstruction(n), kl(n), error(n), bound(n), effective(n);
    std::vector<float> mean(n * latent), log_variance(n * latent), mean2(n * latent), log_variance2(n * latent);
    const std::int64_t S = c.settings.samples;
    engine.evaluate(rows, S, c.settings.binarize, 17,
                    {reconstruction.data(), kl.data(), error.data(), mean.data(), log_variance.data()});
    engine.importance(rows, S, c.settings.binarize, 17, bound.data(), effective.data());
    // A weight is off by as much, relative, as its logarithm is, absolute.
    const double log_weight = 1 + std::abs(*std::ranges::min_element(bound));
    std::vector<observation> result = {{"reconstruction", reconstruction, terms},
                                       {"kl", kl, static_cast<double>(latent)},
                                       {"squared error", error, terms},
                                       {"importance bound", bound, terms},
                                       {"effective samples", effective, terms, log_weight},
                                       {"mean", widened(mean)},
                                       {"log variance", widened(log_variance)}};
    if (!c.settings.binarize) {
        engine.encode(rows, {mean2.data(), n, latent}, {log_variance2.data(), n, latent});
        result.push_back({"encoded mean", widened(mean2)});
        result.push_back({"encoded log variance", widened(log_variance2)});
    }
    const auto z =
        network_rows(make_architecture(latent, 1, {}, vae::activation::identity, gaussian(vae::gaussian_scale::fixed)),
                     n, values::real, 5);
    const vae_matrix z_matrix(z, latent, c.type, 2);
    std::vector<float> decoded(n * d);
    engine.decode(z_matrix.view(), {decoded.data(), n, d});
    result.push_back({"decoded", widened(decoded)});
    return result;
}

/// The parts of the flat vector: each weight matrix, each bias, and so on.
inline std::vector<std::pair<std::int64_t, std::int64_t>> tensors(const kernels::vae_layout& layout) {
    std::vector<std::int64_t> edges = {0, layout.parameters};
    for (const auto* layers : {&layout.encoder, &layout.decoder})
        for (const kernels::dense_layer& layer : *layers)
            edges.insert(edges.end(), {layer.weights, layer.bias});
    for (std::int64_t edge : {layout.sphere_radius, layout.sphere_centre, layout.own})
        if (edge >= 0)
            edges.push_back(edge);
    std::ranges::sort(edges);
    std::vector<std::pair<std::int64_t, std::int64_t>> result;
    for (std::size_t i = 0; i + 1 < edges.size(); ++i)
        if (edges[i] < edges[i + 1])
            result.emplace_back(edges[i], edges[i + 1]);
    return result;
}

/// Record and gradient of a training batch.
inline std::vector<observation> observe_gradient(kernels::vae_engine& engine, const vae_case& c,
                                                 const kernels::vae_rows& rows) {
    std::vector<double> g;
    const kernels::step_record r = engine.gradient(c.settings, c.beta, c.epoch, rows, g);
    const auto n = static_cast<double>(rows.rows), terms = static_cast<double>(c.architecture.dimensions);
    EXPECT_EQ(r.rows, rows.rows);
    EXPECT_EQ(r.not_finite, kernels::step_record::term::none);
    // The norm belongs to the gradient that was returned: float64 sums of what may be float32 numbers.
    double squares = 0;
    for (double value : g)
        squares += value * value;
    EXPECT_NEAR(r.gradient_norm, std::sqrt(squares), 1e-7 * std::sqrt(squares));
    // In one group, since all are of the size of a reconstruction term.
    std::vector<observation> result = {
        {"record",
         {r.reconstruction / n, r.kl / n, r.objective / n, r.squared_error / n, r.weighted_squared_error / n},
         terms},
        {"running scale", {r.scale.squared_error / n, r.scale.rows / n}, terms}};
    const double sums = std::max({n * static_cast<double>(c.settings.samples), terms});
    for (const auto& [first, last] : tensors(engine.layout))
        result.push_back({"gradient " + std::to_string(first), {g.begin() + first, g.begin() + last}, sums});
    return result;
}

/// Unit roundoff of the factors of products.
inline double factor_roundoff(vae::training_precision p) {
    switch (p) {
    case vae::training_precision::tf32:
        return 0x1p-11;
    case vae::training_precision::bfloat16:
        return 0x1p-8;
    case vae::training_precision::float32:
        return 0x1p-24;
    }
    return 0x1p-24;
}

/// Parameters moved at random by what rounding amounts to.
inline std::vector<double> moved(const kernels::vae_layout& layout, std::vector<double> p, double factor_u,
                                 std::uint64_t seed) {
    const auto move = [&](std::int64_t first, std::int64_t last, double relative, double least) {
        for (std::int64_t i = first; i < last; ++i)
            p[i] += (uniform(seed, i) < 0.5 ? -1 : 1) * relative * std::max(std::abs(p[i]), least);
    };
    for (const auto* layers : {&layout.encoder, &layout.decoder})
        for (const kernels::dense_layer& layer : *layers) {
            const double sums = 4 * 0x1p-24 * std::sqrt(static_cast<double>(layer.inputs + 1));
            move(layer.weights, layer.bias, 2 * factor_u + sums, 0);
            move(layer.bias, layer.bias + layer.outputs, sums, 1);
        }
    if (layout.sphere_radius >= 0)
        move(layout.sphere_radius, layout.sphere_centre + layout.architecture.dimensions, 8 * 0x1p-24, 1);
    if (layout.own >= 0)
        move(layout.own, layout.own + layout.own_count, 8 * 0x1p-24, 1);
    return p;
}

/// Compares each group of `got` with `want`, given what the reference says of moved parameters. `parameters_u`:
/// roundoff of the numbers that products are made of.
inline void expect_close(std::span<const observation> got, std::span<const observation> want,
                         const std::vector<std::vector<observation>>& of_moved, double factor_u) {
    ASSERT_EQ(got.size(), want.size());
    for (std::size_t k = 0; k < want.size(); ++k) {
        double size = 0, distance = 0, worst = 0;
        std::size_t at = 0;
        ASSERT_EQ(got[k].values.size(), want[k].values.size()) << want[k].name;
        for (std::size_t i = 0; i < want[k].values.size(); ++i) {
            size = std::max(size, std::abs(want[k].values[i]));
            for (const auto& other : of_moved)
                distance = std::max(distance, std::abs(other[k].values[i] - want[k].values[i]));
            const double error = std::abs(got[k].values[i] - want[k].values[i]);
            if (!(error <= worst) && !std::isnan(worst)) {
                worst = error;
                at = i;
            }
        }
        const double floor = 8 * (factor_u + 0x1p-24 * std::sqrt(want[k].terms)) * want[k].scale * size + 8 * 0x1p-24;
        const double bound = 4 * distance + floor;
        EXPECT_LE(worst, bound) << want[k].name << '[' << at << "]: got " << got[k].values[at] << ", want "
                                << want[k].values[at] << ", error/bound " << worst / bound;
    }
}

/// Runs `observe` on an engine, on the reference and on the reference with moved parameters, and compares.
template <class Observe>
void expect_matches_reference(kernels::vae_engine& engine, const std::vector<double>& parameters, double factor_u,
                              const Observe& observe) {
    const auto reference = kernels::make_vae_engine(context::reference(), engine.layout);
    engine.set_parameters(parameters);
    reference->set_parameters(parameters);
    const std::vector<observation> got = observe(engine), want = observe(*reference);
    std::vector<std::vector<observation>> of_moved;
    for (std::uint64_t k = 0; k < 4; ++k) {
        reference->set_parameters(moved(engine.layout, parameters, factor_u, 1000 + k));
        of_moved.push_back(observe(*reference));
    }
    expect_close(got, want, of_moved, factor_u);
}

} // namespace elbo::test
