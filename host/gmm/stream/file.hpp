// Statistics and the state of stepwise EM on disk, with what a file holds beyond them.
#pragma once

#include "elbo/gmm/online.hpp"
#include "elbo/gmm/statistics.hpp"
#include "host/io/model/safetensors.hpp"

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

struct saved_online {
    online state;
    std::vector<std::string> column_names; ///< as above
};

/// What online::load reads, with the names of the columns. Throws as it does.
saved_online load_saved_online(const std::string& path);

/// Whether the file of a model also holds the state of a stream.
bool holds_online_state(const io::tensor_file& file);

} // namespace elbo::gmm
