#include "host/io/array/array_source.hpp"

#include "host/io/errors.hpp"
#include "host/io/readers.hpp"
#include "host/io/text/whole_numbers.hpp"
#include "host/joined.hpp"

#include <algorithm>
#include <fmt/format.h>

namespace elbo::io {
namespace {

constexpr std::int64_t largest_kept = std::int64_t{64} << 20; // bytes, as stored
constexpr std::int64_t large_file = std::int64_t{256} << 20;  // from here on passed pages are given back
constexpr std::int64_t block_bytes = std::int64_t{1} << 20;

std::string shape_text(const array_layout& layout) {
    return fmt::format("{} x {} {}", layout.rows, layout.cols, name_of(layout.element.type));
}

// Elements in memory, as stored, and what keeps them there.
struct stored_array {
    std::shared_ptr<const void> owner;
    const char* data = nullptr;
    array_layout layout;
    const mapped_file* mapping = nullptr; // set where pages may be given back

    std::int64_t row_step() const { return size_of(layout.element.type) * (layout.fortran_order ? 1 : layout.cols); }
    std::int64_t column_step() const { return size_of(layout.element.type) * (layout.fortran_order ? layout.rows : 1); }
    stored_rows all() const { return {data, layout.rows, layout.cols, row_step(), column_step()}; }
    void convert_rows(std::int64_t first, std::int64_t rows, element_type type, char* out) const {
        const char* const from = data + first * row_step();
        if (!layout.fortran_order)
            return convert(layout.element, from, column_step(), type, out, 1, rows * layout.cols);
        for (std::int64_t j = 0; j < layout.cols; ++j)
            convert(layout.element, from + j * column_step(), row_step(), type, out + j * size_of(type), layout.cols,
                    rows);
    }
};

class memory_array_reader final : public filling_reader {
public:
    memory_array_reader(const data_source::implementation& source, std::int64_t rows_per_batch, stored_array array)
        : filling_reader(source, rows_per_batch), type_(source.type), array_(std::move(array)) {}

private:
    void fill(std::int64_t first_row, std::int64_t rows, char* out) override {
        array_.convert_rows(first_row, rows, type_, out);
        if (array_.mapping == nullptr || array_.layout.fortran_order)
            return;
        const char* const begin = array_.data + first_row * array_.row_step();
        array_.mapping->release(begin, begin + rows * array_.row_step());
    }

    element_type type_;
    stored_array array_;
};

// Batches of a large mapped matrix: each gives back the pages of the one before.
class mapped_view_reader final : public batch_reader {
public:
    mapped_view_reader(any_matrix_view whole, std::int64_t rows_per_batch, stored_array array)
        : views_(read_views({whole}, rows_per_batch)), array_(std::move(array)) {}

    any_matrix_view next() override {
        if (passed_.rows > 0) {
            const char* const begin = static_cast<const char*>(passed_.data);
            array_.mapping->release(begin, begin + passed_.rows * array_.row_step());
        }
        passed_ = views_->next();
        return passed_;
    }

private:
    std::unique_ptr<batch_reader> views_;
    stored_array array_;
    any_matrix_view passed_;
};

bool is_aligned(const void* data, element_type type) {
    return reinterpret_cast<std::uintptr_t>(data) % static_cast<std::uintptr_t>(size_of(type)) == 0;
}

class memory_array_source final : public data_source::implementation {
public:
    memory_array_source(const std::string& name, stored_array array, element_type wanted) : array_(std::move(array)) {
        rows = array_.layout.rows;
        cols = array_.layout.cols;
        type = wanted;
        description = name;
    }

    std::optional<any_matrix_view> contiguous() const override {
        const bool by_rows = !array_.layout.fortran_order || cols == 1;
        if (!by_rows || !is_native(array_.layout.element, type) || !is_aligned(array_.data, type))
            return std::nullopt;
        return dense_view(array_.data, type, rows, cols);
    }

