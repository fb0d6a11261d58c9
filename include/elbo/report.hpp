// Pages about results: each one self-contained HTML text with facts, pictures (inline SVG and PNG) and tables; nothing
// is loaded from elsewhere. They are in a library of its own: elbo::report for CMake, elbo-report for pkg-config.
#pragma once

#include "elbo/context.hpp"
#include "elbo/data_source.hpp"
#include "elbo/gmm/fit.hpp"
#include "elbo/gmm/model.hpp"
#include "elbo/gmm/select.hpp"
#include "elbo/gmm/variational.hpp"
#include "elbo/latent/factors.hpp"
#include "elbo/latent/sphere.hpp"
#include "elbo/vae/train.hpp"

#include <cstdint>
#include <optional>
#include <string>
#include <utility>
#include <vector>

namespace elbo::report {

/// What a page says beside its pictures; what is empty is left out.
struct heading {
    std::string title{};                                      ///< empty: what the page is about, and the data's name
    std::vector<std::pair<std::string, std::string>> facts{}; ///< name, value
    std::string command{};                                    ///< that makes this page again
    std::string made_by{};                                    ///< empty: "elbo 0.1.0 on CPU, 2 threads"
};

/// The page about a mixture: its density over at most 5,000 evenly spaced rows of the data, each in the colour of its
/// most probable component, and its components. Images of 8 x 8 or 28 x 28 pixels are shown as such. Throws what
/// gmm::assign throws.
std::string page(const context& ctx, const gmm::model& m, const data_source& data, const heading& about = {});
/// The same with the iterations and the events of the fit.
std::string page(const context& ctx, const gmm::fit_result& fit, const data_source& data, const heading& about = {});
/// The same with the criteria over the number of components and a table of all models.
std::string page(const context& ctx, const gmm::select_result& choice, const data_source& data,
                 const heading& about = {});
/// The same for the effective components at the posterior means, those of more than `threshold` samples, with the terms
/// of the bound.
std::string page(const context& ctx, const gmm::variational_result& fit, const data_source& data,
                 const heading& about = {}, double threshold = 1);

/// The page about a model with continuous latent variables: the iterations, and rows of the data at the means of their
/// first two latent variables (one: its mean against the row; a sphere in two dimensions: the rows with the circle).
/// Throws what latent::posterior throws.
std::string page(const context& ctx, const latent::factor_result& fit, const data_source& data,
                 const heading& about = {});
std::string page(const context& ctx, const latent::sphere_result& fit, const data_source& data,
                 const heading& about = {});

struct image_size {
    std::int64_t width = 0, height = 0;
    std::int64_t pixels() const { return width * height; }
};

/// What a page about an autoencoder may show beside the data.
struct autoencoder_extras {
    std::vector<double> labels{};            ///< [n] of the rows: their colours in the latent space
    std::optional<data_source> validation{}; ///< rows to reconstruct and to judge by; those of the data where none
    std::optional<image_size> image{};       ///< that rows are; a square, where there is one
    std::uint64_t seed = 0;                  ///< of the samples of the model
};
/// The page about an autoencoder: samples, reconstructions, the terms of the bound and the latent space. Throws
/// invalid_argument (another number of labels than rows, an image of another number of pixels than dimensions) and what
/// vae::evaluate throws.
std::string page(const context& ctx, const vae::train_result& fit, const data_source& data, const heading& about = {},
                 const autoencoder_extras& extras = {});

} // namespace elbo::report
