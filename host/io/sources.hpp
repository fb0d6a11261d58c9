// What opens each kind of source. The formats have one file each.
#pragma once

#include "elbo/data_source.hpp"
#include "host/io/input_file.hpp"
#include "kernels/contract/backend_table.hpp"

#include <memory>
#include <string>

namespace elbo::io {

using source_pointer = std::shared_ptr<const data_source::implementation>;

/// A queue says in which order work on device memory is done; without one it is complete before.
source_pointer open_views(std::vector<any_matrix_view> parts, std::shared_ptr<const kernels::device_queue> queue = {});
source_pointer open_generator(std::int64_t rows, std::int64_t cols,
                              std::function<void(std::int64_t, std::int64_t, float*)> fill);

/// Text of one record a line; `gzip` says that it is compressed.
source_pointer open_text(const input_file& file, bool gzip, const file_options& options);
source_pointer open_npy(const input_file& file, bool gzip, const file_options& options);
source_pointer open_npz(const input_file& file, const file_options& options);
source_pointer open_raw(const input_file& file, element_type stored, const file_options& options);
source_pointer open_idx(const input_file& file, bool gzip, const file_options& options);
source_pointer open_hdf5(const input_file& file, const file_options& options);

/// The columns of `source` at these positions from 0, in that order; `source` itself where they are none, or all in
/// their order. Numbers in memory are copied once where they are few, else rearranged batch by batch.
source_pointer select_columns(source_pointer source, const std::vector<std::int64_t>& positions);

/// `source` itself, after a pass that looks for the numbers among `markers` (file_options::missing); other texts are
/// passed over. Throws file_error that names the row and column of the first one.
source_pointer refuse_missing(source_pointer source, const std::vector<std::string>& markers);

/// Every value of a source in host memory times `scale`; `source` itself where that is 1. Throws invalid_argument
/// (zero, not finite).
source_pointer scale_values(source_pointer source, double scale);

/// Position of each of `columns` among `available` names (which may be empty) and numbers 0 ... count − 1. A name goes
/// before a number. Throws invalid_argument (unknown, ambiguous, listed twice).
std::vector<std::int64_t> find_columns(const std::vector<std::string>& columns,
                                       const std::vector<std::string>& available, std::int64_t count,
                                       const std::string& description);

} // namespace elbo::io
