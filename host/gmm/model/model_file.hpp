// Mixtures on disk, with what a file holds beyond the model itself.
#pragma once

#include "elbo/gmm/model.hpp"
#include "host/io/model/model_archive.hpp"

#include <cstdint>
#include <string>
#include <vector>

namespace elbo::gmm {

struct saved_model {
    gmm::model model;
    std::vector<std::string> column_names; ///< of the data it was fitted to; empty where they were not known
};

/// Format of the files of models.
inline constexpr io::model_format mixture_format{"elbo.gmm", 1, "a mixture"};
/// The members of a model in a file, to which other files add theirs. Reading throws file_error.
void write_members(io::archive_writer& file, const model& m, const std::vector<std::string>& column_names);
saved_model read_members(io::archive_reader& file);

/// What load reads, with the names of the columns. Throws as load does.
saved_model load_saved(const std::string& path);

/// Throws invalid_argument for sizes that are not possible.
void check_sizes(family f, std::int64_t components, std::int64_t dimensions);
/// Extents of the array of factors or covariances.
io::extents covariance_shape(family f, std::int64_t k, std::int64_t d);

} // namespace elbo::gmm
