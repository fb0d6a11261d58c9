// NumPy's .npy files, memory-mapped, or compressed by gzip.
#include "host/io/array/npy_header.hpp"
#include "host/io/inflate_stream.hpp"
#include "host/io/sources.hpp"

namespace elbo::io {

std::unique_ptr<opened_file> open_npy(const input_file& file, bool gzip, const file_options& options) {
    const std::string& path = file.name();
    if (gzip) {
        const stream_opener open = opener_of(file, true);
        return open_array_stream(path, open, read_npy_header(*open(), path), false, options);
    }
    auto mapping = std::make_shared<const mapped_file>(file);
    const std::span<const char> bytes = mapping->bytes();
    const array_layout layout = read_npy_header(*open_memory_stream(bytes), path);
    return open_array(path, std::move(mapping), bytes, 0, layout, options);
}

} // namespace elbo::io
