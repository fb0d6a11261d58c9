#include "host/vae/rows.hpp"

#include "host/check.hpp"
#include "host/rows/row_access.hpp"
#include "kernels/math/likelihood/families.hpp"

#include <algorithm>
#include <fmt/format.h>

namespace elbo::vae {

using namespace kernels;

row_batches::row_batches(const context& ctx, const data_source& data, std::int64_t cols, std::string_view what)
    : ctx_(ctx), data_(data) {
    expects(data.rows() >= 1, [&] { return fmt::format("{} has no rows: expected at least one", data.description()); });
    expects(data.cols() == cols, [&] {
        return fmt::format("{} has {} columns: expected {}, {}", data.description(), data.cols(), cols, what);
    });
}

std::int64_t row_batches::batch_rows() const {
    constexpr std::int64_t numbers = std::int64_t(1) << 22;
    return std::clamp<std::int64_t>(numbers / data_.cols(), 1, 65536);
}

void row_batches::for_each(const std::function<void(const any_matrix_view&, std::int64_t)>& visit) const {
    std::vector<char> staging;
    std::int64_t first = 0;
    const auto reader = data_.read(batch_rows());
    for (any_matrix_view batch = reader->next(); batch.rows > 0; batch = reader->next()) {
        visit(readable(ctx_, batch, staging), first);
        first += batch.rows;
    }
}

row_survey row_batches::survey(vae_engine& engine) const {
    row_survey all;
    all.mean.assign(data_.cols(), 0);
    for_each([&](const any_matrix_view& batch, std::int64_t first) {
        const row_report report = engine.inspect(batch);
        check_rows(report, data_, first, engine.layout.architecture);
        all.all_bits = all.all_bits && report.all_bits;
        all.all_bytes = all.all_bytes && report.all_bytes;
        for (std::size_t j = 0; j < all.mean.size(); ++j)
            all.mean[j] += report.column_sums[j];
    });
    for (double& m : all.mean)
        m /= static_cast<double>(data_.rows());
    return all;
}

void check_rows(const row_report& report, const data_source& data, std::int64_t first_row, const architecture& a) {
    const std::int64_t row = first_row + report.row;
    switch (report.found) {
    case row_report::fault::none:
        return;
    case row_report::fault::not_finite:
        throw invalid_argument(fmt::format("{}: row {}, column {} is {}: expected finite numbers", data.description(),
                                           row, column_label(data, report.column), report.value));
    case row_report::fault::not_allowed:
        throw invalid_argument(fmt::format("{}: row {}, column {} is {}: expected {} for the {} likelihood",
                                           data.description(), row, column_label(data, report.column), report.value,
                                           facts_of(a.likelihood.family).values, to_string(a.likelihood.family)));
    case row_report::fault::not_one_hot:
        throw invalid_argument(
            fmt::format("{}: row {}, the block that begins at column {} is not one-hot (found {}): expected {} for "
                        "the {} likelihood",
                        data.description(), row, column_label(data, report.column), report.value,
                        facts_of(a.likelihood.family).values, to_string(a.likelihood.family)));
    }
}

row_loader::row_loader(const row_batches& feed) : feed_(feed), reader_(feed.data().read(feed.batch_rows())) {}

any_matrix_view row_loader::take(std::int64_t rows) {
    if (rest_.rows == 0)
        rest_ = readable(feed_.where(), reader_->next(), staging_);
    if (rest_.rows == 0)
        throw error(fmt::format("{}: fewer than the {} rows that it had at first", feed_.data().description(),
                                feed_.data().rows()));
    const any_matrix_view part = rest_.slice(0, std::min(rows, rest_.rows));
    rest_ = rest_.slice(part.rows, rest_.rows - part.rows);
    return part;
}

void row_loader::load(vae_engine& engine, std::int64_t dataset, std::int64_t rows) {
    for (std::int64_t slot = 0; slot < rows;) {
        const any_matrix_view part = take(rows - slot);
        engine.load(dataset, slot, part);
        slot += part.rows;
    }
}

void row_loader::skip(std::int64_t rows) {
    while (rows > 0)
        rows -= take(rows).rows;
}

void row_windows::load(vae_engine& engine, std::int64_t window) {
    if (loaded_ == window)
        return;
    if (!loader_ || loaded_ > window)
        loader_ = std::make_unique<row_loader>(feed_), loaded_ = -1;
    loader_->skip((window - loaded_ - 1) * size_);
    loader_->load(engine, 0, rows_of(window));
    loaded_ = window;
    if (size_ >= feed_.data().rows())
        loader_.reset(); // it will not be read again
}

} // namespace elbo::vae
