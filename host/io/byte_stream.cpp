#include "host/io/byte_stream.hpp"

#include "host/io/errors.hpp"
#include "host/io/input_file.hpp"

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <fcntl.h>
#include <fmt/format.h>
#include <sys/stat.h>
#include <unistd.h>

namespace elbo::io {
namespace {

class file_stream final : public byte_stream {
public:
    // Not blocking, because a pipe that nobody writes to would be waited for.
    explicit file_stream(const input_file& file)
        : path_(file.name()), descriptor_(::open(file.path().c_str(), O_RDONLY | O_NONBLOCK | O_CLOEXEC)) {
        if (descriptor_ < 0)
            fail_system(path_, "open", errno);
        struct stat status {};
        if (::fstat(descriptor_, &status) != 0 || !(S_ISREG(status.st_mode) || S_ISDIR(status.st_mode))) {
            ::close(descriptor_);
            fail(path_, "expected an ordinary file, which can be read more than once");
        }
        ::posix_fadvise(descriptor_, 0, 0, POSIX_FADV_SEQUENTIAL);
    }
    file_stream(const file_stream&) = delete;
    file_stream& operator=(const file_stream&) = delete;
    ~file_stream() override { ::close(descriptor_); }

    std::size_t read(char* to, std::size_t bytes) override {
        for (;;) {
            const ssize_t got = ::read(descriptor_, to, bytes);
            if (got >= 0)
                return static_cast<std::size_t>(got);
            if (errno != EINTR)
                fail_system(path_, "read", errno);
        }
    }

private:
    std::string path_;
    int descriptor_;
};

class memory_stream final : public byte_stream {
public:
    explicit memory_stream(std::span<const char> bytes) : rest_(bytes) {}

    std::size_t read(char* to, std::size_t bytes) override {
        const std::size_t count = std::min(bytes, rest_.size());
        std::copy_n(rest_.data(), count, to);
        rest_ = rest_.subspan(count);
        return count;
    }

private:
    std::span<const char> rest_;
};

} // namespace

std::unique_ptr<byte_stream> open_file_stream(const input_file& file) {
    return std::make_unique<file_stream>(file);
}

std::unique_ptr<byte_stream> open_memory_stream(std::span<const char> bytes) {
    return std::make_unique<memory_stream>(bytes);
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

} // namespace elbo::io
