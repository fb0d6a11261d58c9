#include "host/cli/vae/model.hpp"

#include "host/vae/fields.hpp"
#include "kernels/math/likelihood/families.hpp"

#include "elbo/vae/infer.hpp"

namespace elbo::cli {
namespace {

report::image_size image_size_from_string(const std::string& text) {
    constexpr std::int64_t largest = 1 << 15; // of either side, so that pictures can be written
    std::vector<std::int64_t> sides;
    for (const std::string& part : split(text, 'x'))
        sides.push_back(number_of<std::int64_t>(part).value_or(0));
    if (sides.size() != 2 || std::ranges::any_of(sides, [](std::int64_t n) { return n < 1 || n > largest; }))
        throw invalid_argument(fmt::format("--image {}: expected width and height, as in 28x28", text));
    return {sides[0], sides[1]};
}

std::span<const float> first_images(std::span<const float> images, report::image_size size, std::int64_t count) {
    return images.first(std::min(images.size(), static_cast<std::size_t>(count * size.pixels())));
}

} // namespace

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

void add_png_option(parser& command, picture_options& options, const char* what) {
    command.add_option("--png", options.png, fmt::format("Write a picture: {}", what), "FILE.png", "Output");
    command.add_option(image_option, options.image);
}

void picture_rows::add(parser& command, const char* picture) {
    row_options::add(command, "the rows");
    add_png_option(command, pictures, picture);
}

command_files picture_rows::files(const output_options& output) const {
    command_files files = numbers().files(output);
    files.outputs.push_back(pictures.png);
    return files;
}

std::optional<report::image_size> image_size_of(const picture_options& options, std::int64_t dimensions) {
    std::optional<report::image_size> size = report::square_of(dimensions);
    if (!options.image.empty()) {
        size = image_size_from_string(options.image);
        if (size->pixels() != dimensions)
            throw invalid_argument(fmt::format("--image {}: {} pixels, expected {}, the dimensions of the model",
                                               options.image, size->pixels(), dimensions));
    }
    if (!options.png.empty() && !size)
        throw invalid_argument(
            fmt::format("--png {}: {} columns are no square image; give --image WxH", options.png, dimensions));
    return size;
}

void write_png(const std::string& path, std::span<const float> images, report::image_size size) {
    const auto shown = first_images(images, size, report::largest_tile_count);
    write_text(path, report::grey_png(report::tile(shown, size, report::tile_columns, report::shades_of(shown))));
}

void write_png(const std::string& path, std::span<const float> originals, std::span<const float> reconstructions,
               report::image_size size) {
    const auto first = first_images(originals, size, report::largest_tile_count / 2);
    const auto second = first_images(reconstructions, size, report::largest_tile_count / 2);
    const std::vector<float> pairs = report::alternate(first, second, size.pixels(), report::tile_columns);
    write_text(path, report::grey_png(report::tile(pairs, size, report::tile_columns, report::shades_of(first), 2)));
}

report::vae_page make_vae_page(const context& ctx, const vae::model& m, const input_data& input,
                               const data_source& shown, const picture_options& options, std::uint64_t seed,
                               const report::heading& about) {
    report::vae_page page = report::page_of(ctx, m, input.data, about,
                                            {.labels = input.labels,
                                             .validation = shown,
                                             .image = image_size_of(options, m.architecture().dimensions),
                                             .seed = seed},
                                            throw_if_interrupted);
    page.rows_name = "data";
    return page;
}

} // namespace elbo::cli
