#include "host/io/write/atomic_file.hpp"

#include "host/io/errors.hpp"

#include <atomic>
#include <cerrno>
#include <csignal>
#include <cstdint>
#include <cstdlib>
#include <fcntl.h>
#include <filesystem>
#include <fmt/format.h>
#include <mutex>
#include <set>
#include <sys/stat.h>
#include <unistd.h>

namespace elbo::io {
namespace {

std::string follow_links(const std::string& path) {
    std::error_code failed;
    const std::filesystem::path resolved = std::filesystem::canonical(path, failed);
    return failed ? path : resolved.string();
}

/// Stands for the machine and its space of process numbers: those of another say nothing here.
const std::string& own_machine() {
    static const std::string mark = [] {
        char host[256] = {}, space[64] = {};
        ::gethostname(host, sizeof host - 1);
        [[maybe_unused]] const ssize_t length = ::readlink("/proc/self/ns/pid", space, sizeof space - 1);
        std::uint32_t hash = 2166136261; // FNV-1a, which is the same in every build
        for (const char c : std::string(host) + space)
            hash = (hash ^ static_cast<unsigned char>(c)) * 16777619;
        return fmt::format("{:08x}", hash);
    }();
    return mark;
}

/// What the names of temporary files begin with that are written here in place of `target`.
std::string temporary_prefix(const std::filesystem::path& target) {
    return fmt::format(".{}.{}-", target.filename().string(), own_machine());
}
constexpr std::string_view temporary_ending = ".partial";

std::string temporary_name(const std::string& target) {
    static std::atomic<unsigned> counter{0};
    const std::filesystem::path path(target);
    const std::string name = fmt::format("{}{}-{}{}", temporary_prefix(path), ::getpid(), counter++, temporary_ending);
    return (path.parent_path() / name).string();
}

/// Removes what processes left that were killed while they wrote `target`.
void remove_leftovers(const std::filesystem::path& target) {
    const std::string prefix = temporary_prefix(target);
    std::error_code failed;
    const std::filesystem::path folder = target.has_parent_path() ? target.parent_path() : ".";
    for (std::filesystem::directory_iterator entry(folder, failed), end; !failed && entry != end;
         entry.increment(failed)) {
        const std::string name = entry->path().filename().string();
        if (!name.starts_with(prefix) || !name.ends_with(temporary_ending))
            continue;
        const auto process = static_cast<pid_t>(std::strtol(name.c_str() + prefix.size(), nullptr, 10));
        if (process > 0 && ::kill(process, 0) != 0 && errno == ESRCH)
            ::unlink(entry->path().c_str());
    }
}

/// The same at the first time that a process writes it.
void remove_leftovers_once(const std::string& target) {
    static std::mutex busy;
    static std::set<std::string> looked_at;
    const std::lock_guard lock(busy);
    if (looked_at.insert(target).second)
        remove_leftovers(target);
}

void rename_to(const std::string& path, const std::string& temporary, const std::string& target) {
    if (::rename(temporary.c_str(), target.c_str()) != 0)
        fail_system(path, "write", errno);
}

// The rename itself is durable when the folder is; some file systems cannot do this, and then nothing is lost but that.
void sync_folder(const std::string& target) {
    const std::filesystem::path folder = std::filesystem::path(target).parent_path();
    const int descriptor = ::open(folder.empty() ? "." : folder.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (descriptor < 0)
        return;
    ::fsync(descriptor);
    ::close(descriptor);
}

} // namespace

atomic_file::atomic_file(const std::string& path) : path_(path), target_(follow_links(path)) {
    struct stat status {};
    const bool exists = ::stat(target_.c_str(), &status) == 0;
    if (exists && S_ISDIR(status.st_mode))
        fail_system(path_, "write", EISDIR);
    direct_ = exists && !S_ISREG(status.st_mode);
    if (exists && !direct_ && ::access(target_.c_str(), W_OK) != 0)
        fail_system(path_, "write", errno);
    if (!direct_)
        remove_leftovers_once(target_);
    temporary_ = direct_ ? target_ : temporary_name(target_);
    const int flags = direct_ ? O_WRONLY | O_CLOEXEC : O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC;
    descriptor_ = ::open(temporary_.c_str(), flags, 0666);
    if (descriptor_ < 0)
        fail_system(path_, "write", errno);
    if (exists && !direct_)
        static_cast<void>(::fchmod(descriptor_, status.st_mode & 07777)); // a nicety, may fail
}

atomic_file::~atomic_file() {
    if (descriptor_ < 0)
        return;
    ::close(descriptor_);
    if (!direct_)
        ::unlink(temporary_.c_str());
}

void atomic_file::write(const void* bytes, std::size_t count) {
    const char* from = static_cast<const char*>(bytes);
    while (count > 0) {
        const ssize_t written = ::write(descriptor_, from, count);
        if (written < 0) {
            if (errno == EINTR)
                continue;
            fail_system(path_, "write", errno);
        }
        from += written;
        count -= static_cast<std::size_t>(written);
    }
}

void atomic_file::commit() {
    if (!direct_ && ::fsync(descriptor_) != 0)
        fail_system(path_, "write", errno);
    commit_group* const group = commit_group::open_;
    const bool waits = !direct_ && group && group->held_;
    if (waits)
        group->files_.push_back({path_, temporary_, target_}); // from here on the group removes it
    else if (!direct_)
        rename_to(path_, temporary_, target_);
    const int closed = ::close(descriptor_);
    const int error_number = errno;
    descriptor_ = -1;
    if (closed != 0)
        fail_system(path_, "write", error_number);
    if (!direct_ && !waits)
        sync_folder(target_);
}

thread_local commit_group* commit_group::open_ = nullptr;

commit_group::commit_group(bool held) : outer_(open_), held_(held) {
    open_ = this;
}

commit_group::~commit_group() {
    open_ = outer_;
    for (const complete_file& file : files_)
        ::unlink(file.temporary.c_str());
}

void commit_group::commit() {
    while (!files_.empty()) {
        rename_to(files_.front().path, files_.front().temporary, files_.front().target);
        sync_folder(files_.front().target);
        files_.erase(files_.begin());
    }
}

} // namespace elbo::io
