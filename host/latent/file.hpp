// Models on disk, with what a file holds beyond the model itself.
#pragma once

#include "elbo/latent/factors.hpp"
#include "elbo/latent/sphere.hpp"
#include "host/io/model/model_archive.hpp"

#include <string>
#include <vector>

namespace elbo::latent {

inline constexpr io::model_format sphere_format{"elbo.sphere", 1, "a sphere model"};

template <class Model>
struct saved {
    Model model;
    std::vector<std::string> column_names; ///< of the data it was fitted to; empty where they were not known
};
using saved_factor_model = saved<factor_model>;
using saved_sphere = saved<sphere_model>;

/// What load_factors and load_sphere read, with the names of the columns. Throw as they do.
saved_factor_model load_saved_factors(const std::string& path);
saved_sphere load_saved_sphere(const std::string& path);

} // namespace elbo::latent
