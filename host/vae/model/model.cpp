// Networks as values: where training begins, and files as .safetensors (tensors, description in the metadata) and as
// .json (for reading by eye).
//
// JSON: {"format": "elbo.vae", "version": 1, "architecture": {...}, "parameters": {"encoder.0.weight": [in][out], ...}}
// The metadata of .safetensors hold format, version and the architecture as JSON text.
#include "elbo/vae/model.hpp"

#include "host/check.hpp"
#include "host/vae/fields.hpp"
#include "host/vae/model/model_file.hpp"
#include "kernels/contract/vae_layout.hpp"
#include "kernels/math/likelihood/families.hpp"
#include "kernels/math/vae_activation.hpp"
#include "kernels/math/vae_random.hpp"

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <fmt/format.h>
#include <numeric>
#include <vector>

namespace elbo::vae {

using namespace kernels;

namespace {

double uniform_limit(const dense_layer& layer) {
    const bool he = layer.form == activation::relu || layer.form == activation::gelu || layer.form == activation::silu;
    return std::sqrt(6.0 / static_cast<double>(he ? layer.inputs : layer.inputs + layer.outputs));
}

void draw_weights(const dense_layer& layer, std::uint64_t seed, std::uint32_t number, double* parameters) {
    const noise_key key = make_noise_key(seed, noise_purpose::initialization, 0, number);
    const double limit = uniform_limit(layer);
    for (std::int64_t i = 0; i < layer.inputs; ++i)
        for (std::int64_t j = 0; j < layer.outputs; ++j) {
            const philox_block words =
                noise_words(key, static_cast<std::uint64_t>(i), 0, static_cast<std::uint32_t>(j / 4));
            const double centred = (words.word[j % 4] + 0.5) * 0x1p-31 - 1; // in (−1, 1)
            parameters[layer.weights + i * layer.outputs + j] = static_cast<float>(limit * centred);
        }
}

/// The decoder's output [d] at z = 0 with the parameters so far; softplus is not 0 at 0, so neither is this always.
std::vector<double> output_at_origin(const vae_layout& layout, const double* parameters) {
    std::vector<double> values(layout.architecture.latent, 0.0);
    for (const dense_layer& layer : layout.decoder) {
        std::vector<double> next(parameters + layer.bias, parameters + layer.bias + layer.outputs);
        for (std::int64_t i = 0; i < layer.inputs; ++i)
            for (std::int64_t j = 0; j < layer.outputs; ++j)
                next[j] += values[i] * parameters[layer.weights + i * layer.outputs + j];
        for (double& v : next)
            v = activate(layer.form, v);
        values = std::move(next);
    }
    return values;
}

void set_output_bias(const vae_layout& layout, const std::vector<double>& data_mean, double* parameters) {
    const std::vector<double> without = output_at_origin(layout, parameters);
    double* bias = parameters + layout.decoder.back().bias;
    with_likelihood(layout.architecture.likelihood.family, [&](auto family) {
        const vae::likelihood& form = layout.architecture.likelihood;
        const double total = std::accumulate(data_mean.begin(), data_mean.end(), 0.0);
        for (std::size_t j = 0; j < data_mean.size(); ++j)
            bias[j] = static_cast<float>(family.output_for_mean(data_mean[j], form, total) - without[j]);
    });
}

/// Glorot-uniform weights (Glorot and Bengio 2010), He-uniform (He et al., arXiv 1502.01852) before ReLU, GELU and
/// SiLU, zero biases; with data_mean [d] the output bias gives that mean where z = 0. All are float32 numbers, so that
/// every back end begins at the same point.
std::vector<double> initial_parameters(const vae_layout& layout, std::uint64_t seed,
                                       const std::vector<double>& data_mean) {
    std::vector<double> parameters(layout.parameters, 0.0);
    std::uint32_t number = 0;
    for (const dense_layer& layer : layout.encoder)
        draw_weights(layer, seed, number++, parameters.data());
    for (const dense_layer& layer : layout.decoder)
        draw_weights(layer, seed, number++, parameters.data());
    if (layout.sphere_radius >= 0)
        parameters[layout.sphere_radius] = 1;
    for (std::int64_t j = 0; j < layout.own_count; ++j)
        parameters[layout.own + j] = static_cast<float>(initial_own(layout.architecture.likelihood));
    if (data_mean.empty())
        return parameters;
    if (layout.sphere_centre >= 0)
        std::transform(data_mean.begin(), data_mean.end(), parameters.begin() + layout.sphere_centre,
                       [](double mean) { return static_cast<float>(mean); });
    else
        set_output_bias(layout, data_mean, parameters.data());
    return parameters;
}

void check_mean(const architecture& a, const std::vector<double>& mean) {
    expects(mean.empty() || static_cast<std::int64_t>(mean.size()) == a.dimensions, [&] {
        return fmt::format("data_mean has {} numbers: expected none or {}, the dimensions", mean.size(), a.dimensions);
    });
    with_likelihood(a.likelihood.family, [&](auto family) {
        for (std::size_t j = 0; j < mean.size(); ++j)
            expects(family.allows_mean(mean[j]),
                    [&] { return fmt::format("data_mean[{}] = {}: expected {}", j, mean[j], family.facts.means); });
    });
}

/// A piece of the flat vector that a file holds under a name.
struct named_part {
    std::string name;
    std::int64_t first;
    std::vector<std::int64_t> shape;
};

void name_layers(std::string_view prefix, const std::vector<dense_layer>& layers, std::vector<named_part>& parts) {
    for (std::size_t i = 0; i < layers.size(); ++i) {
        parts.push_back(
            {fmt::format("{}.{}.weight", prefix, i), layers[i].weights, {layers[i].inputs, layers[i].outputs}});
        parts.push_back({fmt::format("{}.{}.bias", prefix, i), layers[i].bias, {layers[i].outputs}});
    }
}

std::vector<named_part> parts_of(const architecture& a) {
    const vae_layout layout = make_layout(a);
    std::vector<named_part> parts;
    name_layers("encoder", layout.encoder, parts);
    name_layers("decoder", layout.decoder, parts);
    if (layout.sphere_radius >= 0) {
        parts.push_back({"decoder.radius", layout.sphere_radius, {1}});
        parts.push_back({"decoder.centre", layout.sphere_centre, {a.dimensions}});
    }
    if (layout.own_count > 0)
        parts.push_back(
            {fmt::format("likelihood.{}", facts_of(a.likelihood.family).own), layout.own, {layout.own_count}});
    return parts;
}

std::int64_t size_of(const named_part& part) {
    return part.shape.size() == 2 ? part.shape[0] * part.shape[1] : part.shape[0];
}

} // namespace

model::model(const vae::architecture& a, std::uint64_t seed, const std::vector<double>& data_mean) : architecture_(a) {
    a.check();
    check_mean(a, data_mean);
    parameters_ = initial_parameters(make_layout(a), seed, data_mean);
}

model::model(const vae::architecture& a, std::vector<double> parameters) : architecture_(a) {
    const std::int64_t expected = a.parameters();
    expects(static_cast<std::int64_t>(parameters.size()) == expected, [&] {
        return fmt::format("parameters has {} numbers: expected {} for this architecture", parameters.size(), expected);
    });
    for (std::size_t i = 0; i < parameters.size(); ++i)
        expects(std::isfinite(parameters[i]),
                [&] { return fmt::format("parameters[{}] = {}: expected a finite number", i, parameters[i]); });
    parameters_ = std::move(parameters);
}

std::vector<double> model::own_parameter() const {
    const vae_layout layout = make_layout(architecture_);
    std::vector<double> numbers = own_numbers(architecture_.likelihood, architecture_.dimensions,
                                              [&](std::int64_t j) { return parameters_[layout.own + j]; });
    for (double& number : numbers)
        number = with_likelihood(architecture_.likelihood.family, [&](auto family) { return family.natural(number); });
    return numbers;
}

std::vector<double> model::sigma() const {
    if (architecture_.likelihood.family != likelihood_family::gaussian)
        return {};
    if (architecture_.likelihood.scale == gaussian_scale::fixed)
        return {architecture_.likelihood.sigma};
    return own_parameter();
}

io::json to_json(const architecture& a) {
    io::member_writer object;
    object.members(a);
    return object.take();
}

architecture read_architecture(const io::archive_reader& file) {
    return io::from_file(file.path(), [&] {
        architecture a;
        file.object("architecture", [&](auto& members) { members.members(a); });
        a.check();
        return a;
    });
}

void write_members(io::archive_writer& file, const architecture& a, const std::vector<double>& parameters) {
    file.member("architecture", to_json(a));
    file.tensors_within("parameters");
    for (const named_part& part : parts_of(a)) {
        const auto first = parameters.begin() + part.first;
        file.tensor(part.name, part.shape, std::vector<double>(first, first + size_of(part)), io::packing::compact);
    }
}

model read_members(io::archive_reader& file) {
    const architecture a = read_architecture(file);
    file.tensors_within("parameters");
    // The parts follow each other in the flat vector, which grows with what is really there: what a file claims does
    // not decide how much memory is taken.
    std::vector<double> parameters, piece;
    for (const named_part& part : parts_of(a)) {
        file.tensor(part.name, part.shape, piece, io::packing::compact);
        parameters.insert(parameters.end(), piece.begin(), piece.end());
    }
    return io::from_file(file.path(), [&] { return model(a, std::move(parameters)); });
}

void model::save(const std::string& path) const {
    io::archive_writer file(path, network_format);
    write_members(file, architecture_, parameters_);
    file.commit();
}

model model::load(const std::string& path) {
    io::archive_reader file(path, network_format);
    return read_members(file);
}

} // namespace elbo::vae