    std::unique_ptr<batch_reader> read(std::int64_t rows_per_batch) const override {
        const std::optional<any_matrix_view> whole = contiguous();
        if (!whole)
            return std::make_unique<memory_array_reader>(*this, rows_per_batch, array_);
        if (array_.mapping)
            return std::make_unique<mapped_view_reader>(*whole, rows_per_batch, array_);
        return read_views({*whole}, rows_per_batch, array_.owner);
    }

private:
    stored_array array_;
};

// Reads layout.offset bytes and leaves the stream at the first element.
std::unique_ptr<byte_stream> open_at_elements(const stream_opener& open, const array_layout& layout,
                                              const std::string& path) {
    std::unique_ptr<byte_stream> stream = open();
    std::vector<char> header(layout.offset);
    read_exactly(*stream, header.data(), header.size(), path, 0, "the header");
    return stream;
}

class stream_array_reader final : public filling_reader {
public:
    stream_array_reader(const data_source::implementation& source, std::int64_t rows_per_batch,
                        const stream_opener& open, const array_layout& layout)
        : filling_reader(source, rows_per_batch), type_(source.type), path_(source.description), layout_(layout),
          stream_(open_at_elements(open, layout, path_)), row_bytes_(layout.cols * size_of(layout.element.type)),
          block_rows_(std::max<std::int64_t>(1, block_bytes / std::max<std::int64_t>(row_bytes_, 1))),
          block_(block_rows_, row_bytes_) {}

private:
    void fill(std::int64_t first_row, std::int64_t rows, char* out) override {
        const std::int64_t out_row_bytes = layout_.cols * size_of(type_);
        for (std::int64_t done = 0; done < rows;) {
            const std::int64_t count = std::min(block_rows_, rows - done);
            read_exactly(*stream_, block_.data(), static_cast<std::size_t>(count * row_bytes_), path_,
                         layout_.offset + static_cast<std::uint64_t>((first_row + done) * row_bytes_),
                         "the decompressed array");
            convert(layout_.element, block_.data(), size_of(layout_.element.type), type_, out + done * out_row_bytes, 1,
                    count * layout_.cols);
            done += count;
        }
    }

    element_type type_;
    std::string path_;
    array_layout layout_;
    std::unique_ptr<byte_stream> stream_;
    std::int64_t row_bytes_, block_rows_;
    host_memory block_;
};

class stream_array_source final : public data_source::implementation {
public:
    stream_array_source(const std::string& name, const stream_opener& open, const array_layout& layout,
                        element_type wanted)
        : open_(open), layout_(layout) {
        rows = layout.rows;
        cols = layout.cols;
        type = wanted;
        description = name;
    }

