// The pictures of the page about a variational autoencoder; HTML or SVG, empty where there is nothing to show.
#pragma once

#include "host/report/page/vae_page.hpp"

#include <string>

namespace elbo::report {

/// ELBO, reconstruction and KL against epoch, on training and validation data.
std::string elbo_chart(const std::vector<vae::epoch_record>& history);
std::string reconstruction_chart(const std::vector<vae::epoch_record>& history);
std::string kl_chart(const std::vector<vae::epoch_record>& history);

/// KL divergence of each latent unit as bars, the largest first; active and inactive units in two colours.
std::string unit_chart(const vae::evaluation& e);

/// Means of q(z|x) in the two latent units with the largest variance of the means (mean and deviation where there is
/// one unit), coloured by label.
std::string latent_chart(const latent_points& latents, std::int64_t latent);

/// Rows and samples in the first two columns, for data that are no images.
std::string row_chart(const row_pictures& rows, std::int64_t dimensions);

/// <img> with images in rows of `columns`; `group`: rows that belong together.
std::string image_element(const std::vector<float>& rows, image_size size, int columns, interval shades, int group,
                          std::string_view description);

} // namespace elbo::report
