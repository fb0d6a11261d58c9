// Pictures of variational autoencoders: PNG files, and what the page shows.
#pragma once

#include "host/cli/vae/model.hpp"
#include "host/report/page/vae_page.hpp"

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
struct picture_rows : row_options {
    picture_options pictures;

    picture_rows() : row_options{.path = "", .type = "float32"} {}
    void add(parser& command, const char* picture);
    /// The rows and the picture. Throws as row_options::files.
    command_files files(const output_options& output) const;
    row_output open(std::int64_t rows, std::vector<std::string> names) const {
        return numbers().open(rows, std::move(names));
    }
    /// The name of the file for people.
    const std::string& written() const { return path.empty() ? pictures.png : path; }

private:
    /// They are printed only where no picture is asked for either; an empty path: nowhere.
    row_options numbers() const { return {path.empty() && pictures.png.empty() ? "-" : path, type}; }
};

/// Size of the images that rows are: --image, or the square where there is one. Throws invalid_argument: malformed,
/// another number of pixels than `dimensions`, or --png without a size.
std::optional<report::image_size> image_size_of(const picture_options& options, std::int64_t dimensions);

/// Writes images [n x pixels] as a grid, as many as a picture shows.
void write_png(const std::string& path, std::span<const float> images, report::image_size size);
/// Images above their reconstructions.
void write_png(const std::string& path, std::span<const float> originals, std::span<const float> reconstructions,
               report::image_size size);

/// Means of p(x|z) at draws of the prior, as many as a picture shows [n x d].
std::vector<float> picture_samples(const context& ctx, const vae::model& m, std::uint64_t seed);

/// A page with samples, reconstructions and terms of `shown`, and the latents of `input`. The caller adds history and
/// rows_name; `m` must outlive the page.
report::vae_page make_vae_page(const context& ctx, const vae::model& m, const input_data& input,
                               const data_source& shown, const picture_options& options, std::uint64_t seed,
                               const report::heading& about);

} // namespace elbo::cli
