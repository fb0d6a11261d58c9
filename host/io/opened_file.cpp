// What opens a file by its format, and what all formats have in common.
#include "host/io/errors.hpp"
#include "host/io/format.hpp"
#include "host/io/sources.hpp"
#include "host/io/text/numbers.hpp"
#include "kernels/shared/threads/processors.hpp"

#include <fmt/format.h>
#include <unordered_set>

namespace elbo::io {
namespace {

[[noreturn]] void fail_unknown_ending(const input_file& file) {
    fail(file.name(),
         fmt::format("the ending is none of .csv .tsv .data .tra .tes .txt, .npy, .npz, .f32, .f64, .idx, -ubyte, "
                     ".h5, .hdf5 (also .gz); the file looks like {}",
                     looks_like(first_bytes(file, 64))));
}

// A name without an ending says nothing: standard input, and the pipes that a shell makes.
path_format format_of(input_file& file) {
    path_format kind = format_of_path(file.name());
    if (kind.format != file_format::unknown || (!file.kept() && !file.name().starts_with("/dev/")))
        return kind;
    kind = format_of_bytes(first_bytes(file, 64));
    if (!kind.gzip)
        return kind;
    file = input_file::decompressed(file);
    return format_of_bytes(first_bytes(file, 64));
}

std::unique_ptr<opened_file> open_format(input_file file, const path_format& kind, const file_options& options) {
    const bool streamed = kind.format == file_format::text || kind.format == file_format::npy ||
                          kind.format == file_format::idx || kind.format == file_format::unknown;
    if (kind.gzip && !streamed) // these are read from several places at once
        file = input_file::decompressed(file);
    switch (kind.format) {
    case file_format::text:
        return open_text(file, kind.gzip, options);
    case file_format::npy:
        return open_npy(file, kind.gzip, options);
    case file_format::idx:
        return open_idx(file, kind.gzip, options);
    case file_format::npz:
        return open_npz(file, options);
    case file_format::float32:
        return open_raw(file, element_type::float32, options);
    case file_format::float64:
        return open_raw(file, element_type::float64, options);
    case file_format::hdf5:
        return open_hdf5(file, options);
    case file_format::unknown:
        break;
    }
    fail_unknown_ending(file);
}

// With what must live for as long as the source.
source_pointer holding(source_pointer source, const std::shared_ptr<const void>& kept) {
    if (!kept)
        return source;
    return {std::make_shared<std::pair<source_pointer, std::shared_ptr<const void>>>(source, kept), source.get()};
}

// Options that say nothing about the file are mistakes.
void require_fitting(const file_options& options, file_format format, const std::string& name) {
    if (!options.dataset.empty() && format != file_format::hdf5 && format != file_format::npz)
        throw invalid_argument(fmt::format("dataset = {}: {} is neither .h5 nor .npz, and only these hold several",
                                           in_quotes(options.dataset), name));
    const char* const of_text = options.delimiter != 0                    ? "delimiter"
                                : options.decimal_comma                   ? "decimal_comma"
                                : options.header != header_row::automatic ? "header"
                                                                          : nullptr;
    if (of_text != nullptr && format != file_format::text)
        throw invalid_argument(
            fmt::format("{}: {} is no table of text, and only of these it is an option", of_text, name));
}

constexpr std::int64_t numbers_per_batch = std::int64_t{1} << 16;

template <class T>
void look(const matrix_view<const T>& batch, std::int64_t first_row, const std::vector<double>& markers,
          const std::string& description) {
    for (std::int64_t i = 0; i < batch.rows; ++i)
        for (std::int64_t j = 0; j < batch.cols; ++j)
            for (const double marker : markers)
                if (batch(i, j) == static_cast<T>(marker) || (std::isnan(marker) && std::isnan(batch(i, j))))
                    fail(description, fmt::format("row {}, column {}: {} stands for a missing value here: {}",
                                                  first_row + i, j, marker, missing_advice));
}

// `source` itself, after a pass that looks for the numbers among `markers` (file_options::missing); other texts are
// passed over.
source_pointer refuse_missing(source_pointer source, const std::vector<std::string>& markers) {
    std::vector<double> numbers;
    for (const std::string& marker : markers)
        if (double value = 0; parse_number(marker, value) == number_status::ok)
            numbers.push_back(value);
    if (numbers.empty())
        return source;
    const auto reader =
        source->read(std::max<std::int64_t>(1, numbers_per_batch / std::max<std::int64_t>(source->cols, 1)));
    std::int64_t row = 0;
    for (any_matrix_view batch = reader->next(); batch.rows > 0; batch = reader->next()) {
        with_type(batch.type,
                  [&](auto number) { look(batch.as<decltype(number)>(), row, numbers, source->description); });
        row += batch.rows;
    }
    return source;
}

} // namespace

std::shared_ptr<const opened_file> open_file(const std::string& path, const file_options& options) {
    const located_file where = locate(path);
    file_options located = options;
    if (!where.dataset.empty()) {
        if (!options.dataset.empty() && options.dataset != where.dataset)
            throw invalid_argument(fmt::format("dataset = {}: {} names another one, expected one of them",
                                               in_quotes(options.dataset), path));
        located.dataset = where.dataset;
    }
    input_file file = input_file::open(where.path);
    const std::shared_ptr<const void> pipe = file.keeper();
    const path_format kind = format_of(file);
    if (kind.format != file_format::unknown)
        require_fitting(located, kind.format, file.name());
    std::shared_ptr<opened_file> opened = open_format(file, kind, located);
    opened->lifetime_ = pipe;
    if (kind.format != file_format::text)
        opened->missing_ = options.missing;
    return opened;
}

std::vector<data_source> opened_file::take(const std::vector<column_group>& groups) const {
    std::vector<source_pointer> sources = read(groups);
    std::vector<data_source> taken;
    for (std::size_t g = 0; g < groups.size(); ++g) {
        source_pointer source = refuse_missing(std::move(sources[g]), missing_);
        taken.push_back(data_source(scale_values(holding(std::move(source), lifetime_), groups[g].scale)));
    }
    return taken;
}

std::vector<std::string> opened_file::keys() const {
    if (!names.empty())
        return names;
    std::vector<std::string> all;
    for (std::int64_t j = 0; j < (numbers.empty() ? columns : std::ssize(numbers)); ++j)
        all.push_back(std::to_string(numbers.empty() ? j : numbers[static_cast<std::size_t>(j)]));
    return all;
}

group_columns opened_file::find_groups(const std::vector<column_group>& groups,
                                       const std::vector<std::string>& all_names) const {
    group_columns found;
    std::unordered_set<std::int64_t> named;
    for (const column_group& group : groups) {
        found.push_back(find_columns(group.columns, all_names, columns, description));
        named.insert(found.back().begin(), found.back().end());
    }
    for (std::size_t g = 0; g < groups.size(); ++g) {
        if (!groups[g].columns.empty() || (named.empty() && numbers.empty()))
            continue;
        for (std::int64_t i = 0; i < (numbers.empty() ? columns : std::ssize(numbers)); ++i)
            if (const std::int64_t j = numbers.empty() ? i : numbers[static_cast<std::size_t>(i)]; !named.contains(j))
                found[g].push_back(j);
        if (found[g].empty())
            throw invalid_argument(fmt::format("columns: {} has no other column than those named", description));
    }
    return found;
}

std::int64_t keep_limit(const file_options& options) {
    if (options.keep && *options.keep < 0)
        throw invalid_argument(fmt::format("keep = {}: expected a number of bytes, at least 0", *options.keep));
    return options.keep.value_or(kernels::machine_memory() / 4);
}

} // namespace elbo::io
