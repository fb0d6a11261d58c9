// Decompression of gzip files and of the deflated members of zip archives, as streams.
#pragma once

#include "host/io/byte_stream.hpp"

#include <memory>
#include <string>

namespace elbo::io {

/// What surrounds the deflated bytes.
enum class deflate_wrapper {
    gzip, ///< header, checksum and length; several members may follow one another
    none  ///< a member of a zip archive
};

/// Decompresses `compressed`. Reading throws file_error naming `path` and the byte of the compressed file where it is
/// truncated or damaged; `first_byte` is the place of the compressed stream in that file.
std::unique_ptr<byte_stream> open_inflate_stream(std::unique_ptr<byte_stream> compressed, deflate_wrapper wrapper,
                                                 const std::string& path, std::uint64_t first_byte = 0);
/// Opens a file for each pass over its bytes, or where it is a gzip file over those that it holds.
stream_opener opener_of(const input_file& file, bool gzip);

} // namespace elbo::io