    std::unique_ptr<batch_reader> read(std::int64_t rows_per_batch) const override {
        return std::make_unique<stream_array_reader>(*this, rows_per_batch, open_, layout_);
    }

private:
    stream_opener open_;
    array_layout layout_;
};

[[noreturn]] void fail_short(const std::string& path, std::uint64_t end, std::int64_t missing,
                             const array_layout& layout) {
    fail_at_byte(path, end,
                 fmt::format("the file ends here, expected {} more bytes ({})", missing, shape_text(layout)));
}

// A mapped file is looked at in blocks, whose pages are given back.
void check_rows(whole_number_check& check, const stored_array& array) {
    const std::int64_t step =
        array.mapping == nullptr ? array.layout.rows
                                 : std::max<std::int64_t>(1, block_bytes / std::max<std::int64_t>(array.row_step(), 1));
    stored_rows part = array.all();
    for (std::int64_t first = 0; first < array.layout.rows && check.goes_on(); first += step) {
        part.data = array.data + first * part.row_step;
        part.rows = std::min(step, array.layout.rows - first);
        check.take(part);
        if (array.mapping != nullptr && !array.layout.fortran_order)
            array.mapping->release(part.data, part.data + part.rows * part.row_step);
    }
}

// The same for an array that is decompressed anew in each pass.
void check_rows(whole_number_check& check, const stream_opener& open, const array_layout& layout,
                const std::string& path) {
    if (!check.goes_on())
        return;
    const std::unique_ptr<byte_stream> stream = open_at_elements(open, layout, path);
    const std::int64_t element = size_of(layout.element.type), row = layout.cols * element;
    const std::int64_t step = std::max<std::int64_t>(1, block_bytes / std::max<std::int64_t>(row, 1));
    const host_memory block(step, row);
    for (std::int64_t first = 0; first < layout.rows && check.goes_on(); first += step) {
        const std::int64_t rows = std::min(step, layout.rows - first);
        read_exactly(*stream, block.data(), static_cast<std::size_t>(rows * row), path,
                     layout.offset + static_cast<std::uint64_t>(first * row), "the decompressed array");
        check.take({block.data(), rows, layout.cols, row, element});
    }
}

// Takes the elements off the stream piece by piece: what the header claims is not allocated before it is there.
std::shared_ptr<std::vector<char>> take_elements(byte_stream& stream, const array_layout& layout, bool keep,
                                                 const std::string& path) {
    auto kept = std::make_shared<std::vector<char>>();
    std::vector<char> block(static_cast<std::size_t>(std::min(block_bytes, layout.bytes())));
    for (std::int64_t done = 0; done < layout.bytes();) {
        const std::int64_t wanted = std::min(block_bytes, layout.bytes() - done);
        const std::size_t got = read_fully(stream, block.data(), static_cast<std::size_t>(wanted));
        if (keep)
            kept->insert(kept->end(), block.begin(), block.begin() + static_cast<std::ptrdiff_t>(got));
        done += static_cast<std::int64_t>(got);
        if (static_cast<std::int64_t>(got) < wanted)
            fail_short(path + " (decompressed)", layout.offset + static_cast<std::uint64_t>(done),
                       layout.bytes() - done, layout);
    }
    return kept;
}

// The columns of an array in memory that the options choose, in a type that holds them.
source_pointer open_kept(const std::string& description, stored_array array, const file_options& options) {
    const std::vector<std::int64_t> columns = find_columns(options.columns, {}, array.layout.cols, description);
    whole_number_check check(array.layout.element, options.type, columns, description);
    check_rows(check, array);
    return select_columns(std::make_shared<memory_array_source>(description, std::move(array), check.type()), columns);
}

} // namespace

std::int64_t array_layout::bytes() const {
    return rows * cols * size_of(element.type);
}

void set_shape(array_layout& layout, const std::vector<std::int64_t>& shape, const std::string& path,
               std::uint64_t offset) {
    if (shape.empty())
        fail_at_byte(path, offset, "the array has no extents, expected one, two or more");
    std::optional<std::int64_t> elements = size_of(layout.element.type);
    layout.cols = 1;
    for (std::size_t i = 0; i < shape.size(); ++i) {
        if (shape[i] < 0)
            fail_at_byte(path, offset, fmt::format("extent {} is negative: {}", i, shape[i]));
        // An extent of zero must not hide that the others overflow.
        if (elements)
            elements = checked_product(*elements, std::max<std::int64_t>(shape[i], 1));
        if (!elements)
            fail_at_byte(path, offset,
                         fmt::format("the shape ({}) has more bytes than an address can reach", joined(shape, ", ")));
        if (i > 0)
            layout.cols *= shape[i];
    }
    layout.rows = shape.front();
}

source_pointer open_array(const std::string& description, std::shared_ptr<const mapped_file> file,
                          std::span<const char> bytes, std::uint64_t first_byte, const array_layout& layout,
                          const file_options& options) {
    const auto available =
        static_cast<std::int64_t>(bytes.size() - std::min<std::uint64_t>(layout.offset, bytes.size()));
    if (available < layout.bytes())
        fail_short(description, first_byte + bytes.size(), layout.bytes() - available, layout);
    stored_array array;
    array.data = bytes.data() + layout.offset;
    array.layout = layout;
    array.mapping = layout.bytes() >= large_file ? file.get() : nullptr;
    array.owner = std::move(file);
    return open_kept(description, std::move(array), options);
}

source_pointer open_array_stream(const std::string& description, const stream_opener& open, const array_layout& layout,
                                 bool exact, const file_options& options) {
    const bool by_columns = layout.fortran_order && layout.cols > 1;
    const bool keep = by_columns || layout.bytes() <= largest_kept;
    const std::unique_ptr<byte_stream> stream = open_at_elements(open, layout, description);
    const auto kept = take_elements(*stream, layout, keep, description);
    // Reading on also lets the decompressor verify its checksum.
    char more = 0;
    if (stream->read(&more, 1) > 0 && exact)
        fail_at_byte(description + " (decompressed)", layout.offset + static_cast<std::uint64_t>(layout.bytes()),
                     fmt::format("expected the end after {}, but there is more", shape_text(layout)));
    if (!keep) {
        const std::vector<std::int64_t> columns = find_columns(options.columns, {}, layout.cols, description);
        whole_number_check check(layout.element, options.type, columns, description);
        check_rows(check, open, layout, description);
        return select_columns(std::make_shared<stream_array_source>(description, open, layout, check.type()), columns);
    }
    stored_array array;
    array.owner = kept;
    array.data = kept->data();
    array.layout = layout;
    return open_kept(description, std::move(array), options);
}

} // namespace elbo::io
