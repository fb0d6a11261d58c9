// The safetensors container (github.com/huggingface/safetensors): named tensors and a table of strings.
//
// 8 bytes: length n of the header, little-endian; n bytes: JSON {"name": {"dtype", "shape", "data_offsets"}, ...,
// "__metadata__": {...}}; then the tensors, little-endian, without gaps.
#pragma once

#include <cstddef>
#include <cstdint>
#include <map>
#include <string>
#include <utility>
#include <vector>

namespace elbo::io {

enum class tensor_type { float32, float64, int64 };

/// Bytes of one element.
std::int64_t size_of(tensor_type type);

struct tensor {
    tensor_type type = tensor_type::float64;
    std::vector<std::int64_t> shape;
    std::vector<std::byte> bytes; ///< row-major

    static tensor of(std::vector<std::int64_t> shape, const std::vector<float>& values);
    static tensor of(std::vector<std::int64_t> shape, const std::vector<double>& values);
    static tensor of(std::vector<std::int64_t> shape, const std::vector<std::int64_t>& values);
    /// float32 where every value is one exactly, else float64.
    static tensor compact(std::vector<std::int64_t> shape, const std::vector<double>& values);
    /// Elements; the product of the shape.
    std::int64_t size() const { return static_cast<std::int64_t>(bytes.size()) / size_of(type); }
};

struct tensor_file {
    std::map<std::string, std::string> metadata;
    std::map<std::string, tensor> tensors;
    std::uint64_t bytes = 0; ///< length of the file that was read

    /// The float64 tensor `name` of this shape; -1 stands for any extent. Throws file_error naming `path`.
    std::vector<double> doubles(const std::string& name, const std::vector<std::int64_t>& shape,
                                const std::string& path) const;
    /// The same for int64.
    std::vector<std::int64_t> integers(const std::string& name, const std::vector<std::int64_t>& shape,
                                       const std::string& path) const;
    /// As doubles, for a tensor that may also be float32.
    std::vector<double> reals(const std::string& name, const std::vector<std::int64_t>& shape,
                              const std::string& path) const;
};

/// Writes to a temporary file that is renamed. Throws file_error, and invalid_argument where a shape and the number of
/// elements differ.
void write_safetensors(const std::string& path, const tensor_file& contents);
/// Reads and checks everything: length of the header, types, shapes, offsets (in order, no gap, no overlap, to the very
/// end). Throws file_error with the byte offset.
tensor_file read_safetensors(const std::string& path);

} // namespace elbo::io
