// Sources: what opens each kind, what they are made of, and sources made of others. The formats have one file each (idx
// and raw share one), and what their files have in common is in opened_file.cpp.
#pragma once

#include "elbo/data_source.hpp"
#include "host/io/input_file.hpp"
#include "kernels/contract/backend_table.hpp"
#include "kernels/shared/memory.hpp"

#include <algorithm>
#include <cstdlib>
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

// The kinds of batch_reader that the sources are made of, and memory for numbers that they keep (readers.cpp).

/// Batches of a list of matrices that follow one another: without a copy where a batch lies in one of them, else
/// gathered, from device memory on `queue` or else on that of the memory. `owner` keeps the memory alive.
std::unique_ptr<batch_reader> read_views(std::vector<any_matrix_view> parts, std::int64_t rows_per_batch,
                                         std::shared_ptr<const void> owner = nullptr,
                                         std::shared_ptr<const kernels::device_queue> queue = nullptr);

/// Copies the rows of `part`, which may have a stride, to densely packed memory of the same space.
void copy_rows(const any_matrix_view& part, char* to, const kernels::device_queue* queue = nullptr);

/// Writes rows first_row ... first_row + rows − 1 to `out`, densely packed and of the type of the source. Called in
/// order.
using row_filler = std::function<void(std::int64_t first_row, std::int64_t rows, char* out)>;

/// Batches in a buffer of their own in host memory, which `fill` fills.
std::unique_ptr<batch_reader> read_filled(const data_source::implementation& source, std::int64_t rows_per_batch,
                                          row_filler fill);

/// A source that is read so in each pass; what else there is to say of it, the caller adds.
class filled_source final : public data_source::implementation {
public:
    /// Begins a pass in batches of so many rows.
    using start = std::function<row_filler(std::int64_t rows_per_batch)>;

    filled_source(std::string what, std::int64_t row_count, std::int64_t column_count, element_type number, start begin)
        : begin_(std::move(begin)) {
        description = std::move(what);
        rows = row_count;
        cols = column_count;
        type = number;
    }
    /// What is to be said of it, is that of another source.
    filled_source(const implementation& like, start begin) : implementation(like), begin_(std::move(begin)) {
        space = memory_space::host;
    }
    std::unique_ptr<batch_reader> read(std::int64_t rows_per_batch) const override;

private:
    start begin_;
};

/// The batches of another reader of host memory, each read by a thread while the caller uses the one before, into one
/// of two buffers. What the other reader throws, next() throws.
std::unique_ptr<batch_reader> read_ahead(std::unique_ptr<batch_reader> reader);

/// Memory for numbers of which nobody knows beforehand how many there are. It grows without a second copy beside it:
/// the system moves large blocks by their pages.
class growing_memory {
public:
    char* data() const { return data_.get(); }
    /// Makes room for `bytes` bytes in all; what is there stays. False, and nothing changes, where it cannot be had.
    bool grow(std::int64_t bytes) {
        return bytes <= capacity_ || resize(std::max(bytes, capacity_ + capacity_ / 2)) || resize(bytes);
    }
    void clear() {
        data_.reset();
        capacity_ = 0;
    }
    /// Hands the first `bytes` over and gives the rest back.
    std::shared_ptr<const char> release(std::int64_t bytes) {
        resize(std::max<std::int64_t>(1, bytes));
        capacity_ = 0;
        return std::move(data_);
    }

private:
    bool resize(std::int64_t bytes) {
        void* const moved = std::realloc(data_.get(), static_cast<std::size_t>(bytes));
        if (moved == nullptr)
            return false;
        static_cast<void>(data_.release()); // by realloc
        data_.reset(static_cast<char*>(moved));
        capacity_ = bytes;
        return true;
    }

    struct free_memory {
        void operator()(char* memory) const { std::free(memory); }
    };
    std::unique_ptr<char, free_memory> data_;
    std::int64_t capacity_ = 0;
};

/// Calls visit(float()) or visit(double()).
template <class Visit>
void with_type(element_type type, const Visit& visit) {
    if (type == element_type::float32)
        visit(float());
    else
        visit(double());
}

// Training and validation rows of one data set (derived_source.cpp).

struct data_parts {
    data_source training, validation;
};

/// Takes about `fraction` of the rows out for validation: the data is cut into as many runs of equal length as there
/// are validation rows, and of each run one row is drawn by the seed. So rows in any order are represented evenly, and
/// the same seed gives the same rows however the data is stored. Throws invalid_argument unless each part has a row.
data_parts split(const data_source& data, double fraction, std::uint64_t seed);

/// The rows that split takes out for validation, ascending. Throws as split does.
std::vector<std::int64_t> validation_rows(const data_source& data, double fraction, std::uint64_t seed);

} // namespace elbo::io
