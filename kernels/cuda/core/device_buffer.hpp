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

struct device_release {
    state_pointer state;
    void operator()(void* data) const noexcept { free_device(*state, data); }
};
struct pinned_release {
    void operator()(void* data) const noexcept { free_pinned(data); }
};

/// Move-only array whose memory `Release` gives back. Not initialised.
template <class T, class Release>
class owned_array {
public:
    owned_array() = default;
    owned_array(void* memory, std::int64_t size, Release release)
        : size_(size), data_(static_cast<T*>(memory), std::move(release)) {}
    T* data() const noexcept { return data_.get(); }
    std::int64_t size() const noexcept { return size_; }

private:
    std::int64_t size_ = 0;
    std::unique_ptr<T, Release> data_;
};

/// In device memory, freed in the order of the stream, which it keeps alive.
template <class T>
class device_buffer : public owned_array<T, device_release> {
public:
    device_buffer() = default;
    device_buffer(const state_pointer& state, std::string_view label, std::int64_t size)
        : owned_array<T, device_release>(allocate_device(*state, label, size * static_cast<std::int64_t>(sizeof(T))),
                                         size, {state}) {}
};

/// In pinned host memory, which kernels may address.
template <class T>
class pinned_buffer : public owned_array<T, pinned_release> {
public:
    pinned_buffer() = default;
    pinned_buffer(const internal::cuda_state& state, std::string_view label, std::int64_t size)
        : owned_array<T, pinned_release>(allocate_pinned(state, label, size * static_cast<std::int64_t>(sizeof(T))),
                                         size, {}) {}
};

} // namespace elbo::kernels::cuda
