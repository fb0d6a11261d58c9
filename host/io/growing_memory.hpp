// Memory for numbers of which nobody knows beforehand how many there are.
#pragma once

#include <algorithm>
#include <cstdint>
#include <cstdlib>
#include <memory>
#include <utility>

namespace elbo::io {

/// Grows without a second copy beside it: the system moves large blocks by their pages.
class growing_memory {
public:
    growing_memory() = default;
    growing_memory(const growing_memory&) = delete;
    growing_memory& operator=(const growing_memory&) = delete;
    ~growing_memory() { clear(); }

    char* data() const { return data_; }
    /// Makes room for `bytes` bytes in all; what is there stays. False, and nothing changes, where it cannot be had.
    bool grow(std::int64_t bytes) {
        return bytes <= capacity_ || resize(std::max(bytes, capacity_ + capacity_ / 2)) || resize(bytes);
    }
    void clear() {
        std::free(data_);
        data_ = nullptr;
        capacity_ = 0;
    }
    /// Hands the first `bytes` over and gives the rest back.
    std::shared_ptr<const char> release(std::int64_t bytes) {
        resize(std::max<std::int64_t>(1, bytes));
        capacity_ = 0;
        return {std::exchange(data_, nullptr), [](const char* memory) { std::free(const_cast<char*>(memory)); }};
    }

private:
    bool resize(std::int64_t bytes) {
        void* const moved = std::realloc(data_, static_cast<std::size_t>(bytes));
        if (moved == nullptr)
            return false;
        data_ = static_cast<char*>(moved);
        capacity_ = bytes;
        return true;
    }

    char* data_ = nullptr;
    std::int64_t capacity_ = 0;
};

} // namespace elbo::io
