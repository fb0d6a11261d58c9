// NumPy's .npz files: zip archives (PKWARE APPNOTE.TXT, with the 64-bit extensions) of .npy members, stored or
// deflated.
#include "host/io/array/array_source.hpp"
#include "host/io/errors.hpp"
#include "host/io/format.hpp"

#include <fmt/format.h>
#include <zlib.h>

namespace elbo::io {
namespace {

struct zip_member {
    std::string name;
    bool deflated = false;        ///< else stored
    std::uint32_t checksum = 0;   ///< CRC-32 of the uncompressed bytes
    std::uint64_t size = 0;       ///< uncompressed
    std::uint64_t offset = 0;     ///< of the stored or compressed bytes in the archive
    std::uint64_t compressed = 0; ///< how many these are
};

constexpr std::string_view end_signature = "PK\5\6";
constexpr std::uint32_t end64_signature = 0x06064b50, locator64_signature = 0x07064b50, central_signature = 0x02014b50,
                        local_signature = 0x04034b50;
constexpr std::uint64_t end_size = 22, locator64_size = 20, end64_size = 56, central_size = 46, local_size = 30;

// Little-endian numbers at any place, never beyond the end.
class archive_bytes {
public:
    explicit archive_bytes(const random_access_file& file) : file_(file) {}

