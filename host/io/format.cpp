#include "host/io/format.hpp"

#include <algorithm>
#include <array>
#include <cctype>
#include <utility>

namespace elbo::io {
namespace {

using namespace std::string_view_literals;

std::string lower(std::string_view text) {
    std::string out(text);
    std::transform(out.begin(), out.end(), out.begin(), [](unsigned char c) { return std::tolower(c); });
    return out;
}

constexpr std::pair<std::string_view, file_format> endings[] = {
    {".csv", file_format::text},  {".tsv", file_format::text},    {".data", file_format::text},
    {".tra", file_format::text},  {".tes", file_format::text},    {".txt", file_format::text},
    {"-ubyte", file_format::idx}, {".idx", file_format::idx},     {".npy", file_format::npy},
    {".npz", file_format::npz},   {".f32", file_format::float32}, {".f64", file_format::float64},
    {".h5", file_format::hdf5},   {".hdf5", file_format::hdf5}};

struct magic {
    std::string_view bytes;
    std::string_view name;
    path_format of = {}; // of files that are read
};

constexpr std::array magics = {
    magic{"\x93NUMPY"sv, "a NumPy .npy file", {file_format::npy}},
    magic{"PK\x03\x04"sv, "a zip archive (.npz)", {file_format::npz}},
    magic{"PK\x05\x06"sv, "an empty zip archive", {file_format::npz}},
    magic{"\x89HDF\r\n\x1a\n"sv, "an HDF5 file (.h5)", {file_format::hdf5}},
    magic{"\x1f\x8b"sv, "a gzip file (.gz)", {file_format::unknown, true}},
    magic{"BZh91AY&SY"sv, "a bzip2 file"},
    magic{"\x28\xb5\x2f\xfd"sv, "a zstd file"},
    magic{"\xfd\x37zXZ"sv, "an xz file"},
    magic{"\x89PNG"sv, "a PNG image"},
    magic{"%PDF"sv, "a PDF document"},
    magic{"PAR1\x15"sv, "a Parquet file"},
    magic{"MATLAB 5.0 MAT-file"sv, "a MATLAB file"},
    magic{"RDX2\n"sv, "an R data file"},
    magic{"RDX3\n"sv, "an R data file"},
    magic{"version https://git-lfs"sv, "a Git LFS pointer (the data itself was not fetched)"},
    magic{"<!DOCTYPE"sv, "an HTML page"},
    magic{"<!doctype"sv, "an HTML page"},
    magic{"<html"sv, "an HTML page"},
    magic{"{"sv, "JSON text"},
    magic{"\xff\xfe"sv, "UTF-16 text"},
    magic{"\xfe\xff"sv, "UTF-16 text"},
};

bool is_idx(std::string_view b) {
    return b.size() >= 4 && b[0] == 0 && b[1] == 0 && "\x08\x09\x0b\x0c\x0d\x0e"sv.find(b[2]) != b.npos && b[3] > 0 &&
           b[3] < 9;
}

// 8 bytes of header length, then a JSON object.
bool is_safetensors(std::string_view b) {
    return b.size() >= 9 && b[6] == 0 && b[7] == 0 && b[8] == '{';
}

bool is_text(std::string_view b) {
    return std::none_of(b.begin(), b.end(), [](unsigned char c) { return c < 0x20 && !std::isspace(c); });
}

} // namespace

bool has_ending(std::string_view path, std::string_view ending) {
    return lower(path).ends_with(ending);
}

path_format format_of_path(std::string_view path) {
    std::string name = lower(path.substr(path.find_last_of('/') + 1));
    path_format result;
    if (name.ends_with(".gz")) {
        result.gzip = true;
        name.resize(name.size() - 3);
    }
    const std::size_t idx = name.find("idx");
    const bool numbered_idx = idx != name.npos && idx + 4 < name.size() &&
                              std::isdigit(static_cast<unsigned char>(name[idx + 3])) && name[idx + 4] == '-';
    for (const auto& [ending, format] : endings)
        if (name.ends_with(ending) || (format == file_format::idx && numbered_idx)) {
            result.format = format;
            break;
        }
    return result;
}

path_format format_of_bytes(std::string_view first_bytes) {
    for (const magic& m : magics)
        if (m.of.format != file_format::unknown || m.of.gzip)
            if (first_bytes.starts_with(m.bytes))
                return m.of;
    return {is_idx(first_bytes) ? file_format::idx : file_format::text, false};
}

located_file locate(const std::string& name) {
    const std::size_t colon = name.rfind(":/");
    if (colon == name.npos)
        return {name, {}};
    const std::string path = name.substr(0, colon);
    const file_format format = format_of_path(path).format;
    if (format == file_format::hdf5)
        return {path, name.substr(colon + 1)};
    if (format == file_format::npz)
        return {path, name.substr(colon + 2)};
    return {name, {}};
}

std::string looks_like(std::string_view first_bytes) {
    if (first_bytes.empty())
        return "an empty file";
    for (const magic& m : magics)
        if (first_bytes.starts_with(m.bytes))
            return std::string(m.name);
    if (is_idx(first_bytes))
        return "an idx file";
    if (is_safetensors(first_bytes))
        return "a safetensors file";
    return is_text(first_bytes) ? "text" : "an unknown binary file";
}

} // namespace elbo::io
