// Data as a sequence of row batches, wherever it lies.
#pragma once

#include "elbo/matrix_view.hpp"

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

namespace elbo {

/// One pass over the rows of a data_source, in order.
class batch_reader {
public:
    virtual ~batch_reader() = default;
    /// The next rows: exactly the number of rows that was asked for, fewer only at the end, zero after it. The view
    /// is valid until the next call. Throws file_error.
    virtual any_matrix_view next() = 0;
};

/// Whether the first record of a text table holds the names of its columns.
enum class header_row {
    automatic, ///< it does where none of its fields is a number, and where pandas numbered the columns (docs/cpp.md)
    yes,
    no
};

/// How to read a file.
struct file_options {
    std::string dataset = {};              ///< HDF5 dataset or .npz member; also as "file.h5:/dataset"
    std::int64_t dimensions = 0;           ///< columns of a raw .f32/.f64 file
    std::vector<std::string> columns = {}; ///< names (with a header) or numbers from 0; empty takes all numeric columns
    std::optional<element_type> type = {}; ///< convert to this type; by default CSV float64, and what is stored as
                                           ///< whole numbers float32, or float64 where one is beyond 2^24
    double scale = 1;                      ///< every value times this: 1/255 makes grey values 0 ... 255 probabilities
    std::optional<std::int64_t> keep = {}; ///< bytes of its numbers, up to which a file that would be parsed or
                                           ///< decompressed anew in each pass is kept in memory when it is opened; by
                                           ///< default a quarter of the machine's memory
    header_row header = header_row::automatic; ///< of a text table
    char delimiter = 0;                        ///< of a text table; ' ' stands for runs of blanks; 0: found by itself
    bool decimal_comma = false;                ///< in a text table 1,5 is one and a half, and a comma separates nothing
    std::vector<std::string> missing = {};     ///< texts, or numbers, that stand for missing values, beside NA and the
                                               ///< like: refused with their row and column
    bool strict = false;                       ///< refuse a file of which a column would be left out
    bool map = false; ///< map an uncompressed array of numbers into memory, so that contiguous() is a view of it.
                      ///< Nobody may change such a file meanwhile: where it is shortened, or its file system fails, the
                      ///< program is killed (SIGBUS). By default it is read anew in each pass, ahead of the work.
};

/// A column of a file that is not in the data although nobody chose columns.
struct left_out_column {
    std::int64_t number = 0; ///< in the file, from 0
    std::string name;        ///< empty where it has none
    std::string reason;      ///< "text, as 'setosa' in line 2"
};

/// Something that yields row batches: a view, a list of chunks, a file, a generator. A value; copies share the
/// underlying data. What it refers to (views, chunks) must outlive it. Rows and columns are known at construction.
class data_source {
public:
    /// A matrix in host, pinned or device memory. Throws invalid_argument: null data, stride < cols, negative sizes.
    data_source(any_matrix_view view);
    data_source(matrix_view<const float> view) : data_source(any_matrix_view(view)) {}
    data_source(matrix_view<const double> view) : data_source(any_matrix_view(view)) {}
    data_source(matrix_view<float> view) : data_source(any_matrix_view(view)) {}
    data_source(matrix_view<double> view) : data_source(any_matrix_view(view)) {}
    /// Chunks one after the other, of any row counts; same columns, type and memory space.
    static data_source chunks(std::vector<any_matrix_view> parts);
    /// Any supported file, by its ending: .csv .tsv .data .tra .tes .txt (text), .npy, .npz, .f32, .f64, idx
    /// (…-ubyte), .h5/.hdf5, and .gz of each. Text, compressed arrays and HDF5 are read once, here, and kept where they
    /// are no more than options.keep; larger ones are read anew in each pass, in memory that does not grow with the
    /// file. A pipe, and standard input, "-", are read once, into a temporary file without a name ($TMPDIR, else /tmp);
    /// what they are is told by the ending or else by their first bytes, and while a source of it lives, a pipe can be
    /// opened again. Throws file_error (missing, truncated, malformed: line or byte offset; a missing value; a whole
    /// number beyond 2^53, which float64 cannot hold) and invalid_argument (unknown column, scale 0, delimiter; options
    /// for text of a file that is none; a data set named in path and options).
    static data_source file(const std::string& path, const file_options& options = {});
    /// `fill(first_row, rows, out)` writes rows first_row ... of a matrix of `rows` x `cols` floats, row-major. It may
    /// be called from another thread, which reads ahead, but never from two at a time.
    static data_source generator(std::int64_t rows, std::int64_t cols,
                                 std::function<void(std::int64_t first_row, std::int64_t rows, float* out)> fill);

    std::int64_t rows() const;
    std::int64_t cols() const;
    element_type type() const;
    memory_space space() const;
    /// The data as one matrix, where it is one already (a view, numbers that are kept, a file with file_options::map).
    std::optional<any_matrix_view> contiguous() const;
    /// Names of the columns, empty where there are none.
    const std::vector<std::string>& column_names() const;
    /// What it is, for messages: "faithful.csv", "matrix 272 x 2 (host, float32)".
    const std::string& description() const;
    /// Columns of the file that are not in the data, and why: text, names of rows, columns without a value.
    const std::vector<left_out_column>& left_out() const;
    /// What reading took for granted, in sentences: that a first row 0, 1, 2 is the header that pandas writes.
    const std::vector<std::string>& remarks() const;
    /// Bytes of host memory in which it keeps its numbers: of a file, up to file_options::keep; 0 for views.
    std::int64_t kept_bytes() const;
    /// Starts a pass that yields `rows_per_batch` rows at a time whatever the chunks of the source are.
    std::unique_ptr<batch_reader> read(std::int64_t rows_per_batch) const;

    /// What a kind of source implements (host/io).
    class implementation;
    explicit data_source(std::shared_ptr<const implementation> impl);
    const std::shared_ptr<const implementation>& shared() const { return impl_; }

private:
    std::shared_ptr<const implementation> impl_;
};

class data_source::implementation {
public:
    virtual ~implementation() = default;
    std::int64_t rows = 0;
    std::int64_t cols = 0;
    element_type type = element_type::float32;
    memory_space space = memory_space::host;
    std::vector<std::string> column_names;
    std::string description;
    std::vector<left_out_column> left_out;
    std::vector<std::string> remarks;
    std::int64_t kept = 0; ///< bytes of host memory that hold its numbers
    virtual std::optional<any_matrix_view> contiguous() const { return std::nullopt; }
    virtual std::unique_ptr<batch_reader> read(std::int64_t rows_per_batch) const = 0;
};

/// The columns of `data` that have the names of a model's columns, in the order of the model: other columns are left
/// out, and the order of the file plays no part. `data` itself where it or the model has no names: then columns go by
/// their position. Throws invalid_argument: a name that the data lacks or has twice; `model` says whose names they are.
data_source match_columns(const data_source& data, const std::vector<std::string>& names,
                          const std::string& model = "the model");

} // namespace elbo
