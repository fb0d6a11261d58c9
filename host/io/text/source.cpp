// Text tables: .csv, .tsv, blank-separated, also compressed by gzip.
//
// The first lines show the layout. One pass then counts the rows, checks every number and keeps all that is wanted,
// where it fits (file_options::keep). Else the first group of columns is parsed anew in each pass, in memory that does
// not depend on the size of the file.
#include "host/io/errors.hpp"
#include "host/io/format.hpp"
#include "host/io/sources.hpp"
#include "host/io/text/table.hpp"

#include <fmt/format.h>
#include <unordered_map>

namespace elbo::io {
namespace {

constexpr std::size_t sample_records = 200;
constexpr std::size_t sample_bytes = std::size_t{1} << 20;

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
    text_record_reader records(open(), path, std::size_t{1} << 14); // no more than is looked at
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

// Records after the header.
text_record_reader data_records(const stream_opener& open, const text_layout& layout, const std::string& path) {
    text_record_reader records(open(), path);
    text_record header;
    if (layout.header)
        records.next(header);
    return records;
}

using positions = std::vector<std::int64_t>;

// Where the elements of `some` are in `all`.
positions places(const positions& some, const positions& all) {
    std::unordered_map<std::int64_t, std::int64_t> place;
    for (std::size_t i = 0; i < all.size(); ++i)
        place.emplace(all[i], static_cast<std::int64_t>(i));
    positions found;
    for (const std::int64_t j : some)
        found.push_back(place.at(j));
    return found;
}

// The numbers of a table: of all its columns, or where those are too many of some of them.
struct parsed_table {
    std::int64_t rows = 0;
    bool whole = true;
    std::shared_ptr<const char> numbers;
};

// Parses rows of `columns` numbers. Of more than `limit` bytes only the columns `narrow` are kept.
template <class T>
parsed_table parse_table(text_record_reader records, text_parser parser, std::int64_t columns, const positions& narrow,
                         std::int64_t limit) {
    constexpr auto number = static_cast<std::int64_t>(sizeof(T));
    parsed_table table;
    growing_memory all, some;
    const auto at = [](const growing_memory& memory, std::int64_t i) {
        return reinterpret_cast<T*>(memory.data()) + i;
    };
    const auto keep_narrow = [&](std::int64_t i, const T* row) {
        const std::int64_t cols = std::ssize(narrow), bytes = (i + 1) * cols * number;
        if (!some.grow(bytes))
            throw out_of_memory("cannot keep columns of a table", static_cast<std::uint64_t>(bytes), 0);
        for (std::int64_t j = 0; j < cols; ++j)
            *at(some, i * cols + j) = row[narrow[static_cast<std::size_t>(j)]];
    };
    std::vector<T> row(static_cast<std::size_t>(columns));
    for (text_record record; records.next(record); ++table.rows) {
        const std::int64_t first = table.rows * columns, bytes = (first + columns) * number;
        if (table.whole && (bytes > limit || !all.grow(bytes))) {
            table.whole = false;
            for (std::int64_t i = 0; i < table.rows; ++i)
                keep_narrow(i, at(all, i * columns));
            all.clear();
        }
        parser.parse(record, table.whole ? at(all, first) : row.data());
        if (!table.whole)
            keep_narrow(table.rows, row.data());
    }
    growing_memory& kept = table.whole ? all : some;
    table.numbers = kept.release(table.rows * (table.whole ? columns : std::ssize(narrow)) * number);
    return table;
}

class text_file final : public opened_file {
public:
    text_file(const input_file& file, bool gzip, const file_options& options)
        : open_(opener_of(file, gzip)), layout_(find_layout(read_sample(open_, file.name()), options, file.name())),
          type_(options.type.value_or(element_type::float64)), limit_(keep_limit(options)), strict_(options.strict) {
        description = file.name();
        columns = layout_.columns();
        left_out = layout_.left_out;
        for (std::int64_t j = 0; j < columns; ++j)
            if (layout_.kinds[static_cast<std::size_t>(j)] == column_kind::numeric)
                numbers.push_back(j);
        names = names_of(numbers);
    }

private:
    std::vector<source_pointer> read(const std::vector<column_group>& groups) const override {
        const bool automatic = std::ranges::any_of(groups, [](const auto& group) { return group.columns.empty(); });
        if (automatic)
            require_numbers();
        const group_columns wanted = find_groups(groups, layout_.names);
        positions all = wanted.front(), narrow; // the columns of the other groups
        for (std::size_t g = 1; g < wanted.size(); ++g)
            for (const std::int64_t j : wanted[g]) {
                if (std::ranges::find(narrow, j) == narrow.end())
                    narrow.push_back(j);
                if (std::ranges::find(all, j) == all.end())
                    all.push_back(j);
            }
        const parsed_table table = parse(all, narrow, automatic);
        std::vector<source_pointer> sources;
        const positions& kept = table.whole ? all : narrow;
        const auto memory =
            described(open_numbers(table.numbers, type_, table.rows, std::ssize(kept)), kept, automatic);
        for (const positions& group : wanted) {
            if (!table.whole && sources.empty())
                sources.push_back(streamed(group, automatic, table.rows));
            else
                sources.push_back(select_columns(memory, places(group, kept)));
        }
        return sources;
    }

