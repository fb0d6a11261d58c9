// NumPy's .npz files: zip archives of .npy members, stored or deflated.
#include "host/io/array/npy_header.hpp"
#include "host/io/array/zip_archive.hpp"
#include "host/io/errors.hpp"
#include "host/io/inflate_stream.hpp"
#include "host/io/sources.hpp"

#include <fmt/format.h>
#include <zlib.h>

namespace elbo::io {
namespace {

// Compares what passes through with the checksum and the size of the archive's directory.
class checked_stream final : public byte_stream {
public:
    checked_stream(std::unique_ptr<byte_stream> inner, const zip_member& member, const std::string& description)
        : inner_(std::move(inner)), member_(member), description_(description) {}

    std::size_t read(char* to, std::size_t bytes) override {
        const std::size_t got = inner_->read(to, std::min<std::size_t>(bytes, 1u << 30)); // zlib counts in 32 bits
        checksum_ = ::crc32(checksum_, reinterpret_cast<const Bytef*>(to), static_cast<uInt>(got));
        size_ += got;
        if (got == 0 && bytes > 0 && (checksum_ != member_.checksum || size_ != member_.size))
            fail_at_byte(
                description_, member_.offset,
                fmt::format("the member is damaged: {} bytes with checksum {:#010x}, expected {} with {:#010x}", size_,
                            checksum_, member_.size, member_.checksum));
        return got;
    }

private:
    std::unique_ptr<byte_stream> inner_;
    zip_member member_;
    std::string description_;
    uLong checksum_ = ::crc32(0, nullptr, 0);
    std::uint64_t size_ = 0;
};

std::string without_ending(const std::string& name) {
    return name.ends_with(".npy") ? name.substr(0, name.size() - 4) : name;
}

std::string list_names(const std::vector<zip_member>& members) {
    std::string list;
    for (const zip_member& member : members)
        list += (list.empty() ? "" : ", ") + in_quotes(without_ending(member.name));
    return list;
}

const zip_member& choose_member(const std::vector<zip_member>& members, const std::string& wanted,
                                const std::string& path) {
    if (members.empty())
        fail(path, "the archive is empty, expected a .npy member");
    if (wanted.empty()) {
        if (members.size() > 1)
            throw invalid_argument(
                fmt::format("dataset: {} has several members, expected one of {}", path, list_names(members)));
        return members.front();
    }
    for (const zip_member& member : members)
        if (member.name == wanted || without_ending(member.name) == wanted)
            return member;
    throw invalid_argument(fmt::format("dataset = {}: {} has no such member, expected one of {}", in_quotes(wanted),
                                       path, list_names(members)));
}

} // namespace

std::unique_ptr<opened_file> open_npz(const input_file& file, const file_options& options) {
    const std::string& path = file.name();
    auto mapping = std::make_shared<const mapped_file>(file);
    const zip_member member = choose_member(read_zip_directory(mapping->bytes(), path), options.dataset, path);
    const std::string description = fmt::format("{}:/{}", path, without_ending(member.name));
    if (!member.deflated) {
        const array_layout layout = read_npy_header(*open_memory_stream(member.bytes), description, member.offset);
        return open_array(description, std::move(mapping), member.bytes, member.offset, layout, options);
    }
    const stream_opener open = [mapping, member, description]() -> std::unique_ptr<byte_stream> {
        return std::make_unique<checked_stream>(
            open_inflate_stream(open_memory_stream(member.bytes), deflate_wrapper::none, description, member.offset),
            member, description);
    };
    return open_array_stream(description, open, read_npy_header(*open(), description), false, options);
}

} // namespace elbo::io
