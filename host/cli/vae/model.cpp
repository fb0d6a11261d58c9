#include "host/cli/vae/model.hpp"

#include <algorithm>

namespace elbo::cli {

std::vector<std::string> column_names_of(const vae::architecture& a) {
    return a.column_names.empty() ? numbered("x", a.dimensions) : a.column_names;
}

void add_architecture(json& summary, const vae::architecture& a) {
    summary["dimensions"] = a.dimensions;
    summary["latent"] = a.latent;
    summary["encoder"] = a.encoder;
    summary["decoder"] = a.decoder;
    summary["activation"] = to_string(a.hidden);
    summary["likelihood"] = to_string(a.likelihood.family);
    if (a.likelihood.family == vae::likelihood_family::gaussian)
        summary["gaussian_scale"] = to_string(a.likelihood.scale);
    if (a.likelihood.family == vae::likelihood_family::categorical)
        summary["blocks"] = a.likelihood.blocks;
    summary["decoder_form"] = to_string(a.decoder_form);
    summary["parameters"] = a.parameters();
}

std::string describe(const vae::architecture& a) {
    return fmt::format("{} dimensions, {}, {}", a.dimensions, plural(a.latent, "latent unit"),
                       to_string(a.likelihood.family));
}

std::string describe(const labelled_data& input) {
    const std::string scaled = input.scale == 1 ? "" : fmt::format(", values times {:.6g}", input.scale);
    return fmt::format("{}: {} rows{}", input.data.description(), input.data.rows(), scaled);
}

std::string sigma_text(const vae::model& m) {
    const std::vector<double> sigma = m.sigma();
    if (sigma.empty())
        return {};
    const auto [low, high] = std::minmax_element(sigma.begin(), sigma.end());
    return *low == *high ? fmt::format("{:.6g}", *low) : fmt::format("{:.4g} to {:.4g}", *low, *high);
}

void vae_kind::add_parameters(json& summary, const saved& m) {
    summary["sigma"] = m.sigma();
    summary["training_flops_per_sample"] = m.architecture().training_flops_per_sample();
}

std::string vae_kind::text(const saved& m) {
    const std::string sigma = sigma_text(m);
    return "\n\n" + m.architecture().summary() + (sigma.empty() ? "" : fmt::format("sigma {}\n", sigma));
}

template class apply_command<vae_kind>;

void add_vae_info(parser& vae, invocation& call) {
    add_command<info_command<vae_kind>>(vae, call, "info", "Print a model: layers, sizes, cost");
}

} // namespace elbo::cli
