// Pictures of variational autoencoders: PNG files, and what the page shows.
#pragma once

#include "host/cli/core/inputs.hpp"
#include "host/cli/core/options.hpp"
#include "host/report/page/vae_page.hpp"

#include "elbo/context.hpp"
#include "elbo/vae/model.hpp"

#include <optional>
#include <span>
#include <string>

namespace elbo::cli {

/// --png and --image.
struct picture_options {
    std::string png;
    std::string image; ///< WIDTHxHEIGHT
};
void add_image_option(parser& command, picture_options& options);
void add_png_option(parser& command, picture_options& options, const char* what);

/// Rows as numbers, as a picture, or both.
struct row_options {
    std::string path; ///< --output
    std::string type = "float32";
    picture_options pictures;
    /// Where the numbers go: standard output only where no picture is asked for either; empty: nowhere.
    std::string destination() const { return path.empty() && pictures.png.empty() ? "-" : path; }
    /// The name of the file for people.
    const std::string& written() const { return path.empty() ? pictures.png : path; }
};
void add_row_options(parser& command, row_options& options, const char* picture);

/// Size of the images that rows are: --image, or the square where there is one. Throws invalid_argument: malformed,
/// another number of pixels than `dimensions`, or --png without a size.
std::optional<report::image_size> image_size_of(const picture_options& options, std::int64_t dimensions);

/// How many images a picture shows at the most, and in how many columns.
inline constexpr std::int64_t largest_tile_count = 120;
inline constexpr int tile_columns = 12;

/// Writes images [n x pixels] as a grid, the first largest_tile_count of them.
void write_png(const std::string& path, std::span<const float> images, report::image_size size);
/// Images above their reconstructions.
void write_png(const std::string& path, std::span<const float> originals, std::span<const float> reconstructions,
               report::image_size size);

/// Means of p(x|z) at draws of the prior, as many as a picture shows [n x d].
std::vector<float> picture_samples(const context& ctx, const vae::model& m, std::uint64_t seed);

/// A page with samples, reconstructions and terms of `shown`, and the latents of `input`. The caller adds title, facts,
/// history and who made it; `m` must outlive the page.
report::vae_page make_vae_page(const context& ctx, const vae::model& m, const labelled_data& input,
                               const data_source& shown, const picture_options& options, std::uint64_t seed);

} // namespace elbo::cli
