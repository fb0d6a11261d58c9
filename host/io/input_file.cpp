#include "host/io/input_file.hpp"

#include "host/io/errors.hpp"

#include <algorithm>
#include <cerrno>
#include <cstdlib>
#include <fcntl.h>
#include <fmt/format.h>
#include <map>
#include <mutex>
#include <optional>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>
#include <vector>

namespace elbo::io {
namespace {

constexpr std::size_t block_bytes = std::size_t{1} << 18;

class descriptor {
public:
    explicit descriptor(int number) : number_(number) {}
    descriptor(descriptor&& other) noexcept : number_(std::exchange(other.number_, -1)) {}
    ~descriptor() {
        if (number_ >= 0)
            ::close(number_);
    }
    int get() const { return number_; }
    int release() { return std::exchange(number_, -1); }

private:
    int number_ = -1;
};

// Without waiting for somebody who writes to a pipe. `status` is that of the file, or of a file of no kind.
descriptor open_to_look(const input_file& file, struct stat& status) {
    descriptor opened(::open(file.path().c_str(), O_RDONLY | O_NONBLOCK | O_CLOEXEC));
    if (opened.get() < 0)
        fail_system(file.name(), "open", errno);
    if (::fstat(opened.get(), &status) != 0)
        status.st_mode = 0;
    return opened;
}

std::size_t read_some(int file, char* to, std::size_t bytes, const std::string& name) {
    for (;;) {
        const ssize_t got = ::read(file, to, bytes);
        if (got >= 0)
            return static_cast<std::size_t>(got);
        if (errno != EINTR)
            fail_system(name, "read", errno);
    }
}

class file_stream final : public byte_stream {
public:
    explicit file_stream(const input_file& file) : name_(file.name()), file_(open_to_look(file, status_)) {
        if (!S_ISREG(status_.st_mode) && !S_ISDIR(status_.st_mode))
            fail(name_, "expected an ordinary file, which can be read more than once");
        ::posix_fadvise(file_.get(), 0, 0, POSIX_FADV_SEQUENTIAL);
    }

    std::size_t read(char* to, std::size_t bytes) override { return read_some(file_.get(), to, bytes, name_); }

private:
    std::string name_;
    struct stat status_ {};
    descriptor file_;
};

class part_stream final : public byte_stream {
public:
    part_stream(std::shared_ptr<const random_access_file> file, std::uint64_t offset, std::uint64_t bytes)
        : file_(std::move(file)), at_(offset), end_(offset + bytes) {}

    std::size_t read(char* to, std::size_t bytes) override {
        const auto count = static_cast<std::size_t>(std::min<std::uint64_t>(bytes, end_ - at_));
        file_->read(at_, to, count, "the file");
        at_ += count;
        return count;
    }

private:
    std::shared_ptr<const random_access_file> file_;
    std::uint64_t at_, end_;
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

// What `read` gives, to its end.
kept_file keep_all(const std::string& name, const std::function<std::size_t(char*, std::size_t)>& read) {
    auto kept = std::make_shared<nameless_file>();
    std::vector<char> block(block_bytes);
    while (const std::size_t got = read(block.data(), block.size()))
        kept->write(block.data(), got, name);
    return kept;
}

kept_file read_all(int from, const std::string& name) {
    return keep_all(name, [&](char* to, std::size_t bytes) { return read_some(from, to, bytes, name); });
}

// `opened` gives a descriptor to read from, when the bytes are not at hand already.
kept_file read_once(const struct stat& status, const std::function<kept_file()>& opened) {
    static std::mutex busy;
    static std::map<file_identity, std::weak_ptr<nameless_file>> pipes; // those that are still in use
    const std::lock_guard lock(busy);
    std::erase_if(pipes, [](const auto& entry) { return entry.second.expired(); });
    std::weak_ptr<nameless_file>& known = pipes[{status.st_dev, status.st_ino}];
    kept_file kept = known.lock();
    if (!kept)
        known = kept = opened();
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
    kept_file kept = keep_all(file.name(), [&](char* to, std::size_t count) { return bytes->read(to, count); });
    input_file result(file.name());
    result.path_ = kept->path();
    result.kept_ = std::move(kept);
    return result;
}

std::unique_ptr<byte_stream> open_file_stream(const input_file& file) {
    return std::make_unique<file_stream>(file);
}

std::size_t read_fully(byte_stream& stream, char* to, std::size_t bytes) {
    std::size_t done = 0;
    while (done < bytes) {
        const std::size_t got = stream.read(to + done, bytes - done);
        if (got == 0)
            break;
        done += got;
    }
    return done;
}

void read_exactly(byte_stream& stream, char* to, std::size_t bytes, const std::string& path, std::uint64_t offset,
                  std::string_view what) {
    const std::size_t got = read_fully(stream, to, bytes);
    if (got < bytes)
        fail_at_byte(path, offset + got,
                     fmt::format("the file ends here, expected {} more bytes of {}", bytes - got, what));
}

std::string first_bytes(const input_file& file, std::size_t count) {
    file_stream stream(file);
    std::string bytes(count, '\0');
    bytes.resize(read_fully(stream, bytes.data(), count));
    return bytes;
}

random_access_file::random_access_file(const input_file& file) : name_(file.name()) {
    struct stat status {};
    descriptor opened = open_to_look(file, status);
    if (!S_ISREG(status.st_mode))
        fail(name_, "expected an ordinary file, which can be read at any place");
    size_ = static_cast<std::uint64_t>(status.st_size);
    file_ = opened.release();
}

random_access_file::~random_access_file() {
    ::close(file_);
}

void random_access_file::read(std::uint64_t offset, char* to, std::size_t bytes, std::string_view what) const {
    while (bytes > 0) {
        const ssize_t got = ::pread(file_, to, bytes, static_cast<off_t>(offset));
        if (got < 0 && errno == EINTR)
            continue;
        if (got < 0)
            fail_system(name_, fmt::format("read at byte {}", offset), errno);
        if (got == 0) {
            struct stat now {};
            const std::uint64_t end =
                ::fstat(file_, &now) == 0 ? std::min(offset, static_cast<std::uint64_t>(now.st_size)) : offset;
            fail_at_byte(name_, end,
                         fmt::format("the file ends here, expected {} more bytes of {}", offset + bytes - end, what));
        }
        to += got;
        offset += static_cast<std::uint64_t>(got);
        bytes -= static_cast<std::size_t>(got);
    }
}

std::unique_ptr<byte_stream> open_part_stream(std::shared_ptr<const random_access_file> file, std::uint64_t offset,
                                              std::uint64_t bytes) {
    return std::make_unique<part_stream>(std::move(file), offset, bytes);
}

mapped_file::mapped_file(const random_access_file& file) : size_(static_cast<std::size_t>(file.size())) {
    if (size_ > 0)
        address_ = ::mmap(nullptr, size_, PROT_READ, MAP_PRIVATE, file.file_, 0);
    if (address_ == MAP_FAILED)
        fail_system(file.name(), "map", errno);
}

mapped_file::~mapped_file() {
    if (size_ > 0)
        ::munmap(address_, size_);
}

void mapped_file::release(const char* first, const char* last) const {
    const auto page = static_cast<std::uintptr_t>(::sysconf(_SC_PAGESIZE));
    const std::uintptr_t begin = (reinterpret_cast<std::uintptr_t>(first) + page - 1) / page * page;
    const std::uintptr_t end = reinterpret_cast<std::uintptr_t>(last) / page * page;
    if (begin < end)
        ::madvise(reinterpret_cast<void*>(begin), end - begin, MADV_DONTNEED);
}

} // namespace elbo::io
