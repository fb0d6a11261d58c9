#include "host/cli/vae/pictures.hpp"

#include "host/report/image/png.hpp"
#include "host/report/page/mixture_page.hpp"

#include "elbo/error.hpp"
#include "elbo/vae/infer.hpp"

#include <algorithm>
#include <charconv>
#include <cmath>
#include <fmt/format.h>

namespace elbo::cli {

namespace {

report::image_size image_size_from_string(const std::string& text) {
    report::image_size size;
    const char* end = text.data() + text.size();
    const auto [separator, first] = std::from_chars(text.data(), end, size.width);
    if (first == std::errc() && separator != end && *separator == 'x') {
        const auto [stopped, second] = std::from_chars(separator + 1, end, size.height);
        constexpr std::int64_t largest = 1 << 15; // of either side, so that pictures can be written
        if (second == std::errc() && stopped == end && size.width > 0 && size.height > 0 && size.width <= largest &&
            size.height <= largest)
            return size;
    }
    throw invalid_argument(fmt::format("--image {}: expected width and height, as in 28x28", text));
}

void write_picture(const std::string& path, const report::grey_image& picture) {
    write_text(path, report::grey_png(picture.pixels, picture.width, picture.height));
}

std::span<const float> first_images(std::span<const float> images, report::image_size size, std::int64_t count) {
    return images.first(std::min(images.size(), static_cast<std::size_t>(count * size.pixels())));
}

std::vector<float> to_float(const std::vector<double>& values) {
    return {values.begin(), values.end()};
}

report::latent_points latents_of(const context& ctx, const vae::model& m, const labelled_data& input) {
    const std::int64_t d = m.architecture().dimensions, count = report::shown_points(d);
    const std::vector<double> rows = evenly_spaced_rows(input.data, count);
    const vae::latents encoded = vae::encode(ctx, m, matrix_view<const double>(rows.data(), std::ssize(rows) / d, d));
    report::latent_points points;
    points.mean.assign(encoded.mean.begin(), encoded.mean.end());
    for (const float log_variance : encoded.log_variance)
        points.deviation.push_back(std::exp(0.5 * log_variance));
    points.labels = evenly_spaced(input.labels, count);
    return points;
}

} // namespace

void add_image_option(parser& command, picture_options& options) {
    command.add_option("--image", options.image,
                       "Rows are images of this size (default: a square, where the width is one)", "WxH", "Output");
}

void add_png_option(parser& command, picture_options& options, const char* what) {
    command.add_option("--png", options.png, fmt::format("Write a picture: {}", what), "FILE.png", "Output");
    add_image_option(command, options);
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
    const auto shown = first_images(images, size, largest_tile_count);
    write_picture(path, report::tile(shown, size, tile_columns, report::shades_of(shown)));
}

void write_png(const std::string& path, std::span<const float> originals, std::span<const float> reconstructions,
               report::image_size size) {
    const auto first = first_images(originals, size, largest_tile_count / 2);
    const auto second = first_images(reconstructions, size, largest_tile_count / 2);
    const std::vector<float> pairs = report::alternate(first, second, size.pixels(), tile_columns);
    write_picture(path, report::tile(pairs, size, tile_columns, report::shades_of(first), 2));
}

std::vector<float> picture_samples(const context& ctx, const vae::model& m, std::uint64_t seed) {
    return vae::sample(ctx, m, largest_tile_count, {.seed = seed, .means = true});
}

report::vae_page make_vae_page(const context& ctx, const vae::model& m, const labelled_data& input,
                               const data_source& shown, const picture_options& options, std::uint64_t seed) {
    const std::int64_t d = m.architecture().dimensions;
    report::vae_page page;
    page.model = &m;
    page.made_by = made_by(ctx);
    page.image = image_size_of(options, d);
    page.latents = latents_of(ctx, m, input);
    const std::vector<double> rows = evenly_spaced_rows(shown, report::shown_points(d));
    page.evaluated = vae::evaluate(ctx, m, matrix_view<const double>(rows.data(), std::ssize(rows) / d, d));
    // As many originals as a picture of pairs shows, or enough points for a cloud.
    const std::int64_t originals = page.image ? largest_tile_count / 2 : report::shown_points(d);
    page.pictures.originals = to_float(evenly_spaced_rows(shown, originals));
    page.pictures.samples =
        page.image ? picture_samples(ctx, m, seed) : vae::sample(ctx, m, originals, {.seed = seed, .means = true});
    const auto count = std::ssize(page.pictures.originals) / d;
    page.pictures.reconstructions =
        vae::reconstruct(ctx, m, matrix_view<const float>(page.pictures.originals.data(), count, d));
    return page;
}

} // namespace elbo::cli
