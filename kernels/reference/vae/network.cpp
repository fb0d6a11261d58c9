#include "kernels/reference/vae/network.hpp"

#include "kernels/math/vae_activation.hpp"
#include "kernels/math/vae_latent.hpp"

#include <cmath>

namespace elbo::kernels::reference {

const std::vector<double>& forward(const std::vector<dense_layer>& layers, const std::vector<double>& parameters,
                                   const std::vector<double>& x, network_tape& tape) {
    tape.values.assign(1, x);
    tape.sums.clear();
    for (const dense_layer& layer : layers) {
        const std::vector<double>& input = tape.values.back();
        const double* bias = &parameters[layer.bias];
        std::vector<double> sum(bias, bias + layer.outputs);
        for (std::int64_t i = 0; i < layer.inputs; ++i)
            for (std::int64_t j = 0; j < layer.outputs; ++j)
                sum[j] += input[i] * parameters[layer.weights + i * layer.outputs + j];
        std::vector<double> output(layer.outputs);
        for (std::int64_t j = 0; j < layer.outputs; ++j)
            output[j] = activate(layer.form, sum[j]);
        tape.sums.push_back(std::move(sum));
        tape.values.push_back(std::move(output));
    }
    return tape.values.back();
}

std::vector<double> backward(const std::vector<dense_layer>& layers, const std::vector<double>& parameters,
                             const network_tape& tape, std::vector<double> output_gradient,
                             std::vector<double>& parameter_gradient) {
    std::vector<double> gradient = std::move(output_gradient);
    for (std::size_t l = layers.size(); l-- > 0;) {
        const dense_layer& layer = layers[l];
        const std::vector<double>& input = tape.values[l];
        const std::vector<double>& kept = slope_needs_input(layer.form) ? tape.sums[l] : tape.values[l + 1];
        for (std::int64_t j = 0; j < layer.outputs; ++j) {
            gradient[j] *= activation_slope(layer.form, kept[j]);
            parameter_gradient[layer.bias + j] += gradient[j];
        }
        std::vector<double> input_gradient(layer.inputs);
        for (std::int64_t i = 0; i < layer.inputs; ++i) {
            const std::int64_t row = layer.weights + i * layer.outputs;
            for (std::int64_t j = 0; j < layer.outputs; ++j) {
                parameter_gradient[row + j] += input[i] * gradient[j];
                input_gradient[i] += parameters[row + j] * gradient[j];
            }
        }
        gradient = std::move(input_gradient);
    }
    return gradient;
}

void decode(const vae_layout& layout, const std::vector<double>& parameters, const std::vector<double>& z,
            decoder_tape& tape) {
    if (layout.architecture.decoder_form == vae::decoder_kind::network) {
        tape.output = forward(layout.decoder, parameters, z, tape.network);
        return;
    }
    double squared_norm = 0;
    for (double value : z)
        squared_norm += value * value;
    tape.inverse_norm = sphere_inverse_norm(squared_norm);
    tape.direction.resize(z.size());
    tape.output.resize(z.size());
    for (std::size_t j = 0; j < z.size(); ++j) {
        tape.direction[j] = z[j] * tape.inverse_norm;
        tape.output[j] = parameters[layout.sphere_radius] * tape.direction[j] + parameters[layout.sphere_centre + j];
    }
}

std::vector<double> decode_backward(const vae_layout& layout, const std::vector<double>& parameters,
                                    const decoder_tape& tape, const std::vector<double>& output_gradient,
                                    std::vector<double>& parameter_gradient) {
    if (layout.architecture.decoder_form == vae::decoder_kind::network)
        return backward(layout.decoder, parameters, tape.network, output_gradient, parameter_gradient);
    double along = 0;
    for (std::size_t j = 0; j < output_gradient.size(); ++j) {
        along += output_gradient[j] * tape.direction[j];
        parameter_gradient[layout.sphere_centre + j] += output_gradient[j];
    }
    const double radius = parameters[layout.sphere_radius];
    parameter_gradient[layout.sphere_radius] += along;
    std::vector<double> latent(output_gradient.size());
    for (std::size_t j = 0; j < latent.size(); ++j)
        latent[j] = sphere_latent_gradient(radius, tape.inverse_norm, output_gradient[j], tape.direction[j], along);
    return latent;
}

posterior encode(const vae_layout& layout, const std::vector<double>& parameters, const std::vector<double>& x,
                 network_tape& tape) {
    const std::int64_t latent = layout.architecture.latent;
    std::vector<double> input = x;
    if (layout.architecture.encoder_input == vae::encoder_input::log1p)
        for (double& value : input)
            value = std::log1p(value);
    const std::vector<double>& output = forward(layout.encoder, parameters, input, tape);
    posterior q{std::vector<double>(output.begin(), output.begin() + latent), std::vector<double>(latent)};
    for (std::int64_t l = 0; l < latent; ++l)
        q.log_variance[l] = bounded_log_variance(output[latent + l]);
    return q;
}

} // namespace elbo::kernels::reference
