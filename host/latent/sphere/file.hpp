// Sphere models on disk, with what a file holds beyond the model itself.
#pragma once

#include "elbo/latent/sphere.hpp"
#include "host/io/model/model_archive.hpp"

#include <string>
#include <vector>

namespace elbo::latent {

inline constexpr io::model_format sphere_format{"elbo.sphere", 1, "a sphere model"};

struct saved_sphere {
    sphere_model model;
    std::vector<std::string> column_names; ///< of the data it was fitted to; empty where they were not known
};

/// What load_sphere reads, with the names of the columns. Throws as load_sphere does.
saved_sphere load_saved_sphere(const std::string& path);

} // namespace elbo::latent
