#include "host/io/input_file.hpp"

#include "host/io/errors.hpp"

#include <cerrno>
#include <cstdlib>
#include <fcntl.h>
#include <fmt/format.h>
#include <map>
#include <mutex>
#include <optional>
#include <sys/stat.h>
#include <unistd.h>
#include <utility>
#include <vector>

namespace elbo::io {
namespace {

constexpr std::size_t block_bytes = std::size_t{1} << 18;

class descriptor {
public:
    explicit descriptor(int number) : number_(number) {}
    ~descriptor() {
        if (number_ >= 0)
            ::close(number_);
    }
    descriptor(const descriptor&) = delete;
    descriptor& operator=(const descriptor&) = delete;
    int get() const { return number_; }

private:
    int number_ = -1;
};

// A file without a name, which is gone with its last descriptor, however the program ends.
class nameless_file {
public:
    nameless_file() : file_(make()) {}
    void write(const char* from, std::size_t count, const std::string& name) {
        while (count > 0) {
            const ssize_t written = ::write(file_.get(), from, count);
            if (written < 0 && errno == EINTR)
                continue;
            if (written < 0)
                fail_system(name, fmt::format("keep its bytes in {} (TMPDIR names another folder)", folder()), errno);
            from += written;
            count -= static_cast<std::size_t>(written);
        }
    }
    // Opening this path gives a descriptor with a position of its own.
    std::string path() const { return fmt::format("/proc/self/fd/{}", file_.get()); }
    // Keeps the pipe that was read, so that no other one gets its identity meanwhile.
    void hold(const std::string& pipe) { origin_.emplace(::open(pipe.c_str(), O_PATH | O_CLOEXEC)); }

private:
    static std::string folder() {
        const char* const chosen = std::getenv("TMPDIR");
        return chosen != nullptr && *chosen != '\0' ? chosen : "/tmp";
    }
    static int make() {
        const std::string place = folder();
        const int nameless = ::open(place.c_str(), O_TMPFILE | O_RDWR | O_CLOEXEC, 0600);
        if (nameless >= 0)
            return nameless;
        std::string name = place + "/elbo-XXXXXX"; // for file systems that make no files without names
        const int named = ::mkostemp(name.data(), O_CLOEXEC);
        if (named < 0)
            fail_system(place, "make a temporary file (TMPDIR names another folder)", errno);
        ::unlink(name.c_str());
        return named;
    }

    descriptor file_;
    std::optional<descriptor> origin_;
};

using kept_file = std::shared_ptr<nameless_file>;
using file_identity = std::pair<dev_t, ino_t>;

// What was read of pipes that are still in use.
struct open_pipes {
    std::mutex busy;
    std::map<file_identity, std::weak_ptr<nameless_file>> files;
};

open_pipes& pipes() {
    static open_pipes instance;
    return instance;
}

kept_file read_all(int from, const std::string& name) {
    auto kept = std::make_shared<nameless_file>();
    std::vector<char> block(block_bytes);
    for (;;) {
        const ssize_t got = ::read(from, block.data(), block.size());
        if (got == 0)
            return kept;
        if (got > 0)
            kept->write(block.data(), static_cast<std::size_t>(got), name);
        else if (errno != EINTR)
            fail_system(name, "read", errno);
    }
}

// `opened` gives a descriptor to read from, when the bytes are not at hand already.
template <class Open>
kept_file read_once(const struct stat& status, const Open& opened) {
    open_pipes& all = pipes();
    const std::lock_guard lock(all.busy);
    std::erase_if(all.files, [](const auto& entry) { return entry.second.expired(); });
    const file_identity identity{status.st_dev, status.st_ino};
    const auto found = all.files.find(identity);
    if (found != all.files.end())
        if (kept_file kept = found->second.lock())
            return kept;
    kept_file kept = opened();
    all.files[identity] = kept;
    return kept;
}

kept_file read_standard_input(const std::string& name) {
    struct stat status {};
    if (::fstat(STDIN_FILENO, &status) != 0)
        fail_system(name, "read", errno);
    if (S_ISDIR(status.st_mode))
        fail_system(name, "read", EISDIR);
    return read_once(status, [&] { return read_all(STDIN_FILENO, name); });
}

// Devices such as /dev/zero have no end; a terminal and /dev/null do.
void require_end(int file, const struct stat& status, const std::string& path) {
    if (!S_ISCHR(status.st_mode) || ::isatty(file) == 1)
        return;
    struct stat null {};
    if (::stat("/dev/null", &null) == 0 && null.st_rdev == status.st_rdev)
        return;
    fail(path, "is a device, expected an ordinary file, a pipe, or - for standard input");
}

kept_file read_pipe(const std::string& path, const struct stat& status) {
    return read_once(status, [&] {
        const descriptor file(::open(path.c_str(), O_RDONLY | O_CLOEXEC));
        if (file.get() < 0)
            fail_system(path, "open", errno);
        require_end(file.get(), status, path);
        kept_file kept = read_all(file.get(), path);
        kept->hold(path);
        return kept;
    });
}

} // namespace

input_file input_file::open(const std::string& path) {
    input_file file(path);
    kept_file kept;
    struct stat status {};
    if (path == standard_input) {
        file.name_ = "standard input";
        kept = read_standard_input(file.name_);
    } else if (::stat(path.c_str(), &status) != 0 || S_ISREG(status.st_mode) || S_ISDIR(status.st_mode)) {
        return file; // what is wrong with it, is said by those who open it
    } else if (S_ISBLK(status.st_mode)) {
        fail(path, "is a device, expected an ordinary file, a pipe, or - for standard input");
    } else {
        kept = read_pipe(path, status);
    }
    file.path_ = kept->path();
    file.kept_ = std::move(kept);
    return file;
}

input_file input_file::decompressed(const input_file& file) {
    const std::unique_ptr<byte_stream> bytes =
        open_inflate_stream(open_file_stream(file), deflate_wrapper::gzip, file.name());
    auto kept = std::make_shared<nameless_file>();
    std::vector<char> block(block_bytes);
    while (const std::size_t got = bytes->read(block.data(), block.size()))
        kept->write(block.data(), got, file.name());
    input_file result(file.name());
    result.path_ = kept->path();
    result.kept_ = std::move(kept);
    return result;
}

} // namespace elbo::io
