// The data of the CPU engine: resident rows as bits, bytes or float32, and rows that an operation is given.
#pragma once

#include "kernels/contract/vae_engine.hpp"
#include "kernels/cpu/core/units.hpp"
#include "kernels/cpu/core/workspace.hpp"
#include "kernels/cpu/vae/kernel_table.hpp"

#include <cstdint>
#include <vector>

namespace elbo::kernels::cpu {

/// Bytes of one stored row; bits in words of 16, one a panel.
std::int64_t row_bytes(row_storage storage, std::int64_t dimensions);

/// vae_engine::inspect, parts of the rows and then of the columns on several threads.
row_report inspect_rows(const vae::likelihood& form, const any_matrix_view& x, int threads);

/// Resident data sets.
class resident_rows {
public:
    static std::int64_t bytes(std::int64_t dimensions, const vae_capacity& c);
    void reserve(std::int64_t dimensions, const vae_capacity& c);
    void store(std::int64_t dataset, std::int64_t slot, const any_matrix_view& x, int threads);
    stored_row row(std::int64_t dataset, std::int64_t slot) const {
        return {data_[dataset].data() + slot * row_bytes_, static_cast<int>(storage_)};
    }

private:
    std::int64_t dimensions_ = 0, row_bytes_ = 0;
    row_storage storage_ = row_storage::float32;
    std::vector<aligned_array<unsigned char>> data_;
};

/// Rows that an operation works on, as float32 or as they are stored. Float64 is converted once, here.
class row_source {
public:
    row_source(const resident_rows& resident, const vae_rows& rows);
    /// Resident rows in the order of an epoch: position `first` + i for row i.
    row_source(const resident_rows& resident, const vae_rows& rows, const shuffle_order& order, std::int64_t first);
    stored_row row(std::int64_t i) const;
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
