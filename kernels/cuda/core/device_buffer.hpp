// Arrays in device memory and pinned host memory.
#pragma once

#include "kernels/cuda/core/cuda_state.hpp"

#include <cstdint>
#include <memory>
#include <string_view>
#include <utility>

namespace elbo::kernels::cuda {

using state_pointer = std::shared_ptr<internal::cuda_state>;

/// Bytes of device memory in stream order; throws out_of_memory that says what `label` is and how much was wanted and
/// free.
void* allocate_device(const internal::cuda_state& state, std::string_view label, std::int64_t bytes);
void free_device(const internal::cuda_state& state, void* data) noexcept;
/// Page-locked host memory that the device can also address.
void* allocate_pinned(const internal::cuda_state& state, std::string_view label, std::int64_t bytes);
void free_pinned(void* data) noexcept;

/// Move-only array in device memory, freed in the order of the stream, which it keeps alive. Not initialised.
template <class T>
class device_buffer {
public:
    device_buffer() = default;
    device_buffer(state_pointer state, std::string_view label, std::int64_t size)
        : state_(std::move(state)), size_(size),
          data_(static_cast<T*>(allocate_device(*state_, label, size * static_cast<std::int64_t>(sizeof(T))))) {}
    device_buffer(device_buffer&& other) noexcept { swap(other); }
    device_buffer& operator=(device_buffer&& other) noexcept {
        swap(other);
        return *this;
    }
    ~device_buffer() {
        if (data_)
            free_device(*state_, data_);
    }
    T* data() const noexcept { return data_; }
    std::int64_t size() const noexcept { return size_; }

private:
    void swap(device_buffer& other) noexcept {
        std::swap(state_, other.state_);
        std::swap(size_, other.size_);
        std::swap(data_, other.data_);
    }
    state_pointer state_;
    std::int64_t size_ = 0;
    T* data_ = nullptr;
};

/// Move-only array in pinned host memory, which kernels may address.
template <class T>
class pinned_buffer {
public:
    pinned_buffer() = default;
    pinned_buffer(const internal::cuda_state& state, std::string_view label, std::int64_t size)
        : size_(size),
          data_(static_cast<T*>(allocate_pinned(state, label, size * static_cast<std::int64_t>(sizeof(T))))) {}
    pinned_buffer(pinned_buffer&& other) noexcept { swap(other); }
    pinned_buffer& operator=(pinned_buffer&& other) noexcept {
        swap(other);
        return *this;
    }
    ~pinned_buffer() {
        if (data_)
            free_pinned(data_);
    }
    T* data() const noexcept { return data_; }
    std::int64_t size() const noexcept { return size_; }

private:
    void swap(pinned_buffer& other) noexcept {
        std::swap(size_, other.size_);
        std::swap(data_, other.data_);
    }
    std::int64_t size_ = 0;
    T* data_ = nullptr;
};

} // namespace elbo::kernels::cuda
