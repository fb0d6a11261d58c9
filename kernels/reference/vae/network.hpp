// Multi-layer perceptrons and decoders of the reference back end, one row at a time.
#pragma once

#include "kernels/contract/vae_layout.hpp"

#include <vector>

namespace elbo::kernels::reference {

/// What the backward pass of a network needs of the forward pass.
struct network_tape {
    std::vector<std::vector<double>> values; ///< input of the network, then the output of each layer
    std::vector<std::vector<double>> sums;   ///< x W + b of each layer
};

/// y = f(x W + b), layer after layer; returns the last output.
const std::vector<double>& forward(const std::vector<dense_layer>& layers, const std::vector<double>& parameters,
                                   const std::vector<double>& x, network_tape& tape);

/// Adds the gradient of the parameters to `parameter_gradient` and returns that of the input, given that of the output.
std::vector<double> backward(const std::vector<dense_layer>& layers, const std::vector<double>& parameters,
                             const network_tape& tape, std::vector<double> output_gradient,
                             std::vector<double>& parameter_gradient);

/// The same for a decoder of either kind. A sphere keeps u = z/‖z‖ and 1/‖z‖.
struct decoder_tape {
    network_tape network;
    std::vector<double> direction;
    double inverse_norm = 0;
    std::vector<double> output; ///< parameters of p(x|z) [d]: logits or means
};
void decode(const vae_layout& layout, const std::vector<double>& parameters, const std::vector<double>& z,
            decoder_tape& tape);
std::vector<double> decode_backward(const vae_layout& layout, const std::vector<double>& parameters,
                                    const decoder_tape& tape, const std::vector<double>& output_gradient,
                                    std::vector<double>& parameter_gradient);

/// q(z|x) of one row.
struct posterior {
    std::vector<double> mean, log_variance; ///< [latent]
};
posterior encode(const vae_layout& layout, const std::vector<double>& parameters, const std::vector<double>& x,
                 network_tape& tape);

} // namespace elbo::kernels::reference
