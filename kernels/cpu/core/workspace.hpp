// Aligned memory, and the scratch memory of one thread.
#pragma once

#include "kernels/contract/gmm_layout.hpp"
#include "kernels/cpu/gmm/kernel_table.hpp"
#include "kernels/shared/memory.hpp"

#include <algorithm>
#include <cstdint>
#include <memory>

namespace elbo::kernels::cpu {

/// Numbers at an address that suits every vector instruction, zero at first.
template <class T>
class aligned_array {
public:
    aligned_array() = default;
    explicit aligned_array(std::int64_t count) : memory_(count, sizeof(T)), count_(count) {
        std::fill_n(data(), count, T{});
    }
    T* data() const { return reinterpret_cast<T*>(memory_.data()); }
    std::int64_t size() const { return count_; }
    T& operator[](std::int64_t i) const { return data()[i]; }
    static std::int64_t bytes(std::int64_t count) { return count * static_cast<std::int64_t>(sizeof(T)); }

private:
    io::host_memory memory_;
    std::int64_t count_ = 0;
};

/// Rows that the kernels work on at a time: the longest float32 chain that is allowed (64 vectors of 16), less where
/// the slab of log-densities, the panel of the rank update or the block laid out row after row would outgrow the
/// caches.
inline std::int64_t choose_block_rows(const gmm_shape& s, std::int64_t element_size) {
    constexpr std::int64_t largest_slab = std::int64_t(8) << 20, largest_panel = std::int64_t(1) << 20,
                           largest_layout = std::int64_t(16) << 20;
    std::int64_t rows = 1024;
    while (rows > strip_rows && rows * slab_rows(s.components) * element_size > largest_slab)
        rows /= 2;
    if (s.family == gmm::family::full)
        while (rows > 256 && rows * panel_rows(s.family, s.dimensions) * element_size > largest_panel)
            rows /= 2;
    else
        while (rows > strip_rows && rows * row_stride(s.dimensions) * element_size > largest_layout)
            rows /= 2;
    return rows;
}

/// Rows that are screened and summed together: the unit, of other families than full fewer blocks of it where each
/// component has enough of them to fill vectors, or where they, laid out row after row, would outgrow the second cache.
inline std::int64_t choose_span_rows(const gmm_shape& s, std::int64_t element_size) {
    constexpr std::int64_t largest_span = std::int64_t(2) << 20, enough = 64;
    const std::int64_t block_rows = choose_block_rows(s, element_size),
                       row_bytes = row_stride(s.dimensions) * element_size;
    std::int64_t rows = unit_rows;
    if (s.family != gmm::family::full)
        while (rows > block_rows && (rows >= enough * s.components || rows * row_bytes > largest_span))
            rows /= 2;
    return rows;
}

/// Scratch memory of one thread.
template <class T>
class workspace {
public:
    workspace() = default;
    workspace(const gmm_shape& s, std::int64_t block_rows)
        : numbers_(number_count(s, block_rows)), integers_(integer_count(s, block_rows)), choices_(s.components),
          touched_(s.components), partial_(sum_count(s)), screen_(std::make_unique<screen_state>()) {
        const std::int64_t slab = block_rows * slab_rows(s.components), limits = limit_rows(s, block_rows);
        const std::int64_t slots = slot_numbers(s, block_rows);
        view.log_densities = numbers_.data();
        view.distances = view.log_densities + slab;
        view.panel = view.distances + (s.family == gmm::family::spherical ? slab : 0);
        view.strip = view.panel + panel_numbers(s, block_rows);
        view.row_weights = view.strip + strip_rows * s.dimensions;
        view.row_limits = view.row_weights + block_rows;
        view.rows = view.row_limits + limits;
        view.listed_weights = view.rows + row_numbers(s, block_rows);
        view.home_densities = view.listed_weights + limits;
        view.home_reaches = view.home_densities + limits;
        view.pair_weights = view.home_reaches + limits;
        view.near_densities = view.pair_weights + pairs(s);
        view.slot_densities = view.near_densities + pairs(s);
        view.slot_components = view.slot_densities + slots;
        view.nearest = integers_.data();
        view.listed = view.nearest + limits;
        view.pair_rows = view.listed + limits;
        view.pair_components = view.pair_rows + pairs(s);
        view.sorted = view.pair_components + pairs(s);
        view.near_rows = view.sorted + pairs(s);
        view.near_components = view.near_rows + pairs(s);
        view.near_order = view.near_components + pairs(s);
        view.slots = view.near_order + pairs(s);
        view.near_starts = view.slots + block_rows;
        view.active = view.near_starts + limits + 1;
        view.starts = view.active + s.components;
        view.near = view.starts + s.components + 1;
        view.choices = choices_.data();
        view.touched = touched_.data();
        view.partial = partial_.data();
        view.screen = screen_.get();
    }

    static std::int64_t bytes(const gmm_shape& s, std::int64_t block_rows) {
        return aligned_array<T>::bytes(number_count(s, block_rows)) + 4 * integer_count(s, block_rows) +
               8 * sum_count(s) + 2 * s.components;
    }

    workspace_view<T> view{};

private:
    static bool gathers(const gmm_shape& s) { return gathers_rows(s.family, s.dimensions); }
    static std::int64_t pairs(const gmm_shape& s) { return gathers(s) ? pair_capacity : 0; }
    static std::int64_t limit_rows(const gmm_shape& s, std::int64_t block_rows) {
        return gathers(s) ? choose_span_rows(s, sizeof(T)) : block_rows;
    }
    static std::int64_t row_numbers(const gmm_shape& s, std::int64_t block_rows) {
        return gathers(s) ? limit_rows(s, block_rows) * row_stride(s.dimensions) : 0;
    }
    static std::int64_t panel_numbers(const gmm_shape& s, std::int64_t block_rows) {
        const bool groups = s.family == gmm::family::full && gathers(s);
        return std::max(panel_stride(block_rows) * panel_rows(s.family, s.dimensions),
                        groups ? pairs_at_once * pair_stride(s.dimensions) : 0);
    }
    static std::int64_t slot_numbers(const gmm_shape& s, std::int64_t block_rows) {
        const bool separates = separates_components(s.family, s.dimensions, s.components);
        return separates ? block_rows * slab_rows(s.components) : 0;
    }
    static std::int64_t number_count(const gmm_shape& s, std::int64_t block_rows) {
        const std::int64_t slabs = s.family == gmm::family::spherical ? 2 : 1;
        return slabs * block_rows * slab_rows(s.components) + panel_numbers(s, block_rows) + strip_rows * s.dimensions +
               block_rows + 4 * limit_rows(s, block_rows) + row_numbers(s, block_rows) + 2 * pairs(s) +
               2 * slot_numbers(s, block_rows);
    }
    static std::int64_t integer_count(const gmm_shape& s, std::int64_t block_rows) {
        return 3 * limit_rows(s, block_rows) + 6 * pairs(s) + block_rows + 3 * s.components + 2;
    }

    aligned_array<T> numbers_;
    aligned_array<std::int32_t> integers_;
    aligned_array<moment_choice> choices_;
    aligned_array<bool> touched_;
    aligned_array<double> partial_;
    std::unique_ptr<screen_state> screen_;
};

} // namespace elbo::kernels::cpu
