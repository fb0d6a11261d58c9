#include "host/cli/vae/apply.hpp"

#include "elbo/version.hpp"
#include "host/cli/core/row_output.hpp"

#include <fmt/format.h>

namespace elbo::cli {

void add_model_argument(parser& command, std::string& model_path) {
    command.add_option("MODEL", model_path, "Model file or checkpoint (.safetensors or .json)")->required();
}

void add_vae_apply_options(parser& command, vae_apply_options& options) {
    add_model_argument(command, options.model_path);
    add_data_options(command, options.data);
    add_by_position_option(command, options.data);
    add_scale_option(command, options.data);
    add_device_options(command, options.device);
    add_output_options(command, options.output);
}

vae_applied open(const vae_apply_options& options, row_kind columns) {
    vae::model model = vae::model::load(options.model_path);
    context ctx = make_context(options.device);
    const bool observed = columns == row_kind::observations;
    const std::vector<std::string>& names = model.architecture().column_names;
    labelled_data input =
        open_scaled_data(options.data, {observed ? names : std::vector<std::string>(), options.model_path});
    tell(options.output, input.data, input.notes);
    if (observed)
        check_columns(options.model_path, model.architecture().dimensions, "dimensions", input.data);
    else
        check_columns(options.model_path, model.architecture().latent, "latent units", input.data);
    return {std::move(ctx), std::move(model), std::move(input)};
}

std::vector<std::string> files_of(const vae_apply_options& options) {
    return files_of(options.data, {options.model_path});
}

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

json summary_head(const std::string& command_line, const vae_apply_options& options, const vae_applied& work) {
    json summary{{"command", command_line},           {"version", version},
                 {"device", work.ctx.name()},         {"model", options.model_path},
                 {"samples", work.input.data.rows()}, {"scale", work.input.scale}};
    add_architecture(summary, work.model.architecture());
    add_left_out(summary, work.input.notes);
    return summary;
}

std::string describe(const vae::architecture& a) {
    return fmt::format("{} dimensions, {} latent unit{}, {}", a.dimensions, a.latent, a.latent == 1 ? "" : "s",
                       to_string(a.likelihood.family));
}

std::string describe(const labelled_data& input) {
    const std::string scaled = input.scale == 1 ? "" : fmt::format(", values times {:.6g}", input.scale);
    return fmt::format("{}: {} rows{}", input.data.description(), input.data.rows(), scaled);
}

} // namespace elbo::cli
