// Mixtures on disk, with what a file holds beyond the model itself.
#pragma once

#include "elbo/gmm/model.hpp"
#include "host/io/model/model_file.hpp"

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
/// The tensors and metadata of a model, to which other files add theirs.
io::tensor_file to_tensors(const model& m, const std::vector<std::string>& column_names,
                           const io::model_format& format);
/// The model in such a file, which must be of this format. Throws file_error.
saved_model model_from(const io::tensor_file& file, const io::model_format& format, const std::string& path);

/// What load reads, with the names of the columns. Throws as load does.
saved_model load_saved(const std::string& path);

/// What a file about a mixture says of itself before its numbers.
struct mixture_description {
    family shape = family::full;
    std::int64_t components = 0;
    std::int64_t dimensions = 0;
    std::vector<std::string> column_names;
};
/// Throws file_error for sizes that are not possible and for names that do not match them.
void check_description(const mixture_description& d, const std::string& path);
/// Throws invalid_argument unless there are no names or one for each dimension.
void check_names(const std::vector<std::string>& column_names, std::int64_t dimensions);
/// A list of strings. Throws file_error.
std::vector<std::string> read_names(const io::json& list, const std::string& path);
/// Extents of the array of factors or covariances.
std::vector<std::int64_t> covariance_shape(family f, std::int64_t k, std::int64_t d);

} // namespace elbo::gmm
