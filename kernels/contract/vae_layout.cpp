#include "kernels/contract/vae_layout.hpp"

#include "kernels/math/likelihood/families.hpp"

namespace elbo::kernels {

namespace {

/// Appends a layer and returns the offset behind it.
std::int64_t add_layer(std::vector<dense_layer>& layers, std::int64_t inputs, std::int64_t outputs,
                       vae::activation form, std::int64_t at) {
    const std::int64_t bias = at + inputs * outputs;
    layers.push_back({inputs, outputs, at, bias, form});
    return bias + outputs;
}

/// inputs → hidden... → outputs, the last layer linear.
std::int64_t add_network(std::vector<dense_layer>& layers, std::int64_t inputs, const std::vector<std::int64_t>& hidden,
                         std::int64_t outputs, vae::activation form, std::int64_t at) {
    for (std::int64_t width : hidden) {
        at = add_layer(layers, inputs, width, form, at);
        inputs = width;
    }
    return add_layer(layers, inputs, outputs, vae::activation::identity, at);
}

} // namespace

vae_layout make_layout(const vae::architecture& a) {
    vae_layout layout;
    layout.architecture = a;
    std::int64_t at = add_network(layout.encoder, a.dimensions, a.encoder, 2 * a.latent, a.hidden, 0);
    if (a.decoder_form == vae::decoder_kind::sphere) {
        layout.sphere_radius = at;
        layout.sphere_centre = at + 1;
        at += 1 + a.dimensions;
    } else {
        at = add_network(layout.decoder, a.latent, a.decoder, a.dimensions, a.hidden, at);
    }
    layout.own_count = own_parameters(a.likelihood, a.dimensions);
    if (layout.own_count > 0)
        layout.own = at;
    layout.parameters = at + layout.own_count;
    return layout;
}

bool has_optimal_scale(const vae_layout& l) {
    return source_of(l.architecture.likelihood) == vae::parameter_source::optimal;
}

bool has_own_gradients(const vae_layout& l) {
    const vae::likelihood& form = l.architecture.likelihood;
    return facts_of(form.family).second == second_sum::own_gradient &&
           source_of(form) == vae::parameter_source::learned_per_dimension;
}

} // namespace elbo::kernels
