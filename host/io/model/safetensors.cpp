#include "host/io/model/safetensors.hpp"

#include "elbo/error.hpp"
#include "host/io/errors.hpp"
#include "host/io/format.hpp"
#include "host/io/input_file.hpp"
#include "host/io/model/json.hpp"
#include "host/io/write/atomic_file.hpp"
#include "host/joined.hpp"
#include "kernels/shared/memory.hpp"

#include <algorithm>
#include <cmath>
#include <cstring>
#include <fmt/format.h>
#include <limits>

namespace elbo::io {
namespace {

constexpr std::uint64_t length_bytes = 8;
constexpr std::uint64_t longest_header = 100'000'000; // as the other implementations

constexpr const char* type_names[] = {"F32", "F64", "I64"}; // in the order of tensor_type

const char* name_of(tensor_type type) {
    return type_names[static_cast<int>(type)];
}

/// Bytes of such a tensor, or nothing where they cannot be counted.
std::optional<std::int64_t> bytes_of(tensor_type type, const std::vector<std::int64_t>& shape) {
    std::optional<std::int64_t> bytes = size_of(type);
    for (const std::int64_t extent : shape)
        bytes = bytes && extent >= 0 ? checked_product(*bytes, extent) : std::nullopt;
    return bytes;
}

/// The tensor of this name and shape and one of `types`.
const tensor& find(const tensor_file& file, const std::string& name, std::initializer_list<tensor_type> types,
                   const std::vector<std::int64_t>& shape, const std::string& path) {
    const auto found = file.tensors.find(name);
    if (found == file.tensors.end())
        fail(path, fmt::format("expected a tensor {}", in_quotes(name)));
    const tensor& t = found->second;
    const auto fits = [](std::int64_t extent, std::int64_t expected) { return expected == -1 || extent == expected; };
    if (std::ranges::find(types, t.type) == types.end() ||
        !std::equal(t.shape.begin(), t.shape.end(), shape.begin(), shape.end(), fits)) {
        std::vector<std::string> expected;
        for (const tensor_type type : types)
            expected.push_back(name_of(type));
        fail(path, fmt::format("tensor {}: {} of shape ({}), expected {} of shape ({})", in_quotes(name),
                               name_of(t.type), joined(t.shape, ", "), joined(expected, " or "), joined(shape, ", ")));
    }
    return t;
}

template <class T>
std::vector<T> values_of(const tensor& t) {
    std::vector<T> values(static_cast<std::size_t>(t.size()));
    if (!values.empty())
        std::memcpy(values.data(), t.bytes.data(), t.bytes.size());
    return values;
}

std::string make_header(const tensor_file& contents) {
    std::string text = "{";
    if (!contents.metadata.empty())
        text += "\"__metadata__\":" + json_text(json(contents.metadata));
    std::uint64_t offset = 0;
    for (const auto& [name, t] : contents.tensors) {
        if (bytes_of(t.type, t.shape) != static_cast<std::int64_t>(t.bytes.size()))
            throw invalid_argument(fmt::format("tensor '{}': {} elements do not fill the shape ({})", name, t.size(),
                                               joined(t.shape, ", ")));
        const json entry = {
            {"dtype", name_of(t.type)}, {"shape", t.shape}, {"data_offsets", {offset, offset + t.bytes.size()}}};
        if (text.size() > 1)
            text += ',';
        text += fmt::format("{}:{}", json_text(json(name)), json_text(entry));
        offset += t.bytes.size();
    }
    text += '}';
    text.append((8 - text.size() % 8) % 8, ' '); // so that the tensors are aligned
    return text;
}

class reader {
public:
    explicit reader(const std::string& path) : path_(path), file_(input_file(path)) {}

    tensor_file read() {
        const json header = read_header();
        tensor_file contents;
        for (const auto& [name, value] : header.items()) {
            if (name == "__metadata__")
                contents.metadata = read_metadata(value);
            else
                contents.tensors.emplace(name, read_tensor(name, value));
        }
        check_coverage();
        return contents;
    }

private:
    struct extent {
        std::uint64_t begin, end;
        std::string name;
    };

    json read_header() {
        const std::string head = text(0, std::min<std::uint64_t>(file_.size(), 64));
        if (head.size() < length_bytes)
            fail_at_byte(path_, head.size(), "the file ends here, expected the 8 bytes of the header's length");
        const std::uint64_t length = little_endian(head.data(), length_bytes);
        if (length > longest_header || length == 0 || (head.size() > length_bytes && head[length_bytes] != '{'))
            fail_at_byte(
                path_, 0,
                fmt::format("expected the header's length and a JSON object, but this looks like {} (length {})",
                            looks_like(head), length));
        data_offset_ = length_bytes + length;
        if (data_offset_ > file_.size())
            fail_at_byte(
                path_, file_.size(),
                fmt::format("the file ends here, expected {} more bytes of the header", data_offset_ - file_.size()));
        data_bytes_ = file_.size() - data_offset_;
        const json header = parse_json(text(length_bytes, length), path_, length_bytes);
        if (!header.is_object())
            fail_header("expected a JSON object");
        return header;
    }

    std::string text(std::uint64_t offset, std::uint64_t bytes) const {
        std::string read(bytes, '\0');
        file_.read(offset, read.data(), read.size(), "the header");
        return read;
    }

    [[noreturn]] void fail_header(std::string_view message) const {
        fail_at_byte(path_, length_bytes, fmt::format("in the header: {}", message));
    }

    std::map<std::string, std::string> read_metadata(const json& value) const {
        if (!value.is_object())
            fail_header("__metadata__: expected an object of strings");
        std::map<std::string, std::string> metadata;
        for (const auto& [key, text] : value.items()) {
            if (!text.is_string())
                fail_header(fmt::format("__metadata__: {}: expected a string", in_quotes(key)));
            metadata.emplace(key, text.get<std::string>());
        }
        return metadata;
    }

