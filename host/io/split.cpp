#include "host/io/sources.hpp"

#include "elbo/error.hpp"
#include "kernels/math/vae_random.hpp"

#include <cmath>
#include <cstring>
#include <fmt/format.h>

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

/// The rows of one part, one after the other.
class part_rows {
public:
    part_rows(const data_source& whole, const drawn_rows& drawn, bool validation, std::int64_t rows_per_batch)
        : whole_(whole), drawn_(drawn), validation_(validation), reader_(whole.read(rows_per_batch)),
          next_(drawn.row(0)) {}

    /// Copies the next row; returns where the one after it goes.
    char* copy_next(char* out) {
        for (bool drawn = !validation_; drawn != validation_;) {
            if (++at_ >= batch_.rows)
                batch_ = reader_->next(), at_ = 0;
            if (batch_.rows == 0)
                throw error(fmt::format("{}: fewer rows than it had at first", whole_.description()));
            drawn = row_++ == next_;
            if (drawn)
                next_ = ++run_ < drawn_.count ? drawn_.row(run_) : -1;
        }
        const std::int64_t bytes = batch_.cols * batch_.element_size();
        std::memcpy(out, batch_.slice(at_, 1).data, static_cast<std::size_t>(bytes));
        return out + bytes;
    }

private:
    data_source whole_;
    drawn_rows drawn_;
    const bool validation_;
    std::unique_ptr<batch_reader> reader_;
    any_matrix_view batch_;
    std::int64_t at_ = -1;        ///< the last row, in the batch
    std::int64_t row_ = 0;        ///< the next row
    std::int64_t run_ = 0, next_; ///< the next row that is for validation, and its run
};

data_source part_of(const data_source& whole, const drawn_rows& drawn, bool validation) {
    const auto begin = [=](std::int64_t rows_per_batch) -> row_filler {
        const auto from = std::make_shared<part_rows>(whole, drawn, validation, rows_per_batch);
        return [from](std::int64_t, std::int64_t rows, char* out) {
            for (; rows > 0; --rows)
                out = from->copy_next(out);
        };
    };
    auto part = std::make_shared<filled_source>(
        fmt::format("{} ({} rows)", whole.description(), validation ? "validation" : "training"),
        validation ? drawn.count : drawn.rows - drawn.count, whole.cols(), whole.type(), begin);
    part->column_names = whole.column_names();
    part->kept = whole.kept_bytes();
    return data_source(std::move(part));
}

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
    return {part_of(data, drawn, false), part_of(data, drawn, true)};
}

std::vector<std::int64_t> validation_rows(const data_source& data, double fraction, std::uint64_t seed) {
    const drawn_rows drawn = draw(data, fraction, seed);
    std::vector<std::int64_t> rows;
    for (std::int64_t run = 0; run < drawn.count; ++run)
        rows.push_back(drawn.row(run));
    return rows;
}

} // namespace elbo::io
