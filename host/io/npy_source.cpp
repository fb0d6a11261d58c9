// NumPy's .npy files, memory-mapped.
#include "host/io/npy_header.hpp"
#include "host/io/sources.hpp"

namespace elbo::io {

source_pointer open_npy(const std::string& path, const file_options& options) {
    auto file = std::make_shared<const mapped_file>(path);
    const std::span<const char> bytes = file->bytes();
    const array_layout layout = read_npy_header(*open_memory_stream(bytes), path);
    return open_array(path, std::move(file), bytes, 0, layout, options);
}

} // namespace elbo::io
