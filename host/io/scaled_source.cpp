// Another source with every value multiplied by a number.
#include "host/io/readers.hpp"
#include "host/io/sources.hpp"

#include <cmath>
#include <fmt/format.h>

namespace elbo::io {
namespace {

/// The product is taken in float64, so that k · (1/255) is the float32 nearest to it.
template <class T>
void multiply(const matrix_view<const T>& from, double scale, T* out) {
    for (std::int64_t i = 0; i < from.rows; ++i)
        for (std::int64_t j = 0; j < from.cols; ++j)
            *out++ = static_cast<T>(static_cast<double>(from(i, j)) * scale);
}

class scaling_reader final : public batch_reader {
public:
    scaling_reader(std::unique_ptr<batch_reader> all, const data_source::implementation& source,
                   std::int64_t rows_per_batch, double scale)
        : all_(std::move(all)), scale_(scale),
          buffer_(std::min(rows_per_batch, source.rows), source.cols * size_of(source.type)) {}

    any_matrix_view next() override {
        const any_matrix_view batch = all_->next();
        if (batch.type == element_type::float32)
            multiply(batch.as<float>(), scale_, reinterpret_cast<float*>(buffer_.data()));
        else
            multiply(batch.as<double>(), scale_, reinterpret_cast<double*>(buffer_.data()));
        return dense_view(buffer_.data(), batch.type, batch.rows, batch.cols);
    }

private:
    std::unique_ptr<batch_reader> all_;
    double scale_;
    host_memory buffer_;
};

class scaled_source final : public data_source::implementation {
public:
    scaled_source(source_pointer all, double scale) : all_(std::move(all)), scale_(scale) {
        rows = all_->rows;
        cols = all_->cols;
        type = all_->type;
        column_names = all_->column_names;
        description = all_->description;
        left_out = all_->left_out;
        remarks = all_->remarks;
        kept = all_->kept;
    }

    std::unique_ptr<batch_reader> read(std::int64_t rows_per_batch) const override {
        return std::make_unique<scaling_reader>(all_->read(rows_per_batch), *this, rows_per_batch, scale_);
    }

private:
    source_pointer all_;
    double scale_;
};

} // namespace

source_pointer scale_values(source_pointer source, double scale) {
    if (!std::isfinite(scale) || scale == 0)
        throw invalid_argument(fmt::format("scale = {}: expected a finite number other than 0", scale));
    if (scale == 1)
        return source;
    return std::make_shared<scaled_source>(std::move(source), scale);
}

} // namespace elbo::io
