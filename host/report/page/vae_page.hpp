// One self-contained HTML page about a variational autoencoder: what was trained on what, in pictures and a table.
#pragma once

#include "host/report/image/images.hpp"

#include "elbo/report.hpp"
#include "elbo/vae/infer.hpp"

#include <functional>
#include <optional>
#include <string>
#include <vector>

namespace elbo::report {

/// Rows of data, as many numbers each as the model has dimensions.
struct row_pictures {
    std::vector<float> samples;                    ///< means of p(x|z) at draws of z
    std::vector<float> originals, reconstructions; ///< of the same rows
};

/// Rows in the latent space.
struct latent_points {
    std::vector<double> mean, deviation; ///< [n x latent] of q(z|x)
    std::vector<double> labels;          ///< [n], or empty
};

/// ELBO against epoch, on training and validation data; SVG, empty where there is nothing to show.
std::string elbo_chart(const std::vector<vae::epoch_record>& history);

/// What a page is made of. The parts that a command does not have stay empty and are left out of the page.
struct vae_page : heading {
    const vae::model* model = nullptr; ///< required
    std::vector<vae::epoch_record> history;
    std::optional<image_size> image; ///< where rows are images
    row_pictures pictures;
    latent_points latents;
    std::string rows_name = "data";           ///< whose rows the reconstructions are: "validation data"
    std::optional<vae::evaluation> evaluated; ///< of rows of the same
};

/// The page about a model and some rows of the data, with samples, reconstructions and terms; `m` must outlive it.
/// `between` is called before each batch.
vae_page page_of(const context& ctx, const vae::model& m, const data_source& data, heading about,
                 const autoencoder_extras& extras, const std::function<void()>& between = {});

/// The page as HTML with inline SVG and PNG: nothing is loaded from elsewhere. Throws invalid_argument where sizes do
/// not fit the model.
std::string render(const vae_page& p);

} // namespace elbo::report
