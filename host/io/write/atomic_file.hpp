// A file that is there whole or not at all.
#pragma once

#include <cstddef>
#include <string>
#include <string_view>
#include <vector>

namespace elbo::io {

/// While one is open, files that this thread commits are complete under their temporary names, and commit() gives all
/// of them their own: so that a command which fails before (no memory for the report, a full disk) leaves none. Groups
/// nest; the innermost one counts.
class commit_group {
public:
    /// `held` = false: files in it appear at once, as checkpoints must.
    explicit commit_group(bool held = true);
    /// Removes what was not committed.
    ~commit_group();
    commit_group(const commit_group&) = delete;
    commit_group& operator=(const commit_group&) = delete;
    /// Throws file_error.
    void commit();

private:
    friend class atomic_file;
    struct complete_file {
        std::string path, temporary, target;
    };
    static thread_local commit_group* open_;
    commit_group* outer_;
    bool held_;
    std::vector<complete_file> files_;
};

/// Writes to a temporary file in the folder of `path` and renames it at commit, so that a crash, a full disk or an
/// exception leaves what was there before; what processes of this machine left that were killed meanwhile is removed
/// when the same file is written again. A symbolic link is followed; a device or pipe (/dev/stdout) is written
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
    /// Makes it durable and visible under its name; in a commit_group the latter comes with the group. Throws
    /// file_error.
    void commit();

    /// The name given by the caller, for messages.
    const std::string& path() const { return path_; }
    /// Where the bytes go until commit, for libraries that open files by name.
    const std::string& temporary_path() const { return temporary_; }

private:
    std::string path_;
    std::string target_;    // path_ with links followed
    std::string temporary_; // equal to target_ where that is written directly
    int descriptor_ = -1;
    bool direct_ = false;
};

} // namespace elbo::io
