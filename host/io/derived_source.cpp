// Sources made of another one: some of its columns, by number or by the names of a model, and its values scaled, or its
// rows split.
#include "host/io/errors.hpp"
#include "host/io/sources.hpp"
#include "kernels/math/vae_random.hpp"

#include <charconv>
#include <cmath>
#include <cstring>
#include <fmt/format.h>
#include <unordered_map>

namespace elbo::io {
namespace {

constexpr std::int64_t largest_copy = std::int64_t{64} << 20; // bytes

void gather(const any_matrix_view& from, const std::vector<std::int64_t>& columns, char* out) {
    with_type(from.type, [&](auto number) {
        const auto values = from.as<decltype(number)>();
        auto* to = reinterpret_cast<decltype(number)*>(out);
        for (std::int64_t i = 0; i < from.rows; ++i)
            for (const std::int64_t j : columns)
                *to++ = values(i, j);
    });
}

class selecting_source final : public data_source::implementation {
public:
    selecting_source(source_pointer all, std::vector<std::int64_t> columns)
        : implementation(*all), all_(std::move(all)), columns_(std::move(columns)) {
        space = memory_space::host;
        cols = std::ssize(columns_);
        column_names.clear();
        for (const std::int64_t j : columns_)
            if (!all_->column_names.empty())
                column_names.push_back(all_->column_names[static_cast<std::size_t>(j)]);
    }

    std::optional<any_matrix_view> contiguous() const override { return view_; }

    std::unique_ptr<batch_reader> read(std::int64_t rows_per_batch) const override {
        if (view_)
            return read_views({*view_}, rows_per_batch, owner_);
        return read_filled(*this, rows_per_batch,
                           [all = std::shared_ptr(all_->read(rows_per_batch)), columns = columns_](
                               std::int64_t, std::int64_t, char* out) { gather(all->next(), columns, out); });
    }

    /// Looks at the columns, or copies them, where that makes a matrix at little cost.
    void find_view() {
        const std::optional<any_matrix_view> whole = all_->contiguous();
        if (!whole || whole->rows == 0)
            return;
        const bool neighbours = std::ranges::adjacent_find(columns_, [](std::int64_t a, std::int64_t b) {
                                    return b != a + 1;
                                }) == columns_.end();
        if (neighbours && kept > 0) { // pages of a mapped file are given back by its own reader
            view_ = *whole;
            view_->data = static_cast<const char*>(whole->data) + columns_.front() * size_of(type);
            view_->cols = cols;
            owner_ = all_;
        } else if (const auto elements = checked_product(rows, cols);
                   elements && *elements <= largest_copy / size_of(type)) {
            copy(*whole, *elements);
        }
    }

private:
    void copy(const any_matrix_view& whole, std::int64_t elements) {
        const auto memory = std::make_shared<host_memory>(elements, size_of(type));
        gather(whole, columns_, memory->data());
        kept += elements * size_of(type);
        view_ = dense_view(memory->data(), type, rows, cols);
        owner_ = memory;
    }

