// Aligned memory, and the scratch memory of one thread.
#pragma once

#include "elbo/error.hpp"
#include "kernels/cpu/kernel_table.hpp"
#include "kernels/gmm_layout.hpp"

#include <algorithm>
#include <cstdint>
#include <fmt/format.h>
#include <memory>
#include <new>

namespace elbo::kernels::cpu {

/// Numbers at an address that suits every vector instruction, zero at first.
template <class T>
class aligned_array {
public:
    aligned_array() = default;
    explicit aligned_array(std::int64_t count) : count_(count) {
        data_.reset(static_cast<T*>(::operator new(static_cast<std::size_t>(bytes(count)), alignment, std::nothrow)));
        if (!data_)
            throw out_of_memory(fmt::format("{} bytes of host memory could not be had", bytes(count)),
                                static_cast<std::uint64_t>(bytes(count)), 0);
        std::fill_n(data_.get(), count, T{});
    }
    T* data() const { return data_.get(); }
    std::int64_t size() const { return count_; }
    T& operator[](std::int64_t i) const { return data_.get()[i]; }
    static std::int64_t bytes(std::int64_t count) { return count * static_cast<std::int64_t>(sizeof(T)); }

private:
    static constexpr std::align_val_t alignment{64};
    struct release {
        void operator()(T* p) const { ::operator delete(p, alignment); }
    };
    std::unique_ptr<T, release> data_;
    std::int64_t count_ = 0;
};

/// Rows that the kernels work on at a time: the longest float32 chain that is allowed (64 vectors of 16), less where
/// the slab of log-densities or the panel of the rank update would outgrow the caches.
inline std::int64_t choose_block_rows(const gmm_shape& s, std::int64_t element_size) {
    constexpr std::int64_t largest_slab = std::int64_t(8) << 20, largest_panel = std::int64_t(1) << 20;
    std::int64_t rows = 1024;
    while (rows > strip_rows && rows * slab_rows(s.components) * element_size > largest_slab)
        rows /= 2;
    if (s.family == gmm::family::full)
        while (rows > 256 && rows * panel_rows(s.dimensions) * element_size > largest_panel)
            rows /= 2;
    return rows;
}

/// Scratch memory of one thread.
template <class T>
class workspace {
public:
    workspace() = default;
    workspace(const gmm_shape& s, std::int64_t block_rows) {
        const std::int64_t slab = block_rows * slab_rows(s.components);
        const bool spherical = s.family == gmm::family::spherical;
        numbers_ = aligned_array<T>(slab * (spherical ? 2 : 1) + panel_stride(block_rows) * panel_rows(s.dimensions) +
                                    strip_rows * s.dimensions + block_rows);
        active_ = aligned_array<std::int32_t>(s.components);
        touched_ = aligned_array<bool>(s.components);
        partial_ = aligned_array<double>(sum_count(s));
        view.log_densities = numbers_.data();
        view.distances = view.log_densities + slab;
        view.panel = view.distances + (spherical ? slab : 0);
        view.strip = view.panel + panel_stride(block_rows) * panel_rows(s.dimensions);
        view.row_weights = view.strip + strip_rows * s.dimensions;
        view.active = active_.data();
        view.touched = touched_.data();
        view.partial = partial_.data();
    }

    static std::int64_t bytes(const gmm_shape& s, std::int64_t block_rows) {
        const std::int64_t numbers =
            block_rows * (2 * slab_rows(s.components) + s.dimensions + 8) + strip_rows * s.dimensions;
        return aligned_array<T>::bytes(numbers) + 8 * sum_count(s) + 5 * s.components;
    }

    workspace_view<T> view{};

private:
    aligned_array<T> numbers_;
    aligned_array<std::int32_t> active_;
    aligned_array<bool> touched_;
    aligned_array<double> partial_;
};

} // namespace elbo::kernels::cpu
