// What opens each kind of source. The formats have one file each (idx and raw share one), and what their files have in
// common is in opened_file.cpp.
#pragma once

#include "elbo/data_source.hpp"
#include "host/io/input_file.hpp"
#include "kernels/contract/backend_table.hpp"

#include <vector>

namespace elbo::io {

using source_pointer = std::shared_ptr<const data_source::implementation>;

/// A queue says in which order work on device memory is done; without one it is complete before.
source_pointer open_views(std::vector<any_matrix_view> parts, std::shared_ptr<const kernels::device_queue> queue = {});

/// Numbers in memory, without gaps, that the source owns; what else there is to say of it, the caller adds.
std::shared_ptr<data_source::implementation> open_numbers(std::shared_ptr<const char> numbers, element_type type,
                                                          std::int64_t rows, std::int64_t cols);

/// Columns that are wanted together: the data, the weights.
struct column_group {
    std::vector<std::string> columns = {}; ///< names or numbers from 0; empty: all numeric ones that no other group has
    double scale = 1;                      ///< every value times this
};

/// Numbers, in the file, of the columns of each group. An empty list stands for all.
using group_columns = std::vector<std::vector<std::int64_t>>;

class opened_file {
public:
    virtual ~opened_file() = default;
    /// One source for each group, from one pass over the file: all of them where their numbers fit into
    /// file_options::keep, else the first one is read anew in each pass and of text the others are kept, so they should
    /// be narrow. Throws as data_source::file.
    std::vector<data_source> take(const std::vector<column_group>& groups) const;
    /// How the numeric columns are called in a group: by their names, or by their numbers where they have none.
    std::vector<std::string> keys() const;

    std::string description;               ///< for messages
    std::int64_t columns = 0;              ///< all of the file
    std::vector<std::string> names;        ///< of the numeric columns; empty where there are none
    std::vector<std::int64_t> numbers;     ///< of the numeric columns in the file; empty where all are
    std::vector<left_out_column> left_out; ///< the others

protected:
    virtual std::vector<source_pointer> read(const std::vector<column_group>& groups) const = 0;
    /// The columns of each group; `all_names` are those of all columns of the file, empty where they have none. Throws
    /// invalid_argument.
    group_columns find_groups(const std::vector<column_group>& groups, const std::vector<std::string>& all_names) const;

private:
    friend std::shared_ptr<const opened_file> open_file(const std::string& path, const file_options& options);
    std::vector<std::string> missing_;     ///< markers that are looked for in numbers
    std::shared_ptr<const void> lifetime_; ///< what must live for as long as the sources
};

/// A file of numbers in columns without names.
class array_file final : public opened_file {
public:
    using opener = std::function<std::vector<source_pointer>(const group_columns& groups)>;
    array_file(const std::string& name, std::int64_t column_count, opener open) : open_(std::move(open)) {
        description = name;
        columns = column_count;
    }

private:
    std::vector<source_pointer> read(const std::vector<column_group>& groups) const override {
        return open_(find_groups(groups, {}));
    }

    opener open_;
};

/// Opens a file as data_source::file does, but for columns and scale, which the groups have.
std::shared_ptr<const opened_file> open_file(const std::string& path, const file_options& options);

/// Bytes of numbers that may be kept by these options.
std::int64_t keep_limit(const file_options& options);

/// Text of one record a line; `gzip` says that it is compressed.
std::unique_ptr<opened_file> open_text(const input_file& file, bool gzip, const file_options& options);
std::unique_ptr<opened_file> open_npy(const input_file& file, bool gzip, const file_options& options);
std::unique_ptr<opened_file> open_npz(const input_file& file, const file_options& options);
std::unique_ptr<opened_file> open_raw(const input_file& file, element_type stored, const file_options& options);
std::unique_ptr<opened_file> open_idx(const input_file& file, bool gzip, const file_options& options);
std::unique_ptr<opened_file> open_hdf5(const input_file& file, const file_options& options);

/// The columns of `source` at these positions from 0, in that order; `source` itself where they are none, or all in
/// their order. Of numbers in memory those of neighbours are a view; others are copied once where they are few, else
/// rearranged batch by batch.
source_pointer select_columns(source_pointer source, const std::vector<std::int64_t>& positions);

/// Every value of a source in host memory times `scale`; `source` itself where that is 1. Throws invalid_argument
/// (zero, not finite).
source_pointer scale_values(source_pointer source, double scale);

/// Position of each of `columns` among `available` names (which may be empty) and numbers 0 ... count − 1. A name goes
/// before a number. Throws invalid_argument (unknown, ambiguous, listed twice).
std::vector<std::int64_t> find_columns(const std::vector<std::string>& columns,
                                       const std::vector<std::string>& available, std::int64_t count,
                                       const std::string& description);

} // namespace elbo::io