    std::vector<std::int64_t> read_sizes(const std::string& name, const json& value, const char* key) const {
        const json list = value.value(key, json());
        const auto is_size = [](const json& v) {
            return v.is_number_unsigned() && v.get<std::uint64_t>() <= INT64_MAX;
        };
        if (!list.is_array() || !std::all_of(list.begin(), list.end(), is_size))
            fail_header(fmt::format("tensor {}: {}: expected a list of numbers of at least 0", in_quotes(name), key));
        return list.get<std::vector<std::int64_t>>();
    }

    tensor_type read_type(const std::string& name, const json& value) const {
        const json member = value.value("dtype", json());
        const std::string dtype = member.is_string() ? member.get<std::string>() : "";
        const auto found = std::ranges::find(type_names, dtype);
        if (found != std::end(type_names))
            return static_cast<tensor_type>(found - type_names);
        fail_header(fmt::format("tensor {}: dtype {}, expected F32, F64 or I64", in_quotes(name), in_quotes(dtype)));
    }

    tensor read_tensor(const std::string& name, const json& value) {
        if (!value.is_object())
            fail_header(fmt::format("tensor {}: expected an object", in_quotes(name)));
        tensor t;
        t.type = read_type(name, value);
        t.shape = read_sizes(name, value, "shape");
        const std::vector<std::int64_t> offsets = read_sizes(name, value, "data_offsets");
        if (offsets.size() != 2 || offsets[0] > offsets[1])
            fail_header(fmt::format("tensor {}: data_offsets: expected the begin and the end", in_quotes(name)));
        const std::optional<std::int64_t> expected = bytes_of(t.type, t.shape);
        if (expected != offsets[1] - offsets[0])
            fail_header(fmt::format("tensor {}: {} bytes of data, but the shape ({}) of {} is of another size",
                                    in_quotes(name), offsets[1] - offsets[0], joined(t.shape, ", "), name_of(t.type)));
        const auto begin = static_cast<std::uint64_t>(offsets[0]), end = static_cast<std::uint64_t>(offsets[1]);
        if (end > data_bytes_)
            fail_at_byte(path_, data_offset_ + data_bytes_,
                         fmt::format("the file ends here, expected tensor {} to end at byte {}", in_quotes(name),
                                     data_offset_ + end));
        t.bytes.resize(end - begin);
        file_.read(data_offset_ + begin, reinterpret_cast<char*>(t.bytes.data()), t.bytes.size(), "tensor " + name);
        extents_.push_back({begin, end, name});
        return t;
    }

    // The tensors must fill the data one after the other, so that nothing hides in the file.
    void check_coverage() {
        std::sort(extents_.begin(), extents_.end(), [](const extent& a, const extent& b) {
            return std::pair(a.begin, a.end) < std::pair(b.begin, b.end);
        });
        std::uint64_t at = 0;
        for (const extent& e : extents_) {
            if (e.begin != at)
                fail_at_byte(path_, data_offset_ + std::min(at, e.begin),
                             fmt::format("tensor {} begins at byte {}, expected {}: the data has {}", in_quotes(e.name),
                                         data_offset_ + e.begin, data_offset_ + at,
                                         e.begin < at ? "tensors that overlap" : "a gap"));
            at = e.end;
        }
        if (at != data_bytes_)
            fail_at_byte(path_, data_offset_ + at,
                         fmt::format("expected the end after the last tensor, found {} more bytes", data_bytes_ - at));
    }

    std::string path_;
    random_access_file file_;
    std::uint64_t data_offset_ = 0, data_bytes_ = 0;
    std::vector<extent> extents_;
};

} // namespace

tensor tensor::compact(std::vector<std::int64_t> shape, const std::vector<double>& values) {
    // Beyond the range of float32 the conversion is undefined, so that is looked at first.
    const auto exact = [](double v) {
        return std::abs(v) <= std::numeric_limits<float>::max() && static_cast<double>(static_cast<float>(v)) == v;
    };
    if (std::all_of(values.begin(), values.end(), exact))
        return of(std::move(shape), std::vector<float>(values.begin(), values.end()));
    return of(std::move(shape), values);
}

std::vector<double> tensor_file::doubles(const std::string& name, const std::vector<std::int64_t>& shape,
                                         const std::string& path, bool compact) const {
    const tensor& t = compact ? find(*this, name, {tensor_type::float32, tensor_type::float64}, shape, path)
                              : find(*this, name, {tensor_type::float64}, shape, path);
    if (t.type == tensor_type::float64)
        return values_of<double>(t);
    const std::vector<float> values = values_of<float>(t);
    return {values.begin(), values.end()};
}

std::vector<std::int64_t> tensor_file::integers(const std::string& name, const std::vector<std::int64_t>& shape,
                                                const std::string& path) const {
    return values_of<std::int64_t>(find(*this, name, {tensor_type::int64}, shape, path));
}

void write_safetensors(const std::string& path, const tensor_file& contents) {
    const std::string header = make_header(contents);
    char length[length_bytes];
    for (std::size_t i = 0; i < length_bytes; ++i)
        length[i] = static_cast<char>(header.size() >> (8 * i) & 255);
    atomic_file file(path);
    file.write(length, sizeof length);
    file.write(header);
    for (const auto& [name, t] : contents.tensors)
        file.write(t.bytes.data(), t.bytes.size());
    file.commit();
}

tensor_file read_safetensors(const std::string& path) {
    return reader(path).read();
}

} // namespace elbo::io
