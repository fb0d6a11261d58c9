// data_source: a value that shares one implementation, chosen by what it is made of; and those of matrices in memory
// and of rows that a function makes on demand.
#include "host/io/sources.hpp"

#include <fmt/format.h>
#include <mutex>

namespace elbo::io {
namespace {

std::string describe(const any_matrix_view& view) {
    constexpr const char* spaces[] = {"host", "pinned", "device"}; // in the order of memory_space
    return fmt::format("{} x {} ({}, {})", view.rows, view.cols, spaces[static_cast<int>(view.space)],
                       view.type == element_type::float32 ? "float32" : "float64");
}

void check_view(const any_matrix_view& view, const std::string& name) {
    if (view.rows < 0 || view.cols < 0)
        throw invalid_argument(fmt::format("{}: {} rows, {} columns: expected at least 0", name, view.rows, view.cols));
    if (view.stride < view.cols)
        throw invalid_argument(
            fmt::format("{}: stride = {}: expected at least the {} columns", name, view.stride, view.cols));
    if (view.data == nullptr && view.rows > 0 && view.cols > 0)
        throw invalid_argument(fmt::format("{}: data is null, expected {} x {} elements", name, view.rows, view.cols));
    const std::optional<std::int64_t> elements = checked_product(view.rows, view.stride);
    if (!elements || !checked_product(*elements, view.element_size()))
        throw invalid_argument(
            fmt::format("{}: {} rows of stride {} are more than an address can reach", name, view.rows, view.stride));
}

void check_same_kind(const any_matrix_view& view, const any_matrix_view& first, std::size_t index) {
    if (view.cols != first.cols || view.type != first.type || view.space != first.space)
        throw invalid_argument(fmt::format("chunk {} is {}: expected the columns, type and memory of chunk 0, {}",
                                           index, describe(view), describe(first)));
}

class view_source final : public data_source::implementation {
public:
    view_source(std::vector<any_matrix_view> parts, std::shared_ptr<const kernels::device_queue> queue)
        : parts_(std::move(parts)), queue_(std::move(queue)) {
        const bool single = parts_.size() == 1;
        for (std::size_t i = 0; i < parts_.size(); ++i) {
            check_view(parts_[i], single ? "matrix" : fmt::format("chunk {}", i));
            check_same_kind(parts_[i], parts_.front(), i);
            if (__builtin_add_overflow(rows, parts_[i].rows, &rows))
                throw invalid_argument("chunks: the sum of their rows is more than 2^63 - 1");
        }
        any_matrix_view whole = parts_.empty() ? any_matrix_view() : parts_.front();
        whole.rows = rows;
        cols = whole.cols;
        type = whole.type;
        space = whole.space;
        description =
            single ? "matrix " + describe(whole) : fmt::format("{} chunks of {}", parts_.size(), describe(whole));
    }

    std::optional<any_matrix_view> contiguous() const override {
        if (parts_.size() != 1)
            return std::nullopt;
        if (queue_)
            queue_->wait();
        return parts_.front();
    }

    std::unique_ptr<batch_reader> read(std::int64_t rows_per_batch) const override {
        if (queue_)
            queue_->wait();
        return read_views(parts_, rows_per_batch, nullptr, queue_);
    }

private:
    std::vector<any_matrix_view> parts_;
    std::shared_ptr<const kernels::device_queue> queue_;
};

class numbers_source final : public data_source::implementation {
public:
    explicit numbers_source(std::shared_ptr<const char> numbers) : numbers_(std::move(numbers)) {}

    std::optional<any_matrix_view> contiguous() const override {
        return dense_view(numbers_.get(), type, rows, cols, space);
    }
    std::unique_ptr<batch_reader> read(std::int64_t rows_per_batch) const override {
        return read_views({*contiguous()}, rows_per_batch, numbers_);
    }

private:
    std::shared_ptr<const char> numbers_;
};

} // namespace

source_pointer open_views(std::vector<any_matrix_view> parts, std::shared_ptr<const kernels::device_queue> queue) {
    return std::make_shared<view_source>(std::move(parts), std::move(queue));
}

std::shared_ptr<data_source::implementation> open_numbers(std::shared_ptr<const char> numbers, element_type type,
                                                          std::int64_t rows, std::int64_t cols) {
    auto source = std::make_shared<numbers_source>(std::move(numbers));
    source->type = type;
    source->rows = rows;
    source->cols = cols;
    source->kept = rows * cols * size_of(type);
    return source;
}

} // namespace elbo::io

namespace elbo {

data_source::data_source(any_matrix_view view) : impl_(io::open_views({view})) {}
data_source::data_source(std::shared_ptr<const implementation> impl) : impl_(std::move(impl)) {}

data_source data_source::chunks(std::vector<any_matrix_view> parts) {
    return data_source(io::open_views(std::move(parts)));
}

data_source data_source::generator(std::int64_t rows, std::int64_t cols,
                                   std::function<void(std::int64_t, std::int64_t, float*)> fill) {
    if (rows < 0 || cols < 0)
        throw invalid_argument(fmt::format("generator: {} rows, {} columns: expected at least 0", rows, cols));
    if (!fill)
        throw invalid_argument("generator: fill is empty, expected a function that writes rows");
    // Only one thread at a time gets into the function, whatever number of them read.
    const auto guarded = [fill = std::move(fill), busy = std::make_shared<std::mutex>()](
                             std::int64_t first_row, std::int64_t count, char* out) {
        const std::lock_guard lock(*busy);
        fill(first_row, count, reinterpret_cast<float*>(out));
    };
    return data_source(std::make_shared<io::filled_source>(fmt::format("generator {} x {} (float32)", rows, cols), rows,
                                                           cols, element_type::float32,
                                                           [guarded](std::int64_t) { return guarded; }));
}

data_source data_source::file(const std::string& path, const file_options& options) {
    return io::open_file(path, options)->take({{options.columns, options.scale}}).front();
}

std::int64_t data_source::kept_bytes() const {
    return impl_->kept;
}
std::int64_t data_source::rows() const {
    return impl_->rows;
}
std::int64_t data_source::cols() const {
    return impl_->cols;
}
element_type data_source::type() const {
    return impl_->type;
}
memory_space data_source::space() const {
    return impl_->space;
}
std::optional<any_matrix_view> data_source::contiguous() const {
    return impl_->contiguous();
}
const std::vector<std::string>& data_source::column_names() const {
    return impl_->column_names;
}
const std::string& data_source::description() const {
    return impl_->description;
}
const std::vector<left_out_column>& data_source::left_out() const {
    return impl_->left_out;
}
const std::vector<std::string>& data_source::remarks() const {
    return impl_->remarks;
}
std::unique_ptr<batch_reader> data_source::read(std::int64_t rows_per_batch) const {
    return impl_->read(rows_per_batch);
}

} // namespace elbo
