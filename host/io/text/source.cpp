// Text tables: .csv, .tsv, blank-separated, also compressed by gzip.
//
// A first pass finds the layout, counts the rows and checks every number. It keeps the numbers of a small file; a
// larger one is parsed anew in each pass, in memory that does not depend on the size of the file.
#include "host/io/errors.hpp"
#include "host/io/format.hpp"
#include "host/io/inflate_stream.hpp"
#include "host/io/readers.hpp"
#include "host/io/sources.hpp"
#include "host/io/text/parser.hpp"

#include <fmt/format.h>

#include <algorithm>

namespace elbo::io {
namespace {

constexpr std::int64_t largest_kept = std::int64_t{64} << 20; // bytes of parsed numbers
constexpr std::size_t sample_records = 200;
constexpr std::size_t sample_bytes = std::size_t{1} << 20;

stream_opener opener(const input_file& file, bool gzip) {
    return [file, gzip]() {
        std::unique_ptr<byte_stream> stream = open_file_stream(file);
        return gzip ? open_inflate_stream(std::move(stream), deflate_wrapper::gzip, file.name()) : std::move(stream);
    };
}

void require_text(byte_stream& stream, const std::string& path) {
    std::string head(512, '\0');
    head.resize(read_fully(stream, head.data(), head.size()));
    const std::string kind = looks_like(head);
    if (!head.empty() && kind != "text")
        fail_at_byte(path, 0,
                     fmt::format("expected a table of text, but this looks like {}{}", kind,
                                 kind == "UTF-16 text" ? ": convert it, iconv -f UTF-16 -t UTF-8" : ""));
}

std::vector<sample_record> read_sample(const stream_opener& open, const std::string& path) {
    require_text(*open(), path);
    text_record_reader records(open(), path);
    std::vector<sample_record> sample;
    std::size_t bytes = 0;
    for (text_record record; sample.size() < sample_records && bytes < sample_bytes && records.next(record);) {
        sample.push_back({std::string(record.text), record.line});
        bytes += record.text.size();
    }
    return sample;
}

// "column 5 ('species') would be left out: text, as 'setosa' in line 2; ..."
std::string list_left_out(const std::vector<left_out_column>& columns) {
    constexpr std::size_t shown = 5;
    std::string list;
    for (std::size_t i = 0; i < std::min(columns.size(), shown); ++i) {
        const left_out_column& column = columns[i];
        list += fmt::format("{}column {}{} would be left out: {}", i == 0 ? "" : "; ", column.number + 1,
                            column.name.empty() ? "" : fmt::format(" ({})", in_quotes(column.name)), column.reason);
    }
    return list + (columns.size() > shown ? "; ..." : "");
}

std::vector<std::int64_t> choose_columns(const text_layout& layout, const file_options& options,
                                         const std::string& path) {
    if (!options.columns.empty())
        return find_columns(options.columns, layout.names, layout.columns(), path);
    std::vector<std::int64_t> numeric;
    for (std::int64_t j = 0; j < layout.columns(); ++j)
        if (layout.kinds[static_cast<std::size_t>(j)] == column_kind::numeric)
            numeric.push_back(j);
    if (numeric.empty())
        fail_at_line(path, layout.first_data_line,
                     "expected at least one column of numbers, but " + list_left_out(layout.left_out));
    if (options.strict && !layout.left_out.empty())
        fail(path, fmt::format("strict: {}: choose the columns to read (--columns)", list_left_out(layout.left_out)));
    return numeric;
}

// Records after the header.
text_record_reader data_records(const stream_opener& open, const text_layout& layout, const std::string& path) {
    text_record_reader records(open(), path);
    text_record header;
    if (layout.header)
        records.next(header);
    return records;
}

class text_reader final : public filling_reader {
public:
    text_reader(const data_source::implementation& source, std::int64_t rows_per_batch, const stream_opener& open,
                const text_parser& parser, const std::string& path)
        : filling_reader(source, rows_per_batch), type_(source.type), cols_(source.cols), path_(path), parser_(parser),
          records_(data_records(open, parser.layout(), path)) {}

private:
    void fill(std::int64_t first_row, std::int64_t rows, char* out) override {
        if (type_ == element_type::float32)
            parse_rows(first_row, rows, reinterpret_cast<float*>(out));
        else
            parse_rows(first_row, rows, reinterpret_cast<double*>(out));
    }

    template <class T>
    void parse_rows(std::int64_t first_row, std::int64_t rows, T* out) {
        text_record record;
        for (std::int64_t i = 0; i < rows; ++i) {
            if (!records_.next(record))
                fail(path_, fmt::format("the file has changed: row {} was there and is not now", first_row + i));
            parser_.parse(record, out + i * cols_);
        }
    }

    element_type type_;
    std::int64_t cols_;
    std::string path_;
    text_parser parser_;
    text_record_reader records_;
};

class text_source final : public data_source::implementation {
public:
    text_source(const input_file& file, bool gzip, const file_options& options)
        : path_(file.name()), open_(opener(file, gzip)), parser_(make_parser(options)) {
        description = path_;
        type = options.type.value_or(element_type::float64);
        if (type == element_type::float32)
            first_pass<float>();
        else
            first_pass<double>();
    }

    std::optional<any_matrix_view> contiguous() const override {
        return kept_ ? std::optional(dense_view(kept_.get(), type, rows, cols)) : std::nullopt;
    }

    std::unique_ptr<batch_reader> read(std::int64_t rows_per_batch) const override {
        if (kept_)
            return read_views({*contiguous()}, rows_per_batch, kept_);
        return std::make_unique<text_reader>(*this, rows_per_batch, open_, parser_, path_);
    }

private:
    text_parser make_parser(const file_options& options) {
        text_layout layout = find_layout(read_sample(open_, path_), options, path_);
        const std::vector<std::int64_t> selected = choose_columns(layout, options, path_);
        cols = static_cast<std::int64_t>(selected.size());
        if (layout.header)
            for (const std::int64_t j : selected)
                column_names.push_back(layout.names[static_cast<std::size_t>(j)]);
        remarks = layout.remarks;
        if (options.columns.empty())
            left_out = layout.left_out;
        return text_parser(std::move(layout), selected, options.columns.empty(), path_);
    }

    template <class T>
    void first_pass() {
        text_record_reader records = data_records(open_, parser_.layout(), path_);
        const auto row_size = static_cast<std::size_t>(cols);
        auto numbers = std::make_shared<std::vector<T>>(row_size);
        bool keep = true;
        for (text_record record; records.next(record); ++rows) {
            const std::size_t first = keep ? static_cast<std::size_t>(rows) * row_size : 0;
            if (keep && (first + row_size) * sizeof(T) > static_cast<std::size_t>(largest_kept)) {
                keep = false;
                *numbers = std::vector<T>(row_size);
                parser_.parse(record, numbers->data());
                continue;
            }
            if (keep)
                numbers->resize(first + row_size);
            parser_.parse(record, numbers->data() + first);
        }
        if (keep)
            kept_ = std::shared_ptr<const void>(numbers, numbers->data());
    }

    std::string path_;
    stream_opener open_;
    text_parser parser_;
    std::shared_ptr<const void> kept_; // the numbers of a small file
};

} // namespace

source_pointer open_text(const input_file& file, bool gzip, const file_options& options) {
    return std::make_shared<text_source>(file, gzip, options);
}

} // namespace elbo::io
