// Mixtures on disk, with what a file holds beyond the model itself.
#pragma once

#include "elbo/gmm/model.hpp"

#include <string>
#include <vector>

namespace elbo::gmm {

struct saved_model {
    gmm::model model;
    std::vector<std::string> column_names; ///< of the data it was fitted to; empty where they were not known
};

/// What load reads, with the names of the columns. Throws as load does.
saved_model load_saved(const std::string& path);

} // namespace elbo::gmm
