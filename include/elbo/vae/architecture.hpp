// What a variational autoencoder is made of: layers, likelihood, latent space.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace elbo::vae {

/// f in y = f(x W + b).
enum class activation {
    identity,
    tanh,
    relu,
    gelu, ///< x Φ(x), with the error function (Hendrycks and Gimpel, arXiv 1606.08415)
    silu, ///< x / (1 + e^-x)
    softplus
};
std::string_view to_string(activation f);
activation activation_from_string(std::string_view name); ///< throws invalid_argument

/// p(x | z, θ).
enum class likelihood_family {
    bernoulli,        ///< x in [0, 1], the decoder gives logits; grey values count as means
    gaussian,         ///< x real, the decoder gives means
    categorical,      ///< blocks of one-hot variables, the decoder gives logits
    poisson,          ///< x = 0, 1, 2, ...; the decoder gives what the mean comes from
    negative_binomial ///< the same with the variance μ + μ²/θ
};
std::string_view to_string(likelihood_family l);
likelihood_family likelihood_from_string(std::string_view name); ///< throws invalid_argument

/// Where the parameter of a likelihood itself comes from: σ of gaussian, θ of negative_binomial.
enum class parameter_source {
    fixed,                 ///< given
    learned,               ///< one, by gradient ascent on ln σ² or ln θ
    learned_per_dimension, ///< one a dimension, the same way
    /// σ² = mean squared error of the training rows, which maximises the ELBO in closed form (Rybkin et al., arXiv
    /// 2006.13202). A step of training goes by the last 1,024 rows (or all, where there are fewer), so that the scale
    /// does not depend on the size of the batch; what an epoch reports and the validation data are under the one σ of
    /// all its rows; the returned model has that of its own parameters. For the importance objective, too, it is the
    /// maximiser of the ELBO; a learned scale is that of the objective.
    optimal
};
using gaussian_scale = parameter_source;
std::string_view to_string(parameter_source s);
parameter_source gaussian_scale_from_string(std::string_view name); ///< throws invalid_argument

/// The mean of a count from what the decoder puts out.
enum class count_mean {
    softplus,   ///< ln(1 + e^a)
    exponential ///< e^a
};
std::string_view to_string(count_mean m);
count_mean count_mean_from_string(std::string_view name); ///< throws invalid_argument

struct likelihood {
    likelihood_family family = likelihood_family::bernoulli;
    gaussian_scale scale = gaussian_scale::fixed;
    double sigma = 1;                      ///< gaussian: σ, or where a learned one begins
    std::vector<std::int64_t> blocks = {}; ///< categorical: sizes of the one-hot blocks, adding up to the dimensions
    vae::count_mean count_mean = vae::count_mean::softplus;
    /// Of counts: the mean is that times the sum of the row, the library size of a cell or the length of a document.
    /// Where there is no row (decode, sample, interpolate) it is that of a row whose sum is 1, or as is said there.
    bool library_size = false;
    parameter_source dispersion = parameter_source::learned_per_dimension; ///< negative_binomial: not optimal
    double theta = 1; ///< negative_binomial: θ, or where a learned one begins; Poisson for θ → ∞

    bool operator==(const likelihood&) const = default;
};

/// How z becomes the parameters of the likelihood.
enum class decoder_kind {
    network, ///< multi-layer perceptron
    sphere ///< g(z) = r z/‖z‖ + m, r and m learned (docs/theory.md section 2); needs latent = dimensions and gaussian
};
std::string_view to_string(decoder_kind k);
decoder_kind decoder_kind_from_string(std::string_view name); ///< throws invalid_argument

/// What the encoder sees of a row.
enum class encoder_input {
    identity,
    log1p ///< ln(1 + x), for counts
};
std::string_view to_string(encoder_input i);
encoder_input encoder_input_from_string(std::string_view name); ///< throws invalid_argument

/// ln σ² of q(z|x) is latent_log_variance_limit · tanh(a / latent_log_variance_limit) of what the encoder puts out, so
/// that neither σ² nor 1/σ² overflows.
inline constexpr double latent_log_variance_limit = 15;

/// A network as a value. Encoder: dimensions → encoder... → (μ, ln σ²) of `latent` units each. Decoder: latent →
/// decoder... → dimensions. Empty lists of widths make linear maps.
struct architecture {
    std::int64_t dimensions = 0;
    std::int64_t latent = 2;
    std::vector<std::int64_t> encoder = {400}; ///< widths of the hidden layers
    std::vector<std::int64_t> decoder = {400};
    activation hidden = activation::tanh; ///< of all hidden layers
    vae::likelihood likelihood = {};
    decoder_kind decoder_form = decoder_kind::network;
    vae::encoder_input encoder_input = vae::encoder_input::identity;
    /// Of the data, [dimensions] or empty: train takes them from there. They play no part in comparisons.
    std::vector<std::string> column_names = {};

    /// Numbers that training changes, those of the likelihood included.
    std::int64_t parameters() const;
    /// Floating-point operations of one training sample: forward pass, backward pass, no gradient of the input.
    double training_flops_per_sample(std::int64_t samples = 1) const;
    /// Bytes of parameters, optimiser state and activations of a training step in float32.
    std::int64_t training_bytes(std::int64_t batch, std::int64_t samples = 1) const;
    /// A table for people: layers with sizes, parameters, FLOPs a sample, memory of a step.
    std::string summary(std::int64_t batch = 128) const;
    /// Throws invalid_argument that names the field, its value and what was expected.
    void check() const;

    bool operator==(const architecture& other) const;
};

} // namespace elbo::vae
