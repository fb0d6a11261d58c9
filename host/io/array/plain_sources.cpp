// Arrays with little around them: files of nothing but numbers, .f32 and .f64, little-endian, row by row; and the idx
// format of the MNIST files (yann.lecun.com/exdb/mnist), plain or compressed by gzip: a magic number 0 0 TYPE EXTENTS,
// the extents, then the numbers, all big-endian. Images become rows.
#include "host/io/array/array_source.hpp"
#include "host/io/errors.hpp"
#include "host/io/format.hpp"

#include <fmt/format.h>

namespace elbo::io {
namespace {

std::uint32_t big_endian(const char* bytes) {
    std::uint32_t value = 0;
    for (int i = 0; i < 4; ++i)
        value = value << 8 | static_cast<unsigned char>(bytes[i]);
    return value;
}

scalar scalar_of(unsigned char code, const std::string& path) {
    constexpr std::pair<unsigned char, scalar> types[] = {{0x08, scalar::uint8},   {0x09, scalar::int8},
                                                          {0x0b, scalar::int16},   {0x0c, scalar::int32},
                                                          {0x0d, scalar::float32}, {0x0e, scalar::float64}};
    for (const auto& [known, type] : types)
        if (known == code)
            return type;
    fail_at_byte(path, 2, fmt::format("type {:#04x}, expected 0x08, 0x09, 0x0b, 0x0c, 0x0d or 0x0e", code));
}

array_layout read_header(byte_stream& stream, const std::string& path) {
    char magic[4] = {};
    const std::size_t got = read_fully(stream, magic, sizeof magic);
    if (got > 0 && (magic[0] != 0 || magic[1] != 0))
        fail_at_byte(path, 0,
                     fmt::format("expected the magic bytes 00 00 of an idx file, but this looks like {}",
                                 looks_like({magic, got})));
    if (got < sizeof magic)
        fail_at_byte(path, got, "the file ends here, expected the header of an idx file");
    array_layout layout;
    layout.element = {scalar_of(static_cast<unsigned char>(magic[2]), path), true};
    const auto extents = static_cast<unsigned char>(magic[3]);
    std::vector<std::int64_t> shape;
    for (unsigned i = 0; i < extents; ++i) {
        char bytes[4];
        read_exactly(stream, bytes, sizeof bytes, path, 4 + 4 * i, "the header");
        shape.push_back(big_endian(bytes));
    }
    set_shape(layout, shape, path, 3);
    layout.offset = 4 + 4 * extents;
    return layout;
}

} // namespace

std::unique_ptr<opened_file> open_idx(const input_file& file, bool gzip, const file_options& options) {
    return open_array_file(file, gzip, read_header, true, options);
}

std::unique_ptr<opened_file> open_raw(const input_file& file, element_type stored, const file_options& options) {
    const std::string& path = file.name();
    if (options.dimensions < 1)
        throw invalid_argument(
            fmt::format("dimensions = {}: {} holds nothing but numbers, expected how many columns it has",
                        options.dimensions, path));
    const auto opened = std::make_shared<const random_access_file>(file);
    array_layout layout;
    layout.element.type = stored == element_type::float32 ? scalar::float32 : scalar::float64;
    set_shape(layout, {1, options.dimensions}, path, 0);
    const auto row_bytes = static_cast<std::uint64_t>(layout.bytes());
    layout.rows = static_cast<std::int64_t>(opened->size() / row_bytes);
    if (const std::uint64_t rest = opened->size() % row_bytes; rest != 0)
        fail_at_byte(path, opened->size(),
                     fmt::format("the file ends here, expected {} more bytes to complete row {} of {} numbers of {}",
                                 row_bytes - rest, layout.rows, options.dimensions, name_of(layout.element.type)));
    return open_array(path, opened, {0, opened->size()}, layout, options);
}

} // namespace elbo::io
