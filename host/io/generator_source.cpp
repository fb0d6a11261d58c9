// Rows that a function makes on demand.
#include "host/io/readers.hpp"
#include "host/io/sources.hpp"

#include <fmt/format.h>
#include <mutex>

namespace elbo::io {
namespace {

using fill_function = std::function<void(std::int64_t, std::int64_t, float*)>;

/// The function, and what lets only one thread at a time into it, whatever number of them read.
struct guarded_fill {
    fill_function function;
    std::mutex busy;
};

class generator_reader final : public filling_reader {
public:
    generator_reader(const data_source::implementation& source, std::int64_t rows_per_batch,
                     std::shared_ptr<guarded_fill> fill)
        : filling_reader(source, rows_per_batch), fill_(std::move(fill)) {}

private:
    void fill(std::int64_t first_row, std::int64_t rows, char* out) override {
        const std::lock_guard lock(fill_->busy);
        fill_->function(first_row, rows, reinterpret_cast<float*>(out));
    }
    std::shared_ptr<guarded_fill> fill_;
};

class generator_source final : public data_source::implementation {
public:
    generator_source(std::int64_t row_count, std::int64_t column_count, fill_function fill)
        : fill_(std::make_shared<guarded_fill>()) {
        if (row_count < 0 || column_count < 0)
            throw invalid_argument(
                fmt::format("generator: {} rows, {} columns: expected at least 0", row_count, column_count));
        if (!fill)
            throw invalid_argument("generator: fill is empty, expected a function that writes rows");
        fill_->function = std::move(fill);
        rows = row_count;
        cols = column_count;
        description = fmt::format("generator {} x {} (float32)", rows, cols);
    }

    std::unique_ptr<batch_reader> read(std::int64_t rows_per_batch) const override {
        return std::make_unique<generator_reader>(*this, rows_per_batch, fill_);
    }

private:
    std::shared_ptr<guarded_fill> fill_;
};

} // namespace

source_pointer open_generator(std::int64_t rows, std::int64_t cols, fill_function fill) {
    return std::make_shared<generator_source>(rows, cols, std::move(fill));
}

} // namespace elbo::io
