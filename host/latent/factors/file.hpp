// Linear-Gaussian models on disk, with what a file holds beyond the model itself.
#pragma once

#include "elbo/latent/factors.hpp"

#include <string>
#include <vector>

namespace elbo::latent {

struct saved_factor_model {
    factor_model model;
    std::vector<std::string> column_names; ///< of the data it was fitted to; empty where they were not known
};

/// What load_factors reads, with the names of the columns. Throws as it does.
saved_factor_model load_saved_factors(const std::string& path);

} // namespace elbo::latent
