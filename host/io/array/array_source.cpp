#include "host/io/array/array_source.hpp"

#include "host/io/errors.hpp"
#include "host/joined.hpp"

#include <fmt/format.h>

namespace elbo::io {
namespace {

constexpr std::int64_t large_file = std::int64_t{256} << 20; // from here on passed pages are given back
constexpr std::int64_t block_bytes = std::int64_t{1} << 20;

std::string shape_text(const array_layout& layout) {
    return fmt::format("{} x {} {}", layout.rows, layout.cols, name_of(layout.element.type));
}

// Rows as stored, to rows of a type without gaps.
void convert_rows(const array_layout& layout, const stored_rows& from, element_type type, char* out) {
    if (!layout.fortran_order)
        return convert(layout.element, from.data, from.column_step, type, out, 1, from.rows * from.cols);
    for (std::int64_t j = 0; j < from.cols; ++j)
        convert(layout.element, from.data + j * from.column_step, from.row_step, type, out + j * size_of(type),
                from.cols, from.rows);
}

// Elements in memory, as stored, and what keeps them there.
struct stored_array {
    std::shared_ptr<const void> owner;
    const char* data = nullptr;
    array_layout layout;
    const mapped_file* mapping = nullptr; // set where pages may be given back
    std::int64_t kept = 0;                // bytes, where they are not those of a file

    std::int64_t row_step() const { return size_of(layout.element.type) * (layout.fortran_order ? 1 : layout.cols); }
    std::int64_t column_step() const { return size_of(layout.element.type) * (layout.fortran_order ? layout.rows : 1); }
    // Gives back the pages of rows that were passed, where they are whole.
    void release(std::int64_t first, std::int64_t rows) const {
        const char* const begin = data + first * row_step();
        if (mapping != nullptr && !layout.fortran_order)
            mapping->release(begin, begin + rows * row_step());
    }
    stored_rows some(std::int64_t first, std::int64_t rows) const {
        return {data + first * row_step(), rows, layout.cols, row_step(), column_step()};
    }
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
        kept = array_.kept;
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
            return read_filled(*this, rows_per_batch,
                               [array = array_, type = type](std::int64_t first_row, std::int64_t count, char* out) {
                                   convert_rows(array.layout, array.some(first_row, count), type, out);
                                   array.release(first_row, count);
                               });
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

// Rows that are converted at a time.
std::int64_t block_rows(std::int64_t row_bytes) {
    return std::max<std::int64_t>(1, block_bytes / std::max<std::int64_t>(row_bytes, 1));
}

source_pointer stream_array_source(const std::string& path, const stream_opener& open, const array_layout& layout,
                                   element_type type) {
    const auto begin = [=](std::int64_t) -> row_filler {
        const std::int64_t element = size_of(layout.element.type), row_bytes = layout.cols * element;
        const std::int64_t step = block_rows(row_bytes);
        return [=, stream = std::shared_ptr(open_at_elements(open, layout, path)),
                block = std::make_shared<host_memory>(step, row_bytes)](std::int64_t first_row, std::int64_t rows,
                                                                        char* out) {
            for (std::int64_t done = 0; done < rows; done += step) {
                const std::int64_t count = std::min(step, rows - done);
                read_exactly(*stream, block->data(), static_cast<std::size_t>(count * row_bytes), path,
                             layout.offset + static_cast<std::uint64_t>((first_row + done) * row_bytes),
                             "the decompressed array");
                convert(layout.element, block->data(), element, type, out + done * layout.cols * size_of(type), 1,
                        count * layout.cols);
            }
        };
    };
    return std::make_shared<filled_source>(path, layout.rows, layout.cols, type, begin);
}

[[noreturn]] void fail_short(const std::string& path, std::uint64_t end, std::int64_t missing,
                             const array_layout& layout) {
    fail_at_byte(path, end,
                 fmt::format("the file ends here, expected {} more bytes ({})", missing, shape_text(layout)));
}

// Elements in a file, as stored; the first is at byte `begin` of it.
struct array_in_file {
    std::shared_ptr<const random_access_file> file;
    std::uint64_t begin = 0;
    array_layout layout;

