// What the fuzz targets share: the input as a file, and a reader that may throw nothing but elbo::error.
#pragma once

#include "elbo/data_source.hpp"
#include "elbo/error.hpp"

#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <fcntl.h>
#include <string>
#include <unistd.h>

namespace elbo::fuzz {

/// A file in memory with these bytes and this ending, until the next call. Readers choose by the ending, so it needs a
/// name.
inline std::string as_file(const std::uint8_t* bytes, std::size_t size, const std::string& ending) {
    static const std::string folder = ::access("/dev/shm", W_OK) == 0 ? "/dev/shm" : "/tmp";
    const std::string path = folder + "/elbo-fuzz-" + std::to_string(::getpid()) + ending;
    const int descriptor = ::open(path.c_str(), O_WRONLY | O_CREAT | O_TRUNC, 0600);
    if (descriptor < 0 || ::write(descriptor, bytes, size) != static_cast<ssize_t>(size))
        std::abort();
    ::close(descriptor);
    return path;
}

/// Where every number goes, so that no read is optimised away.
inline volatile double sink = 0;

/// Reads the file to its end, touching every number.
inline void read_all(const std::string& path, const file_options& options = {}) {
    try {
        const data_source source = data_source::file(path, options);
        // A matrix without columns may have any number of rows and no bytes.
        if (source.cols() == 0)
            return;
        const auto reader = source.read(7);
        for (any_matrix_view batch = reader->next(); batch.rows > 0; batch = reader->next())
            for (std::int64_t i = 0; i < batch.rows; ++i)
                for (std::int64_t j = 0; j < batch.cols; ++j)
                    sink = batch.type == element_type::float32 ? static_cast<double>(batch.as<float>()(i, j))
                                                               : batch.as<double>()(i, j);
    } catch (const error&) { // what a reader may throw; anything else ends the run
    }
    ::unlink(path.c_str());
}

} // namespace elbo::fuzz
