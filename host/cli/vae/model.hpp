// A variational autoencoder for the commands: how it is opened, what is said of it, and its pictures.
#pragma once

#include "host/cli/core/apply_command.hpp"
#include "host/report/image/images.hpp"
#include "host/report/page/pages.hpp"

#include "elbo/vae/model.hpp"

namespace elbo::cli {

/// Terms of the bound for people.
inline constexpr const char* nats = "{:.4f} nats per sample";

/// Keys of every summary that name the model: dimensions, latent, encoder, decoder, activation, likelihood, ...
void add_architecture(json& summary, const vae::architecture& a);

/// "784 dimensions, 20 latent units, bernoulli".
std::string describe(const vae::architecture& a);
/// "train.npy: 60000 rows, values times 0.00392157".
std::string describe(const input_data& input);

/// The likelihood's own parameter: "sigma", and "0.35", or "0.2 to 0.9" for one a dimension; empty where there is none.
std::string own_name(const vae::model& m);
std::string own_text(const vae::model& m);
/// Its key of summaries, and "sigma" in any case.
void add_own(json& summary, const vae::model& m);

struct vae_kind {
    using saved = vae::model;
    static constexpr const char* argument_help = "Model file or checkpoint (.safetensors or .json)";
    static constexpr bool scaled = true;

    static saved load(const std::string& path) { return vae::model::load(path); }
    static const std::vector<std::string>& columns(const saved& m) { return m.architecture().column_names; }
    static std::int64_t dimensions(const saved& m) { return m.architecture().dimensions; }
    static std::string describe(const saved& m) { return cli::describe(m.architecture()); }
    static void add_shape(json& summary, const saved& m) { add_architecture(summary, m.architecture()); }
    static void add_parameters(json& summary, const saved& m);
    static std::string text(const saved& m);
};
extern template class apply_command<vae_kind>;

// Pictures: PNG files, and what the page shows.

/// --png and --image.
struct picture_options {
    std::string png;
    std::string image; ///< WIDTHxHEIGHT
};
inline constexpr option_text image_option{
    "--image", "Rows are images of this size (default: a square, where the width is one)", "WxH", "Output"};
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

/// A page with samples, reconstructions and terms of `shown`, and the latents of `input`. The caller adds history and
/// rows_name; `m` must outlive the page.
report::vae_page make_vae_page(const context& ctx, const vae::model& m, const input_data& input,
                               const data_source& shown, const picture_options& options, std::uint64_t seed,
                               const report::heading& about);

} // namespace elbo::cli
