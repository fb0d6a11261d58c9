#include "host/io/sources.hpp"

#include <array>
#include <cstring>
#include <fmt/format.h>
#include <future>

namespace elbo::io {
namespace {

std::int64_t total_rows(const std::vector<any_matrix_view>& parts) {
    std::int64_t rows = 0;
    for (const any_matrix_view& part : parts)
        rows += part.rows;
    return rows;
}

class view_reader final : public batch_reader {
public:
    view_reader(std::vector<any_matrix_view> parts, std::int64_t rows_per_batch, std::shared_ptr<const void> owner,
                std::shared_ptr<const kernels::device_queue> queue)
        : parts_(std::move(parts)), owner_(std::move(owner)), queue_(std::move(queue)), left_(total_rows(parts_)),
          rows_per_batch_(std::min(rows_per_batch, std::max<std::int64_t>(left_, 1))) {}

    any_matrix_view next() override {
        const std::int64_t rows = std::min(rows_per_batch_, left_);
        if (rows == 0)
            return parts_.empty() ? any_matrix_view() : parts_.back().slice(0, 0);
        while (parts_[part_].rows == row_)
            advance_part();
        left_ -= rows;
        if (parts_[part_].rows - row_ >= rows)
            return take(rows);
        return gather(rows);
    }

private:
    void advance_part() {
        ++part_;
        row_ = 0;
    }

    any_matrix_view take(std::int64_t rows) {
        const any_matrix_view piece = parts_[part_].slice(row_, rows);
        row_ += rows;
        return piece;
    }

    any_matrix_view gather(std::int64_t rows) {
        const any_matrix_view& shape = parts_[part_];
        char* const to = staging(shape);
        const std::int64_t row_bytes = shape.cols * shape.element_size();
        for (std::int64_t done = 0; done < rows;) {
            while (parts_[part_].rows == row_)
                advance_part();
            const any_matrix_view piece = take(std::min(rows - done, parts_[part_].rows - row_));
            copy_rows(piece, to + done * row_bytes, queue_.get());
            done += piece.rows;
        }
        const bool on_device = shape.space == memory_space::device;
        return dense_view(to, shape.type, rows, shape.cols, on_device ? memory_space::device : memory_space::host);
    }

    // Made when the first batch needs it.
    char* staging(const any_matrix_view& shape) {
        const std::int64_t row_bytes = shape.cols * shape.element_size();
        if (shape.space == memory_space::device) {
            if (!queue_)
                queue_ = kernels::queue_of(shape.data);
            if (!device_staging_)
                device_staging_ = queue_->allocate(rows_per_batch_, row_bytes);
            return static_cast<char*>(device_staging_.get());
        }
        if (host_staging_.data() == nullptr)
            host_staging_ = host_memory(rows_per_batch_, row_bytes);
        return host_staging_.data();
    }

    std::vector<any_matrix_view> parts_;
    std::shared_ptr<const void> owner_;
    std::shared_ptr<const kernels::device_queue> queue_;
    std::int64_t left_;
    std::int64_t rows_per_batch_;
    std::size_t part_ = 0; // where the next row lies
    std::int64_t row_ = 0;
    host_memory host_staging_;
    std::shared_ptr<void> device_staging_;
};

class filling_reader final : public batch_reader {
public:
    filling_reader(const data_source::implementation& source, std::int64_t rows_per_batch, row_filler fill)
        : type_(source.type), rows_(source.rows), cols_(source.cols), fill_(std::move(fill)),
          rows_per_batch_(std::min(rows_per_batch, rows_)) { // nothing for no rows, however many columns they have
        const std::optional<std::int64_t> elements = checked_product(rows_per_batch_, cols_);
        buffer_ = host_memory(elements.value_or(INT64_MAX), size_of(type_));
    }

