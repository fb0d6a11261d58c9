// The safetensors container (github.com/huggingface/safetensors): named tensors and a table of strings.
//
// 8 bytes: length n of the header, little-endian; n bytes: JSON {"name": {"dtype", "shape", "data_offsets"}, ...,
// "__metadata__": {...}}; then the tensors, little-endian, without gaps.
#pragma once

#include <concepts>
#include <cstddef>
#include <cstdint>
#include <map>
#include <span>
#include <string>
#include <utility>
#include <vector>

namespace elbo::io {

enum class tensor_type { float32, float64, int64 };

/// Bytes of one element.
constexpr std::int64_t size_of(tensor_type type) {
    return type == tensor_type::float32 ? 4 : 8;
}

template <class T>
constexpr tensor_type tensor_type_of = std::same_as<T, float>    ? tensor_type::float32
                                       : std::same_as<T, double> ? tensor_type::float64
                                                                 : tensor_type::int64;

struct tensor {
    tensor_type type = tensor_type::float64;
    std::vector<std::int64_t> shape;
    std::vector<std::byte> bytes; ///< row-major

    template <class T>
    static tensor of(std::vector<std::int64_t> shape, const std::vector<T>& values) {
        const auto bytes = std::as_bytes(std::span(values));
        return {tensor_type_of<T>, std::move(shape), {bytes.begin(), bytes.end()}};
    }
    /// float32 where every value is one exactly, else float64.
    static tensor compact(std::vector<std::int64_t> shape, const std::vector<double>& values);
    /// Elements; the product of the shape.
    std::int64_t size() const { return static_cast<std::int64_t>(bytes.size()) / size_of(type); }
};

struct tensor_file {
    std::map<std::string, std::string> metadata;
    std::map<std::string, tensor> tensors;

    /// The float64 tensor `name` of this shape, or where it is `compact` a float32 one; -1 stands for any extent.
    /// Throws file_error naming `path`.
    std::vector<double> doubles(const std::string& name, const std::vector<std::int64_t>& shape,
                                const std::string& path, bool compact = false) const;
    /// The same for int64.
    std::vector<std::int64_t> integers(const std::string& name, const std::vector<std::int64_t>& shape,
                                       const std::string& path) const;
};

/// Writes to a temporary file that is renamed. Throws file_error, and invalid_argument where a shape and the number of
/// elements differ.
void write_safetensors(const std::string& path, const tensor_file& contents);
/// Reads and checks everything: length of the header, types, shapes, offsets (in order, no gap, no overlap, to the very
/// end). Throws file_error with the byte offset.
tensor_file read_safetensors(const std::string& path);

} // namespace elbo::io
