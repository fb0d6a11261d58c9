// Some columns of another source, by number or by the names of a model.
#include "host/io/errors.hpp"
#include "host/io/readers.hpp"
#include "host/io/sources.hpp"

#include <algorithm>
#include <charconv>
#include <fmt/format.h>
#include <string_view>
#include <unordered_map>

namespace elbo::io {
namespace {

constexpr std::int64_t largest_copy = std::int64_t{64} << 20; // bytes

template <class T>
void gather(const matrix_view<const T>& from, const std::vector<std::int64_t>& columns, T* out) {
    for (std::int64_t i = 0; i < from.rows; ++i)
        for (const std::int64_t j : columns)
            *out++ = from(i, j);
}

class selecting_reader final : public batch_reader {
public:
    selecting_reader(std::unique_ptr<batch_reader> all, const data_source::implementation& source,
                     std::int64_t rows_per_batch, const std::vector<std::int64_t>& columns)
        : all_(std::move(all)), columns_(columns),
          buffer_(std::min(rows_per_batch, source.rows),
                  static_cast<std::int64_t>(columns.size()) * size_of(source.type)) {}

    any_matrix_view next() override {
        const any_matrix_view batch = all_->next();
        if (batch.type == element_type::float32)
            gather(batch.as<float>(), columns_, reinterpret_cast<float*>(buffer_.data()));
        else
            gather(batch.as<double>(), columns_, reinterpret_cast<double*>(buffer_.data()));
        return dense_view(buffer_.data(), batch.type, batch.rows, static_cast<std::int64_t>(columns_.size()));
    }

private:
    std::unique_ptr<batch_reader> all_;
    std::vector<std::int64_t> columns_;
    host_memory buffer_;
};

class selecting_source final : public data_source::implementation {
public:
    selecting_source(source_pointer all, std::vector<std::int64_t> columns)
        : all_(std::move(all)), columns_(std::move(columns)) {
        rows = all_->rows;
        cols = static_cast<std::int64_t>(columns_.size());
        type = all_->type;
        description = all_->description;
        left_out = all_->left_out;
        remarks = all_->remarks;
        if (all_->column_names.empty())
            return;
        for (const std::int64_t j : columns_)
            column_names.push_back(all_->column_names[static_cast<std::size_t>(j)]);
    }

    std::optional<any_matrix_view> contiguous() const override { return view_; }

    std::unique_ptr<batch_reader> read(std::int64_t rows_per_batch) const override {
        if (view_)
            return read_views({*view_}, rows_per_batch, owner_);
        return std::make_unique<selecting_reader>(all_->read(rows_per_batch), *this, rows_per_batch, columns_);
    }

    /// Looks at the columns, or copies them, where that makes a matrix at little cost.
    void find_view() {
        kept = all_->kept;
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
        if (type == element_type::float32)
            gather(whole.as<float>(), columns_, reinterpret_cast<float*>(memory->data()));
        else
            gather(whole.as<double>(), columns_, reinterpret_cast<double*>(memory->data()));
        kept += elements * size_of(type);
        view_ = dense_view(memory->data(), type, rows, cols);
        owner_ = memory;
    }

    source_pointer all_;
    std::vector<std::int64_t> columns_;
    std::optional<any_matrix_view> view_;
    std::shared_ptr<const void> owner_; // of its memory
};

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
