// Fields of an architecture. Files keep them flat: what kind of likelihood it is has the name "likelihood".
#pragma once

#include "elbo/vae/architecture.hpp"
#include "host/fields.hpp"
#include "host/vae/model/names.hpp"

namespace elbo {

/// Widths of layers: the products of two stay far from 2^63.
inline constexpr rule layer_width = between(1, 0x1p24);

template <>
inline constexpr auto fields<vae::likelihood> = [] {
    using s = vae::likelihood;
    return table<s>(
        field{"likelihood", &s::family, "p(x|z): bernoulli, gaussian, categorical, poisson or negative_binomial"},
        field{"scale", &s::scale, "sigma of the gaussian likelihood: fixed, learned, learned_per_dimension or optimal"},
        // Twice the logarithm must be a float32 with a finite reciprocal of its exponential.
        field{"sigma", &s::sigma, between(1e-15, 1e15, "a positive number from 1e-15 to 1e15"),
              "gaussian: sigma, or where a learned one begins"},
        field{"blocks", &s::blocks, layer_width, "categorical: sizes of the one-hot blocks; one size is repeated"},
        field{"count_mean", &s::count_mean, "counts: mean from what the decoder puts out, softplus or exp"}.later(),
        field{"library_size", &s::library_size, "counts: the mean is that times the sum of the row"}.later(),
        field{"dispersion", &s::dispersion, "theta of negative_binomial: fixed, learned or learned_per_dimension"}
            .later(),
        field{"theta", &s::theta, between(1e-7, 1e17, "a number from 1e-7 to 1e17"),
              "negative_binomial: theta, or where a learned one begins"}
            .later());
}();

template <>
inline constexpr auto fields<vae::architecture> = [] {
    using s = vae::architecture;
    return table<s>(
        field{"dimensions", &s::dimensions, layer_width, "Columns of the data"},
        field{"latent", &s::latent, layer_width, "Latent units (default: 2; for a sphere the columns)"},
        field{"encoder", &s::encoder, layer_width, "Widths of the hidden layers, or none"},
        field{"decoder", &s::decoder, layer_width, "The same (default: those of the encoder backwards)"},
        field{"activation", &s::hidden, "tanh, relu, gelu, silu, softplus or identity"},
        field{"likelihood", &s::likelihood, "p(x|z)"},
        field{"decoder_form", &s::decoder_form, "network, or sphere: g(z) = r z/|z| + m"},
        field{"encoder_input", &s::encoder_input, "What the encoder sees: identity, or log1p (default for counts)"}
            .later(),
        field{"column_names", &s::column_names, "Names of the columns"}.later());
}();

} // namespace elbo
