// A file that is there whole or not at all.
#pragma once

#include <cstddef>
#include <string>
#include <string_view>

namespace elbo::io {

/// Writes to a temporary file in the folder of `path` and renames it at commit, so that a crash, a full disk or an
/// exception leaves what was there before. A symbolic link is followed; a device or pipe (/dev/stdout) is written
/// directly.
class atomic_file {
public:
    /// Throws file_error (the folder is missing or not writable).
    explicit atomic_file(const std::string& path);
    /// Removes the temporary file unless it was committed.
    ~atomic_file();
    atomic_file(const atomic_file&) = delete;
    atomic_file& operator=(const atomic_file&) = delete;

    /// Throws file_error (disk full, ...).
    void write(const void* bytes, std::size_t count);
    void write(std::string_view text) { write(text.data(), text.size()); }
    /// Makes it durable and visible under its name. Throws file_error.
    void commit();

    /// The name given by the caller, for messages.
    const std::string& path() const { return path_; }
    /// Where the bytes go until commit, for libraries that open files by name.
    const std::string& temporary_path() const { return temporary_; }

private:
    void sync_folder() const;

    std::string path_;
    std::string target_;    // path_ with links followed
    std::string temporary_; // equal to target_ where that is written directly
    int descriptor_ = -1;
    bool direct_ = false;
};

} // namespace elbo::io
