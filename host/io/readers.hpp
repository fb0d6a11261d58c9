// The kinds of batch_reader that the sources are made of.
#pragma once

#include "elbo/data_source.hpp"
#include "kernels/contract/backend_table.hpp"
#include "kernels/shared/memory.hpp"

#include <cstdint>
#include <memory>
#include <vector>

namespace elbo::io {

/// Throws invalid_argument unless rows_per_batch ≥ 1.
void require_batch_rows(std::int64_t rows_per_batch);

/// Batches of a list of matrices that follow one another: without a copy where a batch lies in one of them, else
/// gathered, from device memory on `queue` or else on that of the memory. `owner` keeps the memory alive.
std::unique_ptr<batch_reader> read_views(std::vector<any_matrix_view> parts, std::int64_t rows_per_batch,
                                         std::shared_ptr<const void> owner = nullptr,
                                         std::shared_ptr<const kernels::device_queue> queue = nullptr);

/// Copies the rows of `part`, which may have a stride, to densely packed memory of the same space.
void copy_rows(const any_matrix_view& part, char* to, const kernels::device_queue* queue = nullptr);

/// A reader that fills a buffer of its own, densely packed and in host memory.
class filling_reader : public batch_reader {
public:
    filling_reader(const data_source::implementation& source, std::int64_t rows_per_batch);
    any_matrix_view next() final;

protected:
    /// Writes rows first_row ... first_row + rows - 1 to `out` (the type of the source). Called in order.
    virtual void fill(std::int64_t first_row, std::int64_t rows, char* out) = 0;

private:
    element_type type_;
    std::int64_t rows_, cols_, rows_per_batch_;
    std::int64_t position_ = 0;
    host_memory buffer_;
};

} // namespace elbo::io
