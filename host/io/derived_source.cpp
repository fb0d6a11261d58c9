// Sources made of another one: some of its columns, by number or by the names of a model, and its values scaled.
#include "host/io/errors.hpp"
#include "host/io/sources.hpp"

#include <charconv>
#include <cmath>
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
