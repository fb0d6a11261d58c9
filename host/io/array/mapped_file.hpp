// A file as memory.
#pragma once

#include "host/io/input_file.hpp"

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>

namespace elbo::io {

/// A file mapped read-only. Pages are read when touched, so a file larger than memory may be mapped. The file must not
/// be shortened while it is mapped.
class mapped_file {
public:
    /// Throws file_error (missing, unreadable, not an ordinary file).
    explicit mapped_file(const input_file& file);
    ~mapped_file();
    mapped_file(const mapped_file&) = delete;
    mapped_file& operator=(const mapped_file&) = delete;

    std::span<const char> bytes() const { return {static_cast<const char*>(address_), size_}; }
    /// Lets the system take back the pages that lie wholly in [first, last) of the memory; touching them reads them
    /// anew. Keeps the resident size of a pass over a large file small.
    void release(const char* first, const char* last) const;

private:
    void* address_ = nullptr;
    std::size_t size_ = 0;
};

} // namespace elbo::io