    void read(std::int64_t element, std::int64_t count, char* to) const {
        const auto size = static_cast<std::uint64_t>(size_of(layout.element.type));
        file->read(begin + static_cast<std::uint64_t>(element) * size, to,
                   static_cast<std::size_t>(count) * static_cast<std::size_t>(size), "the array");
    }
    // Reads these rows into `block`, in the order of the file.
    stored_rows read_rows(std::int64_t first, std::int64_t rows, char* block) const {
        const std::int64_t size = size_of(layout.element.type);
        if (!layout.fortran_order) {
            read(first * layout.cols, rows * layout.cols, block);
            return {block, rows, layout.cols, layout.cols * size, size};
        }
        for (std::int64_t j = 0; j < layout.cols; ++j)
            read(j * layout.rows + first, rows, block + j * rows * size);
        return {block, rows, layout.cols, size, rows * size};
    }
};

// A pass that converts on the way; numbers that need no conversion are read where they belong.
row_filler read_in_blocks(const array_in_file& array, element_type type) {
    const array_layout& layout = array.layout;
    if (is_native(layout.element, type) && (!layout.fortran_order || layout.cols == 1))
        return [array](std::int64_t first_row, std::int64_t rows, char* out) { array.read_rows(first_row, rows, out); };
    const std::int64_t row_bytes = layout.cols * size_of(layout.element.type), step = block_rows(row_bytes);
    return [=, block = std::make_shared<host_memory>(std::min(step, layout.rows), row_bytes)](
               std::int64_t first_row, std::int64_t rows, char* out) {
        for (std::int64_t done = 0; done < rows; done += step) {
            const stored_rows part = array.read_rows(first_row + done, std::min(step, rows - done), block->data());
            convert_rows(layout, part, type, out + done * layout.cols * size_of(type));
        }
    };
}

// In blocks, where there are whole numbers to look at.
void check_rows(whole_number_check& check, const array_in_file& array) {
    const std::int64_t row_bytes = array.layout.cols * size_of(array.layout.element.type), step = block_rows(row_bytes);
    std::optional<host_memory> block;
    for (std::int64_t first = 0; first < array.layout.rows && check.goes_on(); first += step) {
        if (!block)
            block.emplace(std::min(step, array.layout.rows), row_bytes);
        check.take(array.read_rows(first, std::min(step, array.layout.rows - first), block->data()));
    }
}

// A mapped file is looked at in blocks, whose pages are given back.
void check_rows(whole_number_check& check, const stored_array& array) {
    const std::int64_t step = array.mapping == nullptr ? array.layout.rows : block_rows(array.row_step());
    for (std::int64_t first = 0; first < array.layout.rows && check.goes_on(); first += step) {
        const std::int64_t rows = std::min(step, array.layout.rows - first);
        check.take(array.some(first, rows));
        array.release(first, rows);
    }
}

using column_checks = std::vector<whole_number_check>;

// Reads `wanted` bytes to the place `at` of the memory, piece by piece: what a header claims is not allocated before it
// is there. False where there is no memory.
bool read_piecewise(byte_stream& stream, growing_memory& memory, std::int64_t at, std::int64_t wanted,
                    const array_layout& layout, std::int64_t first, const std::string& path) {
    for (std::int64_t done = 0; done < wanted;) {
        const std::int64_t piece = std::min(block_bytes, wanted - done);
        if (!memory.grow(at + done + piece))
            return false;
        const std::size_t got = read_fully(stream, memory.data() + at + done, static_cast<std::size_t>(piece));
        done += static_cast<std::int64_t>(got);
        if (static_cast<std::int64_t>(got) < piece)
            fail_short(path + " (decompressed)", layout.offset + static_cast<std::uint64_t>(first + done),
                       layout.bytes() - first - done, layout);
    }
    return true;
}

// Looks at all rows of an array by rows.
void check_stream(column_checks& checks, byte_stream& stream, const array_layout& layout, const std::string& path) {
    const std::int64_t element = size_of(layout.element.type), row = layout.cols * element;
    const std::int64_t step = block_rows(row);
    growing_memory block;
    for (std::int64_t first = 0; row > 0 && first < layout.rows; first += step) {
        const std::int64_t rows = std::min(step, layout.rows - first);
        if (!read_piecewise(stream, block, 0, rows * row, layout, first * row, path))
            throw out_of_memory("cannot allocate a row of " + path, static_cast<std::uint64_t>(row), 0);
        for (whole_number_check& check : checks)
            if (check.goes_on())
                check.take({block.data(), rows, layout.cols, row, element});
    }
}

// Sources of the groups of an array, whose numbers `make` takes as a type.
template <class Array, class Make>
std::vector<source_pointer> sources_of(const std::string& description, const Array& array,
                                       std::optional<element_type> asked, const group_columns& groups,
                                       const Make& make) {
    std::vector<source_pointer> sources;
    for (const auto& columns : groups) {
        whole_number_check check(array.layout.element, asked, columns, description);
        check_rows(check, array);
        sources.push_back(select_columns(make(check.type()), columns));
    }
    return sources;
}

std::vector<source_pointer> sources_of(const std::string& description, const stored_array& array,
                                       std::optional<element_type> asked, const group_columns& groups) {
    return sources_of(description, array, asked, groups, [&](element_type type) {
        return std::make_shared<memory_array_source>(description, array, type);
    });
}

std::vector<source_pointer> sources_of(const std::string& description, const array_in_file& array,
                                       std::optional<element_type> asked, const group_columns& groups) {
    return sources_of(description, array, asked, groups, [&](element_type type) {
        const auto begin = [array, type](std::int64_t) { return read_in_blocks(array, type); };
        return std::make_shared<filled_source>(description, array.layout.rows, array.layout.cols, type, begin);
    });
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

std::unique_ptr<opened_file> open_array(const std::string& description, std::shared_ptr<const random_access_file> file,
                                        const file_part& part, const array_layout& layout,
                                        const file_options& options) {
    const auto available = static_cast<std::int64_t>(part.bytes - std::min(layout.offset, part.bytes));
    if (available < layout.bytes())
        fail_short(description, part.offset + part.bytes, layout.bytes() - available, layout);
    const auto open = [&](const auto& array) {
        return std::make_unique<array_file>(description, layout.cols,
                                            [description, array, type = options.type](const group_columns& groups) {
                                                return sources_of(description, array, type, groups);
                                            });
    };
    const std::uint64_t begin = part.offset + layout.offset;
    if (!options.map)
        return open(array_in_file{std::move(file), begin, layout});
    const auto mapping = std::make_shared<const mapped_file>(*file);
    stored_array array;
    array.data = mapping->bytes().data() + begin;
    array.layout = layout;
    array.mapping = layout.bytes() >= large_file ? mapping.get() : nullptr;
    array.owner = mapping;
    return open(array);
}

std::unique_ptr<opened_file> open_array_file(const input_file& file, bool gzip, const header_reader& header, bool exact,
                                             const file_options& options) {
    const std::string& path = file.name();
    if (gzip) {
        const stream_opener open = opener_of(file, true);
        return open_array_stream(path, open, header(*open(), path), exact, options);
    }
    const auto opened = std::make_shared<const random_access_file>(file);
    const array_layout layout = header(*open_part_stream(opened, 0, opened->size()), path);
    const std::uint64_t end = layout.offset + static_cast<std::uint64_t>(layout.bytes());
    if (exact && opened->size() > end)
        fail_at_byte(path, end,
                     fmt::format("expected the end after {} x {} numbers of {}, found {} more bytes", layout.rows,
                                 layout.cols, name_of(layout.element.type), opened->size() - end));
    return open_array(path, opened, {0, opened->size()}, layout, options);
}

std::unique_ptr<opened_file> open_array_stream(const std::string& description, const stream_opener& open,
                                               const array_layout& layout, bool exact, const file_options& options) {
    // Reading on also lets the decompressor verify its checksum.
    const auto require_end = [=](byte_stream& stream) {
        char more = 0;
        if (stream.read(&more, 1) > 0 && exact)
            fail_at_byte(description + " (decompressed)", layout.offset + static_cast<std::uint64_t>(layout.bytes()),
                         fmt::format("expected the end after {}, but there is more", shape_text(layout)));
    };
    const auto read = [=, type = options.type, limit = keep_limit(options)](const group_columns& groups) {
        const bool by_columns = layout.fortran_order && layout.cols > 1;
        if (by_columns || layout.bytes() <= limit) {
            const std::unique_ptr<byte_stream> stream = open_at_elements(open, layout, description);
            growing_memory kept;
            if (read_piecewise(*stream, kept, 0, layout.bytes(), layout, 0, description)) {
                require_end(*stream);
                return open_elements(description, kept.release(layout.bytes()), layout, type, groups);
            }
            if (by_columns)
                throw out_of_memory(description + " is stored column by column and larger than the memory that is free",
                                    static_cast<std::uint64_t>(layout.bytes()), 0);
        }
        column_checks checks;
        for (const auto& columns : groups)
            checks.emplace_back(layout.element, type, columns, description);
        const std::unique_ptr<byte_stream> stream = open_at_elements(open, layout, description);
        check_stream(checks, *stream, layout, description);
        require_end(*stream);
        std::vector<source_pointer> sources;
        for (std::size_t g = 0; g < groups.size(); ++g)
            sources.push_back(
                select_columns(stream_array_source(description, open, layout, checks[g].type()), groups[g]));
        return sources;
    };
    return std::make_unique<array_file>(description, layout.cols, read);
}

std::vector<source_pointer> open_elements(const std::string& description, std::shared_ptr<const char> elements,
                                          const array_layout& layout, std::optional<element_type> type,
                                          const group_columns& groups) {
    const char* const data = elements.get();
    return sources_of(description, {std::move(elements), data, layout, nullptr, layout.bytes()}, type, groups);
}

} // namespace elbo::io
