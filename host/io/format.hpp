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
/// By the first bytes of the file; text where they are none of the others. What a gzip file holds, is not looked at.
path_format format_of_bytes(std::string_view first_bytes);

/// A file, and which of several data sets in it.
struct located_file {
    std::string path;
    std::string dataset; ///< empty where the name says none
};
/// Takes "file.h5:/dataset" and "file.npz:/member" apart; any other name is a path.
located_file locate(const std::string& name);
/// Whether the name ends so, whatever its case; `ending` in lower case.
bool has_ending(std::string_view path, std::string_view ending);
/// What a file that begins so is, in words: "a NumPy .npy file", "text", ..., "an unknown binary file".
std::string looks_like(std::string_view first_bytes);

} // namespace elbo::io