    std::uint64_t size() const { return file_.size(); }
    /// That so many bytes are there.
    void require(std::uint64_t offset, std::uint64_t count, std::string_view what) const {
        if (offset > size() || count > size() - offset)
            fail_at_byte(path(), size(),
                         fmt::format("the archive ends here, expected {} of {} bytes at byte {}", what, count, offset));
    }
    std::string text(std::uint64_t offset, std::uint64_t count, std::string_view what) const {
        require(offset, count, what);
        std::string bytes(count, '\0');
        file_.read(offset, bytes.data(), bytes.size(), what);
        return bytes;
    }
    std::uint64_t number(std::uint64_t offset, std::uint64_t bytes, std::string_view what) const {
        return little_endian(text(offset, bytes, what).data(), bytes);
    }
    bool has_signature(std::uint64_t offset, std::uint32_t signature) const {
        return offset <= size() && size() - offset >= 4 && number(offset, 4, "a signature") == signature;
    }
    void require_signature(std::uint64_t offset, std::uint32_t signature, std::string_view what) const {
        require(offset, 4, what);
        if (!has_signature(offset, signature))
            fail_at_byte(path(), offset, fmt::format("expected the signature {:#010x} of {}", signature, what));
    }
    const std::string& path() const { return file_.name(); }

private:
    const random_access_file& file_;
};

struct directory_place {
    std::uint64_t offset = 0;
    std::uint64_t members = 0;
};

// The end record is the last thing in the file, but for a comment of up to 65535 bytes.
std::uint64_t find_end(const archive_bytes& archive) {
    if (archive.size() >= end_size) {
        const std::uint64_t last = archive.size() - end_size;
        const std::uint64_t first = last - std::min<std::uint64_t>(last, 65535);
        const std::size_t found = archive.text(first, last - first + 4, "the end record").rfind(end_signature);
        if (found != std::string::npos)
            return first + found;
    }
    fail_at_byte(archive.path(), archive.size(), "expected the end record of a zip archive: is the file truncated?");
}

directory_place find_directory(const archive_bytes& archive) {
    const std::uint64_t end = find_end(archive);
    directory_place place;
    place.members = archive.number(end + 10, 2, "the end record");
    place.offset = archive.number(end + 16, 4, "the end record");
    if (end < locator64_size || !archive.has_signature(end - locator64_size, locator64_signature))
        return place;
    const std::uint64_t end64 = archive.number(end - locator64_size + 8, 8, "the zip64 locator");
    archive.require(end64, end64_size, "the zip64 end record");
    archive.require_signature(end64, end64_signature, "the zip64 end record");
    place.members = archive.number(end64 + 32, 8, "the zip64 end record");
    place.offset = archive.number(end64 + 48, 8, "the zip64 end record");
    return place;
}

struct central_entry {
    std::uint64_t compressed = 0, size = 0, local_offset = 0;
};

// Numbers that do not fit 32 bits stand in an extra field, in a fixed order and only where they are needed.
void read_zip64_extra(const archive_bytes& archive, std::uint64_t offset, std::uint64_t length, central_entry& entry) {
    const std::uint64_t end = offset + length;
    while (offset + 4 <= end) {
        const std::uint64_t id = archive.number(offset, 2, "an extra field");
        const std::uint64_t size = archive.number(offset + 2, 2, "an extra field");
        std::uint64_t at = offset + 4;
        const std::uint64_t stop = std::min(at + size, end);
        if (id == 1)
            for (std::uint64_t* value : {&entry.size, &entry.compressed, &entry.local_offset})
                if (*value == 0xffffffff && at + 8 <= stop) {
                    *value = archive.number(at, 8, "a zip64 extra field");
                    at += 8;
                }
        offset += 4 + size;
    }
}

zip_member read_member(const archive_bytes& archive, std::uint64_t at, std::uint64_t& next) {
    constexpr std::string_view what = "a directory entry";
    archive.require(at, central_size, what);
    archive.require_signature(at, central_signature, what);
    const std::uint64_t flags = archive.number(at + 8, 2, what), method = archive.number(at + 10, 2, what);
    const std::uint64_t name_length = archive.number(at + 28, 2, what), extra = archive.number(at + 30, 2, what),
                        comment = archive.number(at + 32, 2, what);
    zip_member member;
    member.name = archive.text(at + central_size, name_length, "a member's name");
    member.checksum = static_cast<std::uint32_t>(archive.number(at + 16, 4, what));
    central_entry entry{archive.number(at + 20, 4, what), archive.number(at + 24, 4, what),
                        archive.number(at + 42, 4, what)};
    archive.require(at + central_size + name_length, extra + comment, "an extra field");
    read_zip64_extra(archive, at + central_size + name_length, extra, entry);
    next = at + central_size + name_length + extra + comment;

    const std::string label = fmt::format("member {}", in_quotes(member.name));
    if (flags & 1)
        fail_at_byte(archive.path(), at + 8, label + " is encrypted, expected plain data");
    if (method != 0 && method != 8)
        fail_at_byte(archive.path(), at + 10,
                     fmt::format("{} is compressed by method {}, expected 0 (stored) or 8 (deflate)", label, method));
    archive.require(entry.local_offset, local_size, "the header of " + label);
    archive.require_signature(entry.local_offset, local_signature, "the header of " + label);
    member.deflated = method == 8;
    member.size = entry.size;
    member.offset = entry.local_offset + local_size + archive.number(entry.local_offset + 26, 2, what) +
                    archive.number(entry.local_offset + 28, 2, what);
    member.compressed = entry.compressed;
    archive.require(member.offset, member.compressed, label);
    if (!member.deflated && member.size != entry.compressed)
        fail_at_byte(archive.path(), at + 20,
                     fmt::format("{} is stored in {} bytes, expected {}", label, entry.compressed, member.size));
    return member;
}

std::vector<zip_member> read_zip_directory(const random_access_file& file) {
    const archive_bytes archive(file);
    const std::string head = archive.text(0, std::min<std::uint64_t>(file.size(), 64), "the beginning");
    if (!head.starts_with("PK"))
        fail_at_byte(file.name(), 0, fmt::format("expected a zip archive, but this looks like {}", looks_like(head)));
    const directory_place place = find_directory(archive);
    std::vector<zip_member> members;
    std::uint64_t at = place.offset;
    for (std::uint64_t i = 0; i < place.members; ++i)
        members.push_back(read_member(archive, at, at));
    return members;
}

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
    const auto archive = std::make_shared<const random_access_file>(file);
    const zip_member member = choose_member(read_zip_directory(*archive), options.dataset, file.name());
    const std::string description = fmt::format("{}:/{}", file.name(), without_ending(member.name));
    const auto stored = [archive, member] { return open_part_stream(archive, member.offset, member.compressed); };
    if (!member.deflated)
        return open_array(description, archive, {member.offset, member.size},
                          read_npy_header(*stored(), description, member.offset), options);
    const stream_opener open = [stored, member, description]() -> std::unique_ptr<byte_stream> {
        return std::make_unique<checked_stream>(
            open_inflate_stream(stored(), deflate_wrapper::none, description, member.offset), member, description);
    };
    return open_array_stream(description, open, read_npy_header(*open(), description), false, options);
}

} // namespace elbo::io
