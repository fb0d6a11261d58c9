#include "host/io/read_ahead.hpp"

#include "host/io/readers.hpp"

#include <array>
#include <future>

namespace elbo::io {
namespace {

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

} // namespace

std::unique_ptr<batch_reader> read_ahead(std::unique_ptr<batch_reader> reader) {
    return std::make_unique<ahead_reader>(std::move(reader));
}

} // namespace elbo::io
