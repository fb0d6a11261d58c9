// The data of the CPU engine: resident rows as bits, bytes or float32, and rows that an operation is given.
#pragma once

#include "kernels/contract/vae_engine.hpp"
#include "kernels/cpu/core/units.hpp"
#include "kernels/cpu/core/workspace.hpp"
#include "kernels/cpu/vae/kernel_table.hpp"
#include "kernels/math/vae_storage.hpp"
#include "kernels/shared/memory.hpp"
#include "kernels/shared/threads/parallel.hpp"
#include "kernels/shared/vae_rows.hpp"

#include <algorithm>
#include <cstdint>
#include <vector>

namespace elbo::kernels::cpu {

/// vae_engine::inspect, parts of the rows and then of the columns on several threads.
inline row_report inspect_rows(const vae::likelihood& form, const any_matrix_view& x, int threads) {
    constexpr std::int64_t range_rows = 256, range_columns = 64;
    if (threads == 1)
        return kernels::inspect_rows(form, x);
    std::vector<row_report> parts((x.rows + range_rows - 1) / range_rows);
    parallel_ranges(threads, x.rows, range_rows, [&](std::int64_t first, std::int64_t last) {
        row_report& part = parts[first / range_rows];
        part = kernels::inspect_rows(form, x.slice(first, last - first));
        part.row += first;
        part.column_sums = {};
    });
    row_report all;
    for (const row_report& part : parts) {
        if (part.found != row_report::fault::none)
            return part;
        all.all_bits = all.all_bits && part.all_bits;
        all.all_bytes = all.all_bytes && part.all_bytes;
    }
    all.column_sums.assign(x.cols, 0);
    parallel_ranges(threads, x.cols, range_columns, [&](std::int64_t first, std::int64_t last) {
        for (std::int64_t i = 0; i < x.rows; ++i)
            for (std::int64_t j = first; j < last; ++j)
                all.column_sums[j] += io::element(x, i, j);
    });
    return all;
}

/// Resident data sets.
class resident_rows {
public:
    static std::int64_t bytes(std::int64_t dimensions, const vae_capacity& c) {
        std::int64_t rows = 0;
        for (std::int64_t count : c.slots)
            rows += count;
        return rows * row_bytes(c.storage, dimensions);
    }
    void reserve(std::int64_t dimensions, const vae_capacity& c) {
        data_.clear(); // before, so that both are never held
        storage_ = c.storage;
        row_bytes_ = row_bytes(c.storage, dimensions);
        for (std::int64_t rows : c.slots)
            data_.emplace_back(rows * row_bytes_);
    }

    void store(std::int64_t dataset, std::int64_t slot, const any_matrix_view& x, int threads) {
        unsigned char* const first = data_[dataset].data() + slot * row_bytes_;
        parallel_ranges(threads, x.rows, 64, [&](std::int64_t begin, std::int64_t end) {
            for (std::int64_t i = begin; i < end; ++i)
                store_row(storage_, x, i, first + i * row_bytes_);
        });
    }

    stored_row row(std::int64_t dataset, std::int64_t slot) const {
        return {data_[dataset].data() + slot * row_bytes_, static_cast<int>(storage_)};
    }

private:
    /// Bytes of one stored row; bits in words of 16, one a panel.
    static std::int64_t row_bytes(row_storage storage, std::int64_t dimensions) {
        switch (storage) {
        case row_storage::bits:
            return 2 * panels_of(dimensions);
        case row_storage::bytes:
            return dimensions;
        case row_storage::float32:
            break;
        }
        return 4 * dimensions;
    }

    static void store_row(row_storage storage, const any_matrix_view& x, std::int64_t i, void* to) {
        for (std::int64_t j = 0; j < x.cols; ++j) {
            const auto value = static_cast<float>(io::element(x, i, j));
            if (storage == row_storage::float32)
                static_cast<float*>(to)[j] = value;
            else if (storage == row_storage::bytes)
                static_cast<std::uint8_t*>(to)[j] = static_cast<std::uint8_t>(byte_of(value));
            else {
                std::uint16_t& word = static_cast<std::uint16_t*>(to)[j / panel_width];
                const auto bit = static_cast<std::uint16_t>(1u << (j % panel_width));
                word = static_cast<std::uint16_t>(value != 0 ? word | bit : word & ~bit);
            }
        }
    }

    std::int64_t row_bytes_ = 0;
    row_storage storage_ = row_storage::float32;
    std::vector<aligned_array<unsigned char>> data_;
};

/// Rows that an operation works on, as float32 or as they are stored. Float64 is converted once, here.
class row_source {
public:
    row_source(const resident_rows& resident, const vae_rows& rows) : resident_(resident), rows_(rows) {
        require_host_memory(rows.x, "x");
        if (rows.x.data == nullptr || rows.x.type == element_type::float32)
            return;
        converted_.resize(rows.rows * rows.x.cols);
        for (std::int64_t i = 0; i < rows.rows; ++i)
            for (std::int64_t j = 0; j < rows.x.cols; ++j)
                converted_[i * rows.x.cols + j] = static_cast<float>(rows.x.as<double>()(i, j));
    }

    /// Resident rows in the order of an epoch: position `first` + i for row i.
    row_source(const resident_rows& resident, const vae_rows& rows, const shuffle_order& order, std::int64_t first)
        : row_source(resident, rows) {
        for (std::int64_t i = 0; i < rows.rows; ++i)
            shuffled_.push_back(static_cast<std::int64_t>(shuffled(order, static_cast<std::uint64_t>(first + i))));
    }
    stored_row row(std::int64_t i) const {
        if (rows_.x.data == nullptr)
            return resident_.row(rows_.dataset, rows_.slot + position(i));
        constexpr int storage = static_cast<int>(row_storage::float32);
        if (rows_.x.type == element_type::float32)
            return {rows_.x.as<float>().row(i), storage};
        return {converted_.data() + i * rows_.x.cols, storage};
    }

    std::uint64_t index(std::int64_t i) const { return static_cast<std::uint64_t>(rows_.first_row + position(i)); }
    std::int64_t rows() const { return rows_.rows; }

private:
    std::int64_t position(std::int64_t i) const { return shuffled_.empty() ? i : shuffled_[i]; }

    const resident_rows& resident_;
    vae_rows rows_;
    std::vector<float> converted_;
    std::vector<std::int64_t> shuffled_;
};

} // namespace elbo::kernels::cpu
