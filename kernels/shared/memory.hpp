// Sizes that come from files and callers, and the memory for them.
#pragma once

#include "elbo/context.hpp"
#include "elbo/error.hpp"
#include "elbo/matrix_view.hpp"

#include <cstdint>
#include <cstring>
#include <memory>
#include <new>
#include <optional>
#include <string>

namespace elbo::io {

/// a·b, or nothing where that is not a 64-bit number. For sizes: a, b ≥ 0.
inline std::optional<std::int64_t> checked_product(std::int64_t a, std::int64_t b) {
    std::int64_t product = 0;
    if (__builtin_mul_overflow(a, b, &product))
        return std::nullopt;
    return product;
}

/// Host memory of a fixed size, not initialised, aligned for any vector instruction.
class host_memory {
public:
    host_memory() = default;
    /// Throws out_of_memory when count · element_size bytes cannot be had (or counted).
    host_memory(std::int64_t count, std::int64_t element_size) {
        const std::optional<std::int64_t> bytes = checked_product(count, element_size);
        void* memory = bytes ? ::operator new(static_cast<std::size_t>(*bytes), alignment, std::nothrow) : nullptr;
        if (memory == nullptr)
            throw out_of_memory("cannot allocate host memory for " + std::to_string(count) + " elements of " +
                                    std::to_string(element_size) + " bytes",
                                static_cast<std::uint64_t>(bytes.value_or(INT64_MAX)), 0);
        data_.reset(static_cast<char*>(memory));
    }
    char* data() const { return data_.get(); }

private:
    static constexpr std::align_val_t alignment{64};
    struct release {
        void operator()(char* memory) const { ::operator delete(memory, alignment); }
    };
    std::unique_ptr<char, release> data_;
};

/// Bytes of one element.
inline std::int64_t size_of(element_type type) {
    return type == element_type::float32 ? 4 : 8;
}

/// Element (i, j) of a view of host memory.
inline double element(const any_matrix_view& v, std::int64_t i, std::int64_t j) {
    return v.type == element_type::float32 ? static_cast<double>(v.as<float>()(i, j)) : v.as<double>()(i, j);
}

/// A densely packed view of memory of a run-time type.
inline any_matrix_view dense_view(const void* data, element_type type, std::int64_t rows, std::int64_t cols,
                                  memory_space space = memory_space::host) {
    any_matrix_view view;
    view.data = data;
    view.type = type;
    view.rows = rows;
    view.cols = cols;
    view.stride = cols;
    view.space = space;
    return view;
}

// The memory of contexts whose back ends compute on the host (contract/backend_table.hpp).
inline void wait_on_host(const internal::context_state&) {}
inline std::shared_ptr<void> allocate_on_host(const internal::context_state&, std::int64_t bytes) {
    const auto memory = std::make_shared<host_memory>(bytes, 1);
    return {memory, memory->data()};
}
inline void copy_on_host(const internal::context_state&, void* to, std::int64_t to_stride, const void* from,
                         std::int64_t from_stride, std::int64_t row_bytes, std::int64_t rows) {
    for (std::int64_t i = 0; i < rows; ++i)
        std::memcpy(static_cast<char*>(to) + i * to_stride, static_cast<const char*>(from) + i * from_stride,
                    static_cast<std::size_t>(row_bytes));
}

} // namespace elbo::io