    parsed_table parse(const positions& all, const positions& narrow, bool automatic) const {
        text_record_reader records = data_records(open_, layout_, description);
        text_parser parser(layout_, all, automatic, description);
        const positions kept = places(narrow, all);
        parsed_table table;
        with_type(type_, [&](auto number) {
            table = parse_table<decltype(number)>(std::move(records), std::move(parser), std::ssize(all), kept, limit_);
        });
        return table;
    }

    source_pointer streamed(const positions& which, bool automatic, std::int64_t rows) const {
        const text_parser parser(layout_, which, automatic, description);
        const auto begin = [open = open_, parser, path = description, type = type_,
                            cols = std::ssize(which)](std::int64_t) -> row_filler {
            const auto records = std::make_shared<text_record_reader>(data_records(open, parser.layout(), path));
            return [=, parser = parser](std::int64_t first_row, std::int64_t count, char* out) mutable {
                with_type(type, [&](auto number) {
                    text_record record;
                    for (std::int64_t i = 0; i < count; ++i) {
                        if (!records->next(record))
                            fail(path,
                                 fmt::format("the file has changed: row {} was there and is not now", first_row + i));
                        parser.parse(record, reinterpret_cast<decltype(number)*>(out) + i * cols);
                    }
                });
            };
        };
        return described(std::make_shared<filled_source>(description, rows, std::ssize(which), type_, begin), which,
                         automatic);
    }

    source_pointer described(std::shared_ptr<data_source::implementation> source, const positions& which,
                             bool automatic) const {
        source->description = description;
        source->column_names = names_of(which);
        source->remarks = layout_.remarks;
        if (automatic)
            source->left_out = left_out;
        return source;
    }

    std::vector<std::string> names_of(const positions& which) const {
        std::vector<std::string> found;
        for (const std::int64_t j : which)
            if (layout_.header)
                found.push_back(layout_.names[static_cast<std::size_t>(j)]);
        return found;
    }

    // Where nobody names columns.
    void require_numbers() const {
        if (numbers.empty())
            fail_at_line(description, layout_.first_data_line,
                         "expected at least one column of numbers, but " + list_left_out(left_out));
        if (strict_ && !left_out.empty())
            fail(description,
                 fmt::format("strict: {}: choose the columns to read (--columns)", list_left_out(left_out)));
    }

    stream_opener open_;
    text_layout layout_;
    element_type type_;
    std::int64_t limit_;
    bool strict_;
};

} // namespace

std::unique_ptr<opened_file> open_text(const input_file& file, bool gzip, const file_options& options) {
    return std::make_unique<text_file>(file, gzip, options);
}

} // namespace elbo::io
