// Which format a file has: by its ending, and by its first bytes.
#pragma once

#include <string>
#include <string_view>

namespace elbo::io {

enum class file_format { text, npy, npz, float32, float64, idx, hdf5, unknown };

struct path_format {
    file_format format = file_format::unknown;
    bool gzip = false;
};

/// By the ending of the name, whatever its case.
path_format format_of_path(std::string_view path);
/// Whether the name ends so, whatever its case; `ending` in lower case.
bool has_ending(std::string_view path, std::string_view ending);
/// What a file that begins so is, in words: "a NumPy .npy file", "text", ..., "an unknown binary file".
std::string looks_like(std::string_view first_bytes);

} // namespace elbo::io
