// Seeded networks and rows for the tests of variational autoencoders.
#pragma once

#include "kernels/contract/vae_engine.hpp"
#include "kernels/math/likelihood/families.hpp"
#include "tests/support/data.hpp"

#include <cmath>
#include <cstdint>
#include <memory>
#include <string>
#include <vector>

namespace elbo::test {

inline vae::architecture make_architecture(std::int64_t d, std::int64_t latent, const std::vector<std::int64_t>& hidden,
                                           vae::activation f, const vae::likelihood& form = {}) {
    vae::architecture a;
    a.dimensions = d;
    a.latent = latent;
    a.encoder = hidden;
    a.decoder = {hidden.rbegin(), hidden.rend()};
    a.hidden = f;
    a.likelihood = form;
    if (form.library_size)
        a.encoder_input = vae::encoder_input::log1p;
    return a;
}

/// One-hot blocks of 3, with what is left over in the last.
inline vae::likelihood categorical(std::int64_t d) {
    vae::likelihood form{.family = vae::likelihood_family::categorical};
    for (std::int64_t left = d; left > 0; left -= form.blocks.back())
        form.blocks.push_back(left < 6 ? left : 3);
    return form;
}

/// A gaussian likelihood of each kind; σ = 0.7.
inline vae::likelihood gaussian(vae::gaussian_scale scale) {
    return {.family = vae::likelihood_family::gaussian, .scale = scale, .sigma = 0.7};
}

/// A likelihood of counts; with exponential means also times the sum of the row.
inline vae::likelihood counts(vae::likelihood_family family, vae::count_mean mean) {
    const bool rate = mean == vae::count_mean::exponential;
    return {.family = family,
            .count_mean = mean,
            .library_size = rate,
            .dispersion = family == vae::likelihood_family::poisson || !rate
                              ? vae::parameter_source::learned_per_dimension
                              : vae::parameter_source::learned};
}

constexpr vae::activation all_activations[] = {vae::activation::identity, vae::activation::tanh,
                                               vae::activation::relu,     vae::activation::gelu,
                                               vae::activation::silu,     vae::activation::softplus};

inline std::vector<vae::likelihood> all_likelihoods(std::int64_t d) {
    return {{},
            gaussian(vae::gaussian_scale::fixed),
            gaussian(vae::gaussian_scale::learned),
            gaussian(vae::gaussian_scale::learned_per_dimension),
            gaussian(vae::gaussian_scale::optimal),
            categorical(d),
            counts(vae::likelihood_family::poisson, vae::count_mean::softplus),
            counts(vae::likelihood_family::poisson, vae::count_mean::exponential),
            counts(vae::likelihood_family::negative_binomial, vae::count_mean::softplus),
            counts(vae::likelihood_family::negative_binomial, vae::count_mean::exponential)};
}

/// An objective with an estimator that fits it.
struct estimate {
    vae::objective objective;
    vae::gradient_estimator estimator;
};
constexpr estimate all_estimates[] = {{vae::objective::elbo, vae::gradient_estimator::standard},
                                      {vae::objective::elbo, vae::gradient_estimator::sticking_the_landing},
                                      {vae::objective::importance, vae::gradient_estimator::standard},
                                      {vae::objective::importance, vae::gradient_estimator::sticking_the_landing},
                                      {vae::objective::importance, vae::gradient_estimator::doubly_reparameterized}};

/// The reference engine with parameters.
inline std::unique_ptr<kernels::vae_engine> reference_engine(const vae::architecture& a,
                                                             const std::vector<double>& parameters) {
    auto engine = kernels::make_vae_engine(context::reference(), kernels::make_layout(a));
    engine->set_parameters(parameters);
    return engine;
}

/// Rows of d numbers in host memory.
template <class T>
kernels::vae_rows given_rows(const std::vector<T>& x, std::int64_t d, std::int64_t first_row = 0) {
    const auto rows = static_cast<std::int64_t>(x.size()) / d;
    return {matrix_view<const T>(x.data(), rows, d), 0, 0, rows, first_row};
}

/// Parameters of order one: weights of spread 1/√inputs, so that activations are neither dead nor saturated. Rounded to
/// float32, so that every back end takes the same numbers.
inline std::vector<double> network_parameters(const kernels::vae_layout& layout, std::uint64_t seed) {
    std::vector<double> p(layout.parameters);
    for (std::int64_t i = 0; i < layout.parameters; ++i)
        p[i] = static_cast<float>(0.3 * normal(seed, i));
    for (const auto* layers : {&layout.encoder, &layout.decoder})
        for (const kernels::dense_layer& layer : *layers)
            for (std::int64_t i = layer.weights; i < layer.bias; ++i)
                p[i] = static_cast<float>(normal(seed, i) / std::sqrt(static_cast<double>(layer.inputs)));
    if (layout.sphere_radius >= 0)
        p[layout.sphere_radius] = 1.5;
    return p;
}

enum class values { bits, bytes, real };

/// Rows that a likelihood allows: one-hot blocks, bits or grey values for bernoulli, normals for gaussian (or bits and
/// grey values there, too), counts of 0 to 4.
inline std::vector<float> network_rows(const vae::architecture& a, std::int64_t rows, values kind, std::uint64_t seed) {
    const std::int64_t d = a.dimensions;
    std::vector<float> x(rows * d, 0.0f);
    if (a.likelihood.family == vae::likelihood_family::categorical) {
        for (std::int64_t n = 0; n < rows; ++n) {
            std::int64_t first = 0;
            for (std::int64_t size : a.likelihood.blocks) {
                const double u = uniform(seed, n * d + first);
                x[n * d + first + static_cast<std::int64_t>(u * static_cast<double>(size))] = 1;
                first += size;
            }
        }
        return x;
    }
    for (std::int64_t i = 0; i < rows * d; ++i) {
        const double u = uniform(seed, i);
        if (kernels::facts_of(a.likelihood.family).counts)
            x[i] = std::floor(static_cast<float>(5 * u * u));
        else if (kind == values::bits)
            x[i] = u < 0.4 ? 1.0f : 0.0f;
        else if (kind == values::bytes)
            x[i] = std::floor(static_cast<float>(u * 256)) / 255.0f;
        else
            x[i] = static_cast<float>(a.likelihood.family == vae::likelihood_family::bernoulli ? u : normal(seed, i));
    }
    return x;
}

inline std::string describe(const vae::architecture& a) {
    std::string text = "d=" + std::to_string(a.dimensions) + " latent=" + std::to_string(a.latent) + " hidden=";
    for (std::int64_t width : a.encoder)
        text += std::to_string(width) + ",";
    text += " activation=" + std::to_string(static_cast<int>(a.hidden));
    text += " likelihood=" + std::to_string(static_cast<int>(a.likelihood.family));
    text += " scale=" + std::to_string(static_cast<int>(a.likelihood.scale));
    return text + (a.decoder_form == vae::decoder_kind::sphere ? " sphere" : "");
}

inline std::string describe(const kernels::vae_settings& s) {
    return std::string(s.objective == vae::objective::elbo ? "elbo" : "importance") +
           " estimator=" + std::to_string(static_cast<int>(s.estimator)) + " S=" + std::to_string(s.samples) +
           " free=" + std::to_string(s.free_bits) + (s.binarize ? " binarize" : "");
}

} // namespace elbo::test