    source_pointer all_;
    std::vector<std::int64_t> columns_;
    std::optional<any_matrix_view> view_;
    std::shared_ptr<const void> owner_; // of its memory
};

// The product is taken in float64, so that k · (1/255) is the float32 nearest to it.
void multiply(const any_matrix_view& from, double scale, char* out) {
    with_type(from.type, [&](auto number) {
        const auto values = from.as<decltype(number)>();
        auto* to = reinterpret_cast<decltype(number)*>(out);
        for (std::int64_t i = 0; i < from.rows; ++i)
            for (std::int64_t j = 0; j < from.cols; ++j)
                *to++ = static_cast<decltype(number)>(static_cast<double>(values(i, j)) * scale);
    });
}

// The names for a message: not more than a screen can hold.
std::string list_of(const std::vector<std::string>& names) {
    constexpr std::size_t shown = 20;
    std::string list;
    for (std::size_t i = 0; i < std::min(names.size(), shown); ++i)
        list += (i > 0 ? ", " : "") + in_quotes(names[i]);
    return list + (names.size() > shown ? ", ..." : "");
}

std::int64_t find_column(const std::string& column, const std::vector<std::string>& available, std::int64_t count,
                         const std::string& description) {
    const auto found = std::find(available.begin(), available.end(), column);
    if (found != available.end()) {
        if (std::find(found + 1, available.end(), column) != available.end())
            throw invalid_argument(fmt::format("columns: {} has two columns named {}: use their numbers from 0",
                                               description, in_quotes(column)));
        return found - available.begin();
    }
    std::int64_t number = -1;
    const char* const end = column.data() + column.size();
    const auto [rest, error] = std::from_chars(column.data(), end, number);
    if (error != std::errc() || rest != end || number < 0 || number >= count)
        throw invalid_argument(fmt::format(
            "columns: {} has no column {}: expected one of {}", description, in_quotes(column),
            (available.empty() ? "" : list_of(available) + ", or ") + fmt::format("numbers from 0 to {}", count - 1)));
    return number;
}

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

std::vector<std::int64_t> find_columns(const std::vector<std::string>& columns,
                                       const std::vector<std::string>& available, std::int64_t count,
                                       const std::string& description) {
    std::vector<std::int64_t> positions;
    for (const std::string& column : columns) {
        positions.push_back(find_column(column, available, count, description));
        if (std::count(positions.begin(), positions.end(), positions.back()) > 1)
            throw invalid_argument(fmt::format("columns: {} is listed twice", in_quotes(column)));
    }
    return positions;
}

source_pointer select_columns(source_pointer source, const std::vector<std::int64_t>& positions) {
    bool all = positions.empty() || std::ssize(positions) == source->cols;
    for (std::size_t j = 0; all && j < positions.size(); ++j)
        all = positions[j] == static_cast<std::int64_t>(j);
    if (all)
        return source;
    auto selected = std::make_shared<selecting_source>(std::move(source), positions);
    selected->find_view();
    return selected;
}

source_pointer scale_values(source_pointer source, double scale) {
    if (!std::isfinite(scale) || scale == 0)
        throw invalid_argument(fmt::format("scale = {}: expected a finite number other than 0", scale));
    if (scale == 1)
        return source;
    return std::make_shared<filled_source>(*source, [source, scale](std::int64_t rows_per_batch) -> row_filler {
        return [all = std::shared_ptr(source->read(rows_per_batch)), scale](std::int64_t, std::int64_t, char* out) {
            multiply(all->next(), scale, out);
        };
    });
}

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

namespace elbo {

data_source match_columns(const data_source& data, const std::vector<std::string>& names, const std::string& model) {
    const std::vector<std::string>& available = data.column_names();
    if (names.empty() || available.empty() || names == available)
        return data;
    std::unordered_map<std::string_view, std::int64_t> places;
    constexpr std::int64_t several = -1;
    for (std::int64_t j = 0; j < std::ssize(available); ++j)
        if (const auto [place, is_new] = places.emplace(available[static_cast<std::size_t>(j)], j); !is_new)
            place->second = several;
    std::vector<std::int64_t> positions;
    std::vector<bool> taken(available.size(), false);
    for (const std::string& name : names) {
        const auto found = places.find(name);
        if (found == places.end())
            throw invalid_argument(fmt::format("{} has no column {}, as {} has: its columns are {}", data.description(),
                                               io::in_quotes(name), model, io::list_of(available)));
        if (found->second == several)
            throw invalid_argument(fmt::format("{} has two columns named {}, one of which {} has: expected one",
                                               data.description(), io::in_quotes(name), model));
        const auto position = static_cast<std::size_t>(found->second);
        if (taken[position])
            throw invalid_argument(
                fmt::format("{} has two columns named {}, and {} has one: expected names that differ", model,
                            io::in_quotes(name), data.description()));
        taken[position] = true;
        positions.push_back(found->second);
    }
    return data_source(io::select_columns(data.shared(), positions));
}

} // namespace elbo
