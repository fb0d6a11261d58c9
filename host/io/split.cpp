#include "host/io/split.hpp"

#include "elbo/error.hpp"
#include "kernels/math/vae_random.hpp"

#include <algorithm>
#include <cmath>
#include <fmt/format.h>
#include <memory>
#include <vector>

namespace elbo::io {

namespace {

/// Which rows are for validation: one of each of `count` runs of nearly equal length.
struct drawn_rows {
    std::int64_t rows, count;
    kernels::noise_key key;

    // Split so that the product stays below 2^63 for any number of rows.
    std::int64_t begin(std::int64_t run) const { return run * (rows / count) + run * (rows % count) / count; }
    std::int64_t row(std::int64_t run) const {
        const auto length = static_cast<double>(begin(run + 1) - begin(run));
        const std::uint32_t word = kernels::noise_words(key, static_cast<std::uint64_t>(run), 0, 0).word[0];
        return begin(run) + static_cast<std::int64_t>(word * 0x1p-32 * length);
    }
};

/// Walks over the rows of a source in order and says of each whether it was drawn.
class row_cursor {
public:
    explicit row_cursor(const drawn_rows& drawn) : drawn_(drawn), next_(drawn.row(0)) {}
    bool step() {
        if (at_++ != next_)
            return false;
        next_ = ++run_ < drawn_.count ? drawn_.row(run_) : -1;
        return true;
    }

private:
    drawn_rows drawn_;
    std::int64_t at_ = 0, run_ = 0, next_;
};

/// The rows of one part in batches of its own memory.
template <class T>
class part_reader : public batch_reader {
public:
    part_reader(const data_source& whole, const drawn_rows& drawn, bool validation, std::int64_t rows_per_batch)
        : reader_(whole.read(rows_per_batch)), cursor_(drawn), validation_(validation), cols_(whole.cols()),
          wanted_(rows_per_batch) {}

    any_matrix_view next() override {
        rows_.clear();
        const auto enough = static_cast<std::size_t>(wanted_ * cols_);
        while (rows_.size() < enough && more())
            take_row();
        return matrix_view<const T>(rows_.data(), static_cast<std::int64_t>(rows_.size()) / cols_, cols_);
    }

private:
    bool more() {
        if (at_ == batch_.rows) {
            batch_ = reader_->next();
            at_ = 0;
        }
        return batch_.rows > 0;
    }
    void take_row() {
        const T* row = batch_.template as<T>().row(at_++);
        if (cursor_.step() == validation_)
            rows_.insert(rows_.end(), row, row + cols_);
    }

    std::unique_ptr<batch_reader> reader_;
    row_cursor cursor_;
    const bool validation_;
    const std::int64_t cols_, wanted_;
    any_matrix_view batch_;
    std::int64_t at_ = 0; ///< next row of the batch
    std::vector<T> rows_;
};

class part_source : public data_source::implementation {
public:
    part_source(const data_source& whole, const drawn_rows& drawn, bool validation)
        : whole_(whole), drawn_(drawn), validation_(validation) {
        rows = validation ? drawn.count : drawn.rows - drawn.count;
        cols = whole.cols();
        type = whole.type();
        column_names = whole.column_names();
        kept = whole.kept_bytes();
        description = fmt::format("{} ({} rows)", whole.description(), validation ? "validation" : "training");
    }

    std::unique_ptr<batch_reader> read(std::int64_t rows_per_batch) const override {
        if (type == element_type::float32)
            return std::make_unique<part_reader<float>>(whole_, drawn_, validation_, rows_per_batch);
        return std::make_unique<part_reader<double>>(whole_, drawn_, validation_, rows_per_batch);
    }

private:
    data_source whole_;
    drawn_rows drawn_;
    bool validation_;
};

drawn_rows draw(const data_source& data, double fraction, std::uint64_t seed) {
    if (!(fraction > 0 && fraction < 1))
        throw invalid_argument(fmt::format("validation_fraction = {}: expected a number between 0 and 1", fraction));
    const auto count = static_cast<std::int64_t>(std::llround(fraction * static_cast<double>(data.rows())));
    if (count < 1 || count >= data.rows())
        throw invalid_argument(fmt::format("validation_fraction = {}: {} of the {} rows of {} are for validation, "
                                           "expected some, and some for training",
                                           fraction, count, data.rows(), data.description()));
    return {data.rows(), count, kernels::make_noise_key(seed, kernels::noise_purpose::validation_rows, 0)};
}

} // namespace

data_parts split(const data_source& data, double fraction, std::uint64_t seed) {
    const drawn_rows drawn = draw(data, fraction, seed);
    return {data_source(std::make_shared<part_source>(data, drawn, false)),
            data_source(std::make_shared<part_source>(data, drawn, true))};
}

std::vector<std::int64_t> validation_rows(const data_source& data, double fraction, std::uint64_t seed) {
    const drawn_rows drawn = draw(data, fraction, seed);
    std::vector<std::int64_t> rows;
    for (std::int64_t run = 0; run < drawn.count; ++run)
        rows.push_back(drawn.row(run));
    return rows;
}

} // namespace elbo::io
