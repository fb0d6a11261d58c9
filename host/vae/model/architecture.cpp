// What an architecture must be, and what it costs; names of enumerations.
#include "elbo/vae/architecture.hpp"

#include "host/vae/fields.hpp"
#include "kernels/contract/vae_layout.hpp"
#include "kernels/math/likelihood/families.hpp"

#include <algorithm>
#include <fmt/format.h>
#include <numeric>
#include <tuple>

namespace elbo::vae {

ELBO_NAMES(activation, activation_from_string)
ELBO_NAMES(likelihood_family, likelihood_from_string)
ELBO_NAMES(gaussian_scale, gaussian_scale_from_string)
ELBO_NAMES(count_mean, count_mean_from_string)
ELBO_NAMES(encoder_input, encoder_input_from_string)
ELBO_NAMES(decoder_kind, decoder_kind_from_string)
ELBO_NAMES(objective, objective_from_string)
ELBO_NAMES(gradient_estimator, gradient_estimator_from_string)
ELBO_NAMES(optimizer_kind, optimizer_from_string)
ELBO_NAMES(training_precision, training_precision_from_string)
ELBO_TO_STRING(schedule::kind)
ELBO_TO_STRING(train_stop)

namespace {

/// So that numbers of parameters, and their bytes, can be counted.
void check_size(const architecture& a) {
    constexpr double most = 0x1p50;
    double weights = 0, inputs = static_cast<double>(a.dimensions);
    const auto add = [&](std::int64_t outputs) {
        weights += (inputs + 1) * static_cast<double>(outputs);
        inputs = static_cast<double>(outputs);
    };
    std::for_each(a.encoder.begin(), a.encoder.end(), add);
    add(2 * a.latent);
    inputs = static_cast<double>(a.latent);
    std::for_each(a.decoder.begin(), a.decoder.end(), add);
    add(a.dimensions);
    expects(weights <= most, [&] {
        return fmt::format("encoder and decoder have {:.3g} parameters: expected at most {:.3g}", weights, most);
    });
}

template <class T>
std::string text_of(const T& value) {
    if constexpr (named<T>)
        return std::string(name_of(value));
    else
        return fmt::format("{}", value);
}

/// A member that would play no part is a mistake in the choice of the likelihood.
void check_members(const likelihood& l) {
    const likelihood usual{.family = l.family};
    for_each_field<likelihood>([&](const auto& f) {
        const auto &value = l.*f.member, &wanted = usual.*f.member;
        if constexpr (std::same_as<std::remove_cvref_t<decltype(value)>, parameter_source>)
            expects(value != parameter_source::optimal || f.name == "scale", [&] {
                return fmt::format("likelihood.{} = optimal: expected fixed, learned or learned_per_dimension", f.name);
            });
        if (value == wanted || kernels::uses(l.family, f.name))
            return;
        if constexpr (is_list<std::remove_cvref_t<decltype(value)>>)
            throw invalid_argument(fmt::format("likelihood.{} has {} entries: expected none for the {} likelihood",
                                               f.name, value.size(), to_string(l.family)));
        else
            throw invalid_argument(fmt::format("likelihood.{} = {}: expected {} for the {} likelihood, which has no {}",
                                               f.name, text_of(value), text_of(wanted), to_string(l.family),
                                               f.name == "scale" ? "sigma" : f.name));
    });
}

void check_blocks(const likelihood& l, std::int64_t dimensions) {
    expects(!l.blocks.empty(), "likelihood.blocks is empty: expected the sizes of the one-hot blocks");
    const std::int64_t sum = std::accumulate(l.blocks.begin(), l.blocks.end(), std::int64_t(0));
    expects(sum == dimensions, [&] {
        return fmt::format("likelihood.blocks add up to {}: expected {}, the dimensions", sum, dimensions);
    });
}

/// Multiplications and additions of the layers, forward and backward; `skip_first`: no gradient of the input.
double training_flops(const std::vector<kernels::dense_layer>& layers, bool skip_first) {
    double flops = 0;
    for (std::size_t i = 0; i < layers.size(); ++i) {
        const double product = 2.0 * static_cast<double>(layers[i].inputs) * static_cast<double>(layers[i].outputs);
        flops += product * (i == 0 && skip_first ? 2 : 3);
    }
    return flops;
}

std::int64_t outputs(const std::vector<kernels::dense_layer>& layers) {
    return std::accumulate(layers.begin(), layers.end(), std::int64_t(0),
                           [](std::int64_t sum, const kernels::dense_layer& l) { return sum + l.outputs; });
}

std::string quantity(double value, std::string_view unit) {
    constexpr std::string_view prefixes[] = {"", "k", "M", "G", "T"};
    std::size_t at = 0;
    for (; value >= 1000 && at + 1 < std::size(prefixes); ++at)
        value /= 1000;
    return fmt::format("{:.{}f} {}{}", value, at == 0 ? 0 : value < 10 ? 2 : value < 100 ? 1 : 0, prefixes[at], unit);
}

std::string layer_lines(std::string_view name, const std::vector<kernels::dense_layer>& layers) {
    std::string text;
    for (std::size_t i = 0; i < layers.size(); ++i)
        text += fmt::format("{:<11}{:>8} -> {:<8}{:<10}{:>12}\n", fmt::format("{}.{}", name, i), layers[i].inputs,
                            layers[i].outputs, to_string(layers[i].form), (layers[i].inputs + 1) * layers[i].outputs);
    return text;
}

std::string likelihood_line(const likelihood& l) {
    std::string text = fmt::format("likelihood {}", to_string(l.family));
    for_each_field<likelihood>([&](const auto& f) {
        const auto& value = l.*f.member;
        if (!kernels::uses(l.family, f.name))
            return;
        if constexpr (is_list<std::remove_cvref_t<decltype(value)>>)
            text += fmt::format(", {} {}", value.size(), f.name);
        else if (f.name == "scale") // in place of the number, unless that is fixed
            text += l.scale == gaussian_scale::fixed ? "" : fmt::format(", sigma {}", text_of(value));
        else if (f.name != "sigma" || l.scale == gaussian_scale::fixed)
            text += fmt::format(", {} {}", f.name, text_of(value));
    });
    return text + "\n";
}

} // namespace

bool architecture::operator==(const architecture& other) const {
    const auto shape = [](const architecture& a) {
        return std::tie(a.dimensions, a.latent, a.encoder, a.decoder, a.hidden, a.likelihood, a.decoder_form,
                        a.encoder_input);
    };
    return shape(*this) == shape(other);
}

void architecture::check() const {
    check_fields(*this);
    check_size(*this);
    expects(column_names.empty() || static_cast<std::int64_t>(column_names.size()) == dimensions, [&] {
        return fmt::format("column_names has {} names: expected none or {}, the dimensions", column_names.size(),
                           dimensions);
    });
    check_members(likelihood);
    if (likelihood.family == likelihood_family::categorical)
        check_blocks(likelihood, dimensions);
    expects(encoder_input == vae::encoder_input::identity || kernels::facts_of(likelihood.family).counts, [&] {
        return fmt::format("encoder_input = {}: expected identity for the {} likelihood, whose values are no counts",
                           to_string(encoder_input), to_string(likelihood.family));
    });
    if (decoder_form != decoder_kind::sphere)
        return;
    expects(latent == dimensions, [&] {
        return fmt::format("latent = {}: expected {}, the dimensions, for a sphere decoder", latent, dimensions);
    });
    expects(likelihood.family == likelihood_family::gaussian, [&] {
        return fmt::format("likelihood = {}: expected gaussian for a sphere decoder", to_string(likelihood.family));
    });
}

std::int64_t architecture::parameters() const {
    check();
    return kernels::make_layout(*this).parameters;
}

double architecture::training_flops_per_sample(std::int64_t samples) const {
    check();
    const kernels::vae_layout layout = kernels::make_layout(*this);
    return training_flops(layout.encoder, true) + static_cast<double>(samples) * training_flops(layout.decoder, false);
}

std::int64_t architecture::training_bytes(std::int64_t batch, std::int64_t samples) const {
    check();
    const kernels::vae_layout layout = kernels::make_layout(*this);
    // Values and gradients of every layer's outputs; a draw has z and, where there are no layers, the decoded point.
    const std::int64_t decoded = layout.decoder.empty() ? dimensions : outputs(layout.decoder);
    const std::int64_t activations =
        batch * (dimensions + 2 * (outputs(layout.encoder) + samples * (latent + decoded)));
    return 4 * (4 * layout.parameters + activations); // parameters, gradient, two moments
}

std::string architecture::summary(std::int64_t batch) const {
    check();
    const kernels::vae_layout layout = kernels::make_layout(*this);
    std::string text =
        fmt::format("{:<11}{:>8}    {:<8}{:<10}{:>12}\n", "layer", "inputs", "outputs", "form", "parameters");
    text += layer_lines("encoder", layout.encoder);
    text += layer_lines("decoder", layout.decoder);
    if (decoder_form == decoder_kind::sphere)
        text +=
            fmt::format("{:<11}{:>8} -> {:<8}{:<10}{:>12}\n", "decoder", latent, dimensions, "sphere", dimensions + 1);
    text += likelihood_line(likelihood);
    if (encoder_input != vae::encoder_input::identity)
        text += fmt::format("the encoder sees {}\n", to_string(encoder_input));
    text += fmt::format("{} parameters, {} a training sample, {} for a step of {} samples\n", layout.parameters,
                        quantity(training_flops_per_sample(), "FLOP"),
                        quantity(static_cast<double>(training_bytes(batch)), "B"), batch);
    return text;
}

} // namespace elbo::vae
