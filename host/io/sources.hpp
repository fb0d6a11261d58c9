// What opens each kind of source. The formats have one file each.
#pragma once

#include "elbo/data_source.hpp"

#include <memory>
#include <string>

namespace elbo::io {

using source_pointer = std::shared_ptr<const data_source::implementation>;

source_pointer open_views(std::vector<any_matrix_view> parts);
source_pointer open_generator(std::int64_t rows, std::int64_t cols,
                              std::function<void(std::int64_t, std::int64_t, float*)> fill);

/// Text of one record a line; `gzip` says that it is compressed.
source_pointer open_text(const std::string& path, bool gzip, const file_options& options);
source_pointer open_npy(const std::string& path, const file_options& options);
source_pointer open_npz(const std::string& path, const file_options& options);
source_pointer open_raw(const std::string& path, element_type stored, const file_options& options);
source_pointer open_idx(const std::string& path, bool gzip, const file_options& options);
source_pointer open_hdf5(const std::string& path, const file_options& options);

/// The columns of `source` that `columns` lists (numbers from 0), in that order; `source` itself where it is empty.
/// Throws invalid_argument (not a number, out of range, listed twice).
source_pointer select_columns(source_pointer source, const std::vector<std::string>& columns);

/// Every value of a source in host memory times `scale`; `source` itself where that is 1. Throws invalid_argument
/// (zero, not finite).
source_pointer scale_values(source_pointer source, double scale);

/// Position of each of `columns` among `available` names (which may be empty) and numbers 0 ... count − 1. A name goes
/// before a number. Throws invalid_argument (unknown, ambiguous, listed twice).
std::vector<std::int64_t> find_columns(const std::vector<std::string>& columns,
                                       const std::vector<std::string>& available, std::int64_t count,
                                       const std::string& description);

} // namespace elbo::io
