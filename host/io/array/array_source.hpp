// A binary array in a file as a data source, whatever the format that surrounds it.
#pragma once

#include "host/io/array/scalar.hpp"
#include "host/io/sources.hpp"

namespace elbo::io {

/// What a header says about the array that follows it.
struct array_layout {
    stored_scalar element;
    std::int64_t rows = 0;
    std::int64_t cols = 0;
    bool fortran_order = false; ///< column by column
    std::uint64_t offset = 0;   ///< of the first element, in bytes from the beginning of the file or stream
    std::int64_t bytes() const; ///< of all elements
};

/// rows x cols of a shape of one or more extents: the first extent, and the product of the others. Throws file_error at
/// `offset` for an extent below zero, no extent at all, or a size that no address can reach.
void set_shape(array_layout& layout, const std::vector<std::int64_t>& shape, const std::string& path,
               std::uint64_t offset);

/// A part of a file: all of it, or a member of an archive.
struct file_part {
    std::uint64_t offset = 0, bytes = 0;
};

/// An uncompressed array in a part of a file, named `description`: read anew in each pass, or with file_options::map
/// mapped. Throws file_error where the array is longer than the part.
std::unique_ptr<opened_file> open_array(const std::string& description, std::shared_ptr<const random_access_file> file,
                                        const file_part& part, const array_layout& layout, const file_options& options);

/// Reads what is before the elements; the name of the file is for messages.
using header_reader = std::function<array_layout(byte_stream& stream, const std::string& path)>;
/// An array that is all of a file after its header, as it is or compressed by gzip; if `exact`, nothing may follow.
std::unique_ptr<opened_file> open_array_file(const input_file& file, bool gzip, const header_reader& header, bool exact,
                                             const file_options& options);

/// An array in a compressed stream, which begins with layout.offset bytes of header. What file_options::keep has room
/// for, and an array in column order, is decompressed once; others in each pass. Throws file_error where the stream
/// ends early, or, if `exact`, goes on after the array.
std::unique_ptr<opened_file> open_array_stream(const std::string& description, const stream_opener& open,
                                               const array_layout& layout, bool exact, const file_options& options);

/// Groups of columns of an array in memory, as it was stored.
std::vector<source_pointer> open_elements(const std::string& description, std::shared_ptr<const char> elements,
                                          const array_layout& layout, std::optional<element_type> type,
                                          const group_columns& groups);

/// Reads the header of NumPy's .npy format at the beginning of `stream`. `path` names the file and `first_byte` the
/// place of the stream in it, for messages. Throws file_error (not .npy, truncated, malformed, a type that is no real
/// number).
array_layout read_npy_header(byte_stream& stream, const std::string& path, std::uint64_t first_byte = 0);

} // namespace elbo::io
