// Statistics on disk, with what a file holds beyond them.
#pragma once

#include "elbo/gmm/statistics.hpp"

#include <string>
#include <vector>

namespace elbo::gmm {

struct saved_statistics {
    gmm::statistics statistics;
    std::vector<std::string> column_names; ///< of the data; empty where they were not known
};

/// What load_statistics reads, with the names of the columns. Throws as load_statistics does.
saved_statistics load_saved_statistics(const std::string& path);

/// Throws invalid_argument unless the name ends in .safetensors; `what` will be written there.
void require_safetensors(const std::string& path, const char* what);

} // namespace elbo::gmm
