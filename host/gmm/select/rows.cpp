#include "host/gmm/select/rows.hpp"

#include "elbo/buffer.hpp"
#include "host/io/readers.hpp"
#include "host/rows/row_access.hpp"
#include "kernels/shared/memory.hpp"

#include <optional>

namespace elbo::gmm {

namespace {

/// A copy of a source in memory of its own.
class kept_source final : public data_source::implementation {
public:
    kept_source(const context& ctx, const data_source& data)
        : memory_(internal::allocate(ctx, data.rows() * data.cols() * io::size_of(data.type()))) {
        rows = data.rows();
        cols = data.cols();
        type = data.type();
        space = ctx.where() == backend::cuda ? memory_space::device : memory_space::host;
        column_names = data.column_names();
        description = data.description();
        fill(ctx, data);
    }

    std::optional<any_matrix_view> contiguous() const override { return view(); }
    std::unique_ptr<batch_reader> read(std::int64_t rows_per_batch) const override {
        return io::read_views({view()}, rows_per_batch, memory_);
    }

private:
    any_matrix_view view() const { return io::dense_view(memory_.get(), type, rows, cols, space); }

    void fill(const context& ctx, const data_source& data) {
        constexpr std::int64_t batch_bytes = std::int64_t(32) << 20;
        const std::int64_t row_bytes = cols * io::size_of(type);
        const auto reader = data.read(batch_bytes / row_bytes + 1);
        std::vector<char> staging;
        char* to = static_cast<char*>(memory_.get());
        for (any_matrix_view batch = reader->next(); batch.rows > 0; batch = reader->next()) {
            const any_matrix_view from = readable(ctx, batch, staging);
            internal::copy_rows(ctx, to, row_bytes, from.data, from.stride * from.element_size(), row_bytes, from.rows);
            ctx.wait(); // the batch is valid until the next one
            to += from.rows * row_bytes;
        }
    }

    std::shared_ptr<void> memory_;
};

} // namespace

bool is_resident(const context& ctx, const data_source& data) {
    const bool on_device = data.space() == memory_space::device;
    return data.contiguous() && on_device == (ctx.where() == backend::cuda);
}

data_source keep_rows(const context& ctx, const data_source& data, std::int64_t memory_limit) {
    if (is_resident(ctx, data))
        return data;
    const std::optional<std::int64_t> numbers = io::checked_product(data.rows(), data.cols());
    const std::int64_t room = available_bytes(ctx, memory_limit) / 2 / io::size_of(data.type());
    if (!numbers || *numbers > room)
        return data;
    return data_source(std::make_shared<kept_source>(ctx, data));
}

} // namespace elbo::gmm
