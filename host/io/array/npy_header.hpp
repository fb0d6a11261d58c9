// The header of NumPy's .npy format, versions 1 to 3 (numpy.org/doc/stable/reference/generated/numpy.lib.format.html).
#pragma once

#include "host/io/array/array_source.hpp"
#include "host/io/byte_stream.hpp"

#include <string>

namespace elbo::io {

/// Reads the header at the beginning of `stream`. `path` names the file and `first_byte` the place of the stream in it,
/// for messages. Throws file_error (not .npy, truncated, malformed, a type that is no real number).
array_layout read_npy_header(byte_stream& stream, const std::string& path, std::uint64_t first_byte = 0);

} // namespace elbo::io
