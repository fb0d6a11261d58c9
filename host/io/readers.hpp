// The kinds of batch_reader that the sources are made of, and memory for numbers that they keep.
#pragma once

#include "elbo/data_source.hpp"
#include "kernels/contract/backend_table.hpp"
#include "kernels/shared/memory.hpp"

#include <algorithm>
#include <cstdint>
#include <cstdlib>
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

/// Memory for numbers of which nobody knows beforehand how many there are. It grows without a second copy beside it:
/// the system moves large blocks by their pages.
class growing_memory {
public:
    char* data() const { return data_.get(); }
    /// Makes room for `bytes` bytes in all; what is there stays. False, and nothing changes, where it cannot be had.
    bool grow(std::int64_t bytes) {
        return bytes <= capacity_ || resize(std::max(bytes, capacity_ + capacity_ / 2)) || resize(bytes);
    }
    void clear() {
        data_.reset();
        capacity_ = 0;
    }
    /// Hands the first `bytes` over and gives the rest back.
    std::shared_ptr<const char> release(std::int64_t bytes) {
        resize(std::max<std::int64_t>(1, bytes));
        capacity_ = 0;
        return std::move(data_);
    }

private:
    bool resize(std::int64_t bytes) {
        void* const moved = std::realloc(data_.get(), static_cast<std::size_t>(bytes));
        if (moved == nullptr)
            return false;
        static_cast<void>(data_.release()); // by realloc
        data_.reset(static_cast<char*>(moved));
        capacity_ = bytes;
        return true;
    }

    struct free_memory {
        void operator()(char* memory) const { std::free(memory); }
    };
    std::unique_ptr<char, free_memory> data_;
    std::int64_t capacity_ = 0;
};

/// Calls visit(float()) or visit(double()).
template <class Visit>
void with_type(element_type type, const Visit& visit) {
    if (type == element_type::float32)
        visit(float());
    else
        visit(double());
}

} // namespace elbo::io
