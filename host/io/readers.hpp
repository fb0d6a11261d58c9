// The kinds of batch_reader that the sources are made of.
#pragma once

#include "elbo/data_source.hpp"
#include "kernels/contract/backend_table.hpp"
#include "kernels/shared/memory.hpp"

#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <utility>
#include <vector>

namespace elbo::io {

/// Batches of a list of matrices that follow one another: without a copy where a batch lies in one of them, else
/// gathered, from device memory on `queue` or else on that of the memory. `owner` keeps the memory alive.
std::unique_ptr<batch_reader> read_views(std::vector<any_matrix_view> parts, std::int64_t rows_per_batch,
                                         std::shared_ptr<const void> owner = nullptr,
                                         std::shared_ptr<const kernels::device_queue> queue = nullptr);

/// Copies the rows of `part`, which may have a stride, to densely packed memory of the same space.
void copy_rows(const any_matrix_view& part, char* to, const kernels::device_queue* queue = nullptr);

/// Writes rows first_row ... first_row + rows − 1 to `out`, densely packed and of the type of the source. Called in
/// order.
using row_filler = std::function<void(std::int64_t first_row, std::int64_t rows, char* out)>;

/// Batches in a buffer of their own in host memory, which `fill` fills.
std::unique_ptr<batch_reader> read_filled(const data_source::implementation& source, std::int64_t rows_per_batch,
                                          row_filler fill);

/// A source that is read so in each pass; what else there is to say of it, the caller adds.
class filled_source final : public data_source::implementation {
public:
    /// Begins a pass in batches of so many rows.
    using start = std::function<row_filler(std::int64_t rows_per_batch)>;

    filled_source(std::string what, std::int64_t row_count, std::int64_t column_count, element_type number, start begin)
        : begin_(std::move(begin)) {
        description = std::move(what);
        rows = row_count;
        cols = column_count;
        type = number;
    }
    /// What is to be said of it, is that of another source.
    filled_source(const implementation& like, start begin) : implementation(like), begin_(std::move(begin)) {
        space = memory_space::host;
    }
    std::unique_ptr<batch_reader> read(std::int64_t rows_per_batch) const override;

private:
    start begin_;
};

/// The batches of another reader of host memory, each read by a thread while the caller uses the one before, into one
/// of two buffers. What the other reader throws, next() throws.
std::unique_ptr<batch_reader> read_ahead(std::unique_ptr<batch_reader> reader);

/// Calls visit(float()) or visit(double()).
template <class Visit>
void with_type(element_type type, const Visit& visit) {
    if (type == element_type::float32)
        visit(float());
    else
        visit(double());
}

} // namespace elbo::io
