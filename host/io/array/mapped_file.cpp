#include "host/io/array/mapped_file.hpp"

#include "host/io/errors.hpp"

#include <cerrno>
#include <cstdint>
#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

namespace elbo::io {

mapped_file::mapped_file(const input_file& file) {
    const std::string& path = file.name();
    const int descriptor = ::open(file.path().c_str(), O_RDONLY | O_NONBLOCK | O_CLOEXEC); // a pipe must not wait
    if (descriptor < 0)
        fail_system(path, "open", errno);
    struct stat status {};
    if (::fstat(descriptor, &status) != 0 || !S_ISREG(status.st_mode)) {
        ::close(descriptor);
        fail(path, "cannot map: expected an ordinary file");
    }
    size_ = static_cast<std::size_t>(status.st_size);
    if (size_ > 0)
        address_ = ::mmap(nullptr, size_, PROT_READ, MAP_PRIVATE, descriptor, 0);
    const int error_number = errno;
    ::close(descriptor); // the mapping keeps the file
    if (address_ == MAP_FAILED)
        fail_system(path, "map", error_number);
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
