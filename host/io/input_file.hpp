// A file to read: what it is called, and its bytes, as a stream or as memory.
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <utility>

namespace elbo::io {

/// The name that stands for standard input.
inline constexpr std::string_view standard_input = "-";

/// What a file is called, and the path under which it is opened, as often as there are passes.
class input_file {
public:
    /// An ordinary file, which is called by its path.
    input_file(std::string path) : name_(path), path_(std::move(path)) {}

    /// Whatever `path` names. What can be read only once (a pipe, a socket, a terminal, standard input "-") is read
    /// now, to its end, into a temporary file without a name; while one of its copies lives, opening it again gives the
    /// same bytes. Throws file_error (missing, a device without end, no room for a temporary file).
    static input_file open(const std::string& path);
    /// The decompressed bytes of a gzip file, kept in the same way.
    static input_file decompressed(const input_file& file);

    /// For messages: the path as it was given, or "standard input".
    const std::string& name() const { return name_; }
    /// For opening.
    const std::string& path() const { return path_; }
    /// Whether the bytes are kept elsewhere: the name says nothing about where they are.
    bool kept() const { return kept_ != nullptr; }
    /// What must live for as long as the file is opened again.
    const std::shared_ptr<const void>& keeper() const { return kept_; }

private:
    std::string name_, path_;
    std::shared_ptr<const void> kept_;
};

/// Bytes one after the other: a file, a part of one, or what a decompressor makes of another stream.
class byte_stream {
public:
    virtual ~byte_stream() = default;
    /// Reads up to `bytes` bytes (at least one unless the stream has ended); returns how many. Throws file_error.
    virtual std::size_t read(char* to, std::size_t bytes) = 0;
};

/// Opens a stream anew, for each pass over the data.
using stream_opener = std::function<std::unique_ptr<byte_stream>()>;

/// A file from its beginning. Throws file_error (missing, unreadable, a folder).
std::unique_ptr<byte_stream> open_file_stream(const input_file& file);

/// Reads until `bytes` bytes or the end of the stream; returns how many.
std::size_t read_fully(byte_stream& stream, char* to, std::size_t bytes);
/// Reads exactly `bytes` bytes; `offset` is where they lie in the stream, `what` names them. Throws file_error with the
/// byte offset where the stream ended.
void read_exactly(byte_stream& stream, char* to, std::size_t bytes, const std::string& path, std::uint64_t offset,
                  std::string_view what);
/// The first bytes of a file (fewer where it is shorter), to look at what it is.
std::string first_bytes(const input_file& file, std::size_t count);

/// A whole number of `count` bytes, the lowest first.
constexpr std::uint64_t little_endian(const char* bytes, std::size_t count) {
    std::uint64_t value = 0;
    while (count > 0)
        value = value << 8 | static_cast<unsigned char>(bytes[--count]);
    return value;
}

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

/// A file that is read at any place, also from several threads. Whatever others do to it meanwhile is an error of
/// reading, never a signal.
class random_access_file {
public:
    /// Throws file_error (missing, unreadable, not an ordinary file).
    explicit random_access_file(const input_file& file);
    ~random_access_file();
    random_access_file(const random_access_file&) = delete;
    random_access_file& operator=(const random_access_file&) = delete;

    const std::string& name() const { return name_; }
    /// Bytes when it was opened.
    std::uint64_t size() const { return size_; }
    /// Reads exactly `bytes` bytes from the place `offset` on; `what` names them. Throws file_error with the byte
    /// offset where the file ends now.
    void read(std::uint64_t offset, char* to, std::size_t bytes, std::string_view what) const;

private:
    friend class mapped_file;
    std::string name_;
    int file_ = -1;
    std::uint64_t size_ = 0;
};
/// The `bytes` bytes of a file from the place `offset` on.
std::unique_ptr<byte_stream> open_part_stream(std::shared_ptr<const random_access_file> file, std::uint64_t offset,
                                              std::uint64_t bytes);

/// A file mapped read-only. Pages are read when touched, so a file larger than memory may be mapped. Where it is
/// shortened meanwhile, or an error of reading occurs, touching it ends the process (SIGBUS).
class mapped_file {
public:
    /// Throws file_error.
    explicit mapped_file(const random_access_file& file);
    ~mapped_file();
    mapped_file(const mapped_file&) = delete;
    mapped_file& operator=(const mapped_file&) = delete;

    std::span<const char> bytes() const { return {static_cast<const char*>(address_), size_}; }
    /// Lets the system take back the pages that lie wholly in [first, last) of the memory; touching them reads them
    /// anew. Keeps the resident size of a pass over a large file small.
    void release(const char* first, const char* last) const;

private:
    void* address_ = nullptr;
    std::size_t size_ = 0;
};

} // namespace elbo::io
