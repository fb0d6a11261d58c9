// The directory of a zip archive (PKWARE APPNOTE.TXT), with the 64-bit extensions.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <vector>

namespace elbo::io {

struct zip_member {
    std::string name;
    bool deflated = false;       ///< else stored
    std::uint32_t checksum = 0;  ///< CRC-32 of the uncompressed bytes
    std::uint64_t size = 0;      ///< uncompressed
    std::uint64_t offset = 0;    ///< of the stored or compressed bytes in the archive
    std::span<const char> bytes; ///< these bytes
};

/// The members of an archive in memory. Throws file_error with the byte offset: not a zip archive, truncated,
/// encrypted, compressed by another method.
std::vector<zip_member> read_zip_directory(std::span<const char> archive, const std::string& path);

} // namespace elbo::io
