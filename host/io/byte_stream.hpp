// Bytes one after the other: a file, a piece of memory, or what a decompressor makes of another stream.
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <span>
#include <string>
#include <string_view>

namespace elbo::io {

class byte_stream {
public:
    virtual ~byte_stream() = default;
    /// Reads up to `bytes` bytes (at least one unless the stream has ended); returns how many. Throws file_error.
    virtual std::size_t read(char* to, std::size_t bytes) = 0;
};

/// Opens a stream anew, for each pass over the data.
using stream_opener = std::function<std::unique_ptr<byte_stream>()>;

class input_file;

/// A file from its beginning. Throws file_error (missing, unreadable, a folder).
std::unique_ptr<byte_stream> open_file_stream(const input_file& file);
/// Memory that outlives the stream.
std::unique_ptr<byte_stream> open_memory_stream(std::span<const char> bytes);

/// Reads until `bytes` bytes or the end of the stream; returns how many.
std::size_t read_fully(byte_stream& stream, char* to, std::size_t bytes);
/// Reads exactly `bytes` bytes; `offset` is where they lie in the stream, `what` names them. Throws file_error with the
/// byte offset where the stream ended.
void read_exactly(byte_stream& stream, char* to, std::size_t bytes, const std::string& path, std::uint64_t offset,
                  std::string_view what);

/// A whole number of `count` bytes, the lowest first.
constexpr std::uint64_t little_endian(const char* bytes, std::size_t count) {
    std::uint64_t value = 0;
    while (count > 0)
        value = value << 8 | static_cast<unsigned char>(bytes[--count]);
    return value;
}

/// The first bytes of a file (fewer where it is shorter), to look at what it is.
std::string first_bytes(const input_file& file, std::size_t count);

/// What surrounds deflated bytes.
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
