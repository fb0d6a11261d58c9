#include "host/cli/vae/pictures.hpp"

#include "host/report/image/png.hpp"

#include "elbo/error.hpp"
#include "elbo/vae/infer.hpp"

#include <algorithm>
#include <charconv>
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
    const auto shown = first_images(images, size, report::largest_tile_count);
    write_picture(path, report::tile(shown, size, report::tile_columns, report::shades_of(shown)));
}

void write_png(const std::string& path, std::span<const float> originals, std::span<const float> reconstructions,
               report::image_size size) {
    const auto first = first_images(originals, size, report::largest_tile_count / 2);
    const auto second = first_images(reconstructions, size, report::largest_tile_count / 2);
    const std::vector<float> pairs = report::alternate(first, second, size.pixels(), report::tile_columns);
    write_picture(path, report::tile(pairs, size, report::tile_columns, report::shades_of(first), 2));
}

std::vector<float> picture_samples(const context& ctx, const vae::model& m, std::uint64_t seed) {
    return vae::sample(ctx, m, report::largest_tile_count, {.seed = seed, .means = true});
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
