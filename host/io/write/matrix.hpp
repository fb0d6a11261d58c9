// Matrices to files, batch by batch.
#pragma once

#include "elbo/matrix_view.hpp"
#include "host/io/format.hpp"

#include <cstdint>
#include <memory>
#include <vector>

namespace elbo::io {

/// Type of the numbers in a written file. Labels are integers.
enum class output_type { float32, float64, int32, int64 };

/// A matrix for writing, of a size known from the start. By the ending of the name: .csv (also .data, .txt) and .tsv,
/// with numbers that read back to the same bits, .npy, .f32, .f64 (little-endian, row by row; these two fix the type),
/// and .h5 or .hdf5 (dataset /data, or with "file.h5:/name" that one, beside what the file holds already). Written to a
/// temporary file that is renamed by close, so that there is never half a file under this name.
class matrix_writer {
public:
    class format;

    /// Whether open can succeed, as far as that is known before the work: throws invalid_argument for an unknown
    /// ending, an HDF5 file that holds other data than /data where no dataset is named, or has the one that is named.
    static void check(const std::string& path);
    /// `column_names` head a .csv or .tsv and are ignored by the others; empty for none.
    /// Throws invalid_argument (as check; negative size, number of names), file_error (unwritable) and
    /// not_available (.h5 in a build without HDF5).
    static matrix_writer open(const std::string& path, std::int64_t rows, std::int64_t cols, output_type type,
                              const std::vector<std::string>& column_names = {});
    matrix_writer(matrix_writer&&) noexcept;
    matrix_writer& operator=(matrix_writer&&) noexcept;
    /// Without close the file under the name stays as it was.
    ~matrix_writer();

    /// The next rows, in host memory, converted to the type of the file (to integers by truncation).
    /// Throws invalid_argument (other columns, more rows than announced, device memory) and file_error (disk full).
    void append(const any_matrix_view& batch);
    void append(matrix_view<const std::int32_t> batch);
    void append(matrix_view<const std::int64_t> batch);
    /// Throws invalid_argument (fewer rows than announced) and file_error.
    void close();

private:
    explicit matrix_writer(std::unique_ptr<format> f);
    template <class T>
    void append_rows(const matrix_view<const T>& batch);

    std::unique_ptr<format> format_;
};

/// One kind of file.
class matrix_writer::format {
public:
    virtual ~format() = default;
    /// `rows` densely packed rows of numbers of `type`.
    virtual void write(const void* numbers, std::int64_t rows) = 0;
    virtual void close() = 0;

    std::string path;
    std::int64_t rows = 0, cols = 0;
    output_type type = output_type::float64;
    std::int64_t written = 0; ///< rows so far
};

std::int64_t size_of(output_type type);

std::unique_ptr<matrix_writer::format> create_hdf5(const located_file& target, std::int64_t rows, std::int64_t cols,
                                                   output_type type);
/// Throws invalid_argument where writing would lose what the file holds, or where the dataset is there already.
void check_hdf5_target(const located_file& target);

} // namespace elbo::io