    any_matrix_view next() override {
        const std::int64_t rows = std::min(rows_per_batch_, rows_ - position_);
        if (rows > 0)
            fill_(position_, rows, buffer_.data());
        position_ += rows;
        return dense_view(buffer_.data(), type_, rows, cols_);
    }

private:
    element_type type_;
    std::int64_t rows_, cols_;
    row_filler fill_;
    std::int64_t rows_per_batch_, position_ = 0;
    host_memory buffer_;
};

class ahead_reader final : public batch_reader {
public:
    explicit ahead_reader(std::unique_ptr<batch_reader> reader) : reader_(std::move(reader)) { start(); }

    any_matrix_view next() override {
        if (!pending_.valid())
            start(); // after the end or an exception: the other reader says what then
        const any_matrix_view batch = pending_.get();
        if (batch.rows > 0)
            start();
        return batch;
    }

private:
    struct buffer {
        host_memory memory;
        std::int64_t bytes = 0;
    };

    // The buffer of the batch before the last one is free: the caller has asked for another one since.
    void start() {
        buffer& to = buffers_[turn_];
        turn_ = 1 - turn_;
        pending_ = std::async(std::launch::async, [this, &to] { return read_into(to); });
    }

    any_matrix_view read_into(buffer& to) {
        const any_matrix_view batch = reader_->next();
        const std::int64_t bytes = batch.rows * batch.cols * batch.element_size();
        if (bytes > to.bytes)
            to = {host_memory(bytes, 1), bytes};
        copy_rows(batch, to.memory.data());
        return dense_view(to.memory.data(), batch.type, batch.rows, batch.cols);
    }

    std::unique_ptr<batch_reader> reader_;
    std::array<buffer, 2> buffers_;
    std::size_t turn_ = 0;
    std::future<any_matrix_view> pending_; // last: it is waited for before anything it uses goes
};

void require_batch_rows(std::int64_t rows_per_batch) {
    if (rows_per_batch < 1)
        throw invalid_argument(fmt::format("rows_per_batch = {}: expected at least 1", rows_per_batch));
}

} // namespace

void copy_rows(const any_matrix_view& part, char* to, const kernels::device_queue* queue) {
    const std::int64_t row_bytes = part.cols * part.element_size();
    const std::int64_t stride_bytes = part.stride * part.element_size();
    const char* from = static_cast<const char*>(part.data);
    if (part.rows * row_bytes == 0)
        return;
    if (part.space == memory_space::device)
        return (queue ? *queue : *kernels::queue_of(from)).copy(to, from, part.rows, row_bytes, stride_bytes);
    if (row_bytes == stride_bytes) {
        std::memcpy(to, from, static_cast<std::size_t>(part.rows * row_bytes));
        return;
    }
    for (std::int64_t i = 0; i < part.rows; ++i)
        std::memcpy(to + i * row_bytes, from + i * stride_bytes, static_cast<std::size_t>(row_bytes));
}

std::unique_ptr<batch_reader> read_views(std::vector<any_matrix_view> parts, std::int64_t rows_per_batch,
                                         std::shared_ptr<const void> owner,
                                         std::shared_ptr<const kernels::device_queue> queue) {
    require_batch_rows(rows_per_batch);
    return std::make_unique<view_reader>(std::move(parts), rows_per_batch, std::move(owner), std::move(queue));
}

std::unique_ptr<batch_reader> read_filled(const data_source::implementation& source, std::int64_t rows_per_batch,
                                          row_filler fill) {
    require_batch_rows(rows_per_batch);
    return std::make_unique<filling_reader>(source, rows_per_batch, std::move(fill));
}

std::unique_ptr<batch_reader> filled_source::read(std::int64_t rows_per_batch) const {
    require_batch_rows(rows_per_batch);
    return read_filled(*this, rows_per_batch, begin_(rows_per_batch));
}

std::unique_ptr<batch_reader> read_ahead(std::unique_ptr<batch_reader> reader) {
    return std::make_unique<ahead_reader>(std::move(reader));
}

} // namespace elbo::io
