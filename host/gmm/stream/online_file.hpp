// The state of stepwise EM on disk, with what a file holds beyond it.
#pragma once

#include "elbo/gmm/online.hpp"
#include "host/io/model/safetensors.hpp"

#include <string>
#include <vector>

namespace elbo::gmm {

struct saved_online {
    online state;
    std::vector<std::string> column_names; ///< of the data; empty where they were not known
};

/// What online::load reads, with the names of the columns. Throws as it does.
saved_online load_saved_online(const std::string& path);

/// Whether the file of a model also holds the state of a stream.
bool holds_online_state(const io::tensor_file& file);

} // namespace elbo::gmm
