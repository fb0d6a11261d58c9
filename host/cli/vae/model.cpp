#include "host/cli/vae/model.hpp"

#include "host/io/model/fields_json.hpp"
#include "host/vae/model/fields.hpp"
#include "kernels/math/likelihood/families.hpp"

#include <algorithm>

namespace elbo::cli {

void add_architecture(json& summary, const vae::architecture& a) {
    summary["dimensions"] = a.dimensions;
    summary["latent"] = a.latent;
    summary["encoder"] = a.encoder;
    summary["decoder"] = a.decoder;
    summary["activation"] = to_string(a.hidden);
    summary["likelihood"] = to_string(a.likelihood.family);
    // What a learned parameter begins with is not what it is.
    for_each_field<vae::likelihood>([&](const auto& f) {
        using type = std::remove_cvref_t<decltype(a.likelihood.*f.member)>;
        if (!std::same_as<type, double> && kernels::uses(a.likelihood.family, f.name))
            summary[f.name == "scale" ? "gaussian_scale" : std::string(f.name)] = io::json_of(a.likelihood.*f.member);
    });
    if (kernels::facts_of(a.likelihood.family).counts)
        summary["encoder_input"] = to_string(a.encoder_input);
    summary["decoder_form"] = to_string(a.decoder_form);
    summary["parameters"] = a.parameters();
}

std::string describe(const vae::architecture& a) {
    return fmt::format("{} dimensions, {}, {}", a.dimensions, plural(a.latent, "latent unit"),
                       to_string(a.likelihood.family));
}

std::string describe(const input_data& input) {
    const std::string scaled = input.scale == 1 ? "" : fmt::format(", values times {:.6g}", input.scale);
    return fmt::format("{}: {} rows{}", input.data.description(), input.data.rows(), scaled);
}

std::string own_name(const vae::model& m) {
    return std::string(kernels::facts_of(m.architecture().likelihood.family).parameter);
}

std::string own_text(const vae::model& m) {
    const std::vector<double> own = m.own_parameter();
    if (own.empty())
        return {};
    const auto [low, high] = std::minmax_element(own.begin(), own.end());
    return *low == *high ? fmt::format("{:.6g}", *low) : fmt::format("{:.4g} to {:.4g}", *low, *high);
}

void add_own(json& summary, const vae::model& m) {
    summary["sigma"] = m.sigma();
    if (const std::string name = own_name(m); !name.empty())
        summary[name] = m.own_parameter();
}

void vae_kind::add_parameters(json& summary, const saved& m) {
    add_own(summary, m);
    summary["training_flops_per_sample"] = m.architecture().training_flops_per_sample();
}

std::string vae_kind::text(const saved& m) {
    const std::string own = own_text(m);
    return "\n\n" + m.architecture().summary() + (own.empty() ? "" : fmt::format("{} {}\n", own_name(m), own));
}

template class apply_command<vae_kind>;

} // namespace elbo::cli
