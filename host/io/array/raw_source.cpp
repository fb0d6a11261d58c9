// Files of nothing but numbers: .f32 and .f64, little-endian, row by row.
#include "host/io/array/array_source.hpp"
#include "host/io/errors.hpp"
#include "host/io/sources.hpp"

#include <fmt/format.h>

namespace elbo::io {

std::unique_ptr<opened_file> open_raw(const input_file& file, element_type stored, const file_options& options) {
    const std::string& path = file.name();
    if (options.dimensions < 1)
        throw invalid_argument(
            fmt::format("dimensions = {}: {} holds nothing but numbers, expected how many columns it has",
                        options.dimensions, path));
    auto mapping = std::make_shared<const mapped_file>(file);
    const std::span<const char> bytes = mapping->bytes();
    array_layout layout;
    layout.element.type = stored == element_type::float32 ? scalar::float32 : scalar::float64;
    set_shape(layout, {1, options.dimensions}, path, 0);
    const auto row_bytes = static_cast<std::uint64_t>(layout.bytes());
    layout.rows = static_cast<std::int64_t>(bytes.size() / row_bytes);
    if (const std::uint64_t rest = bytes.size() % row_bytes; rest != 0)
        fail_at_byte(path, bytes.size(),
                     fmt::format("the file ends here, expected {} more bytes to complete row {} of {} numbers of {}",
                                 row_bytes - rest, layout.rows, options.dimensions, name_of(layout.element.type)));
    return open_array(path, std::move(mapping), bytes, 0, layout, options);
}

} // namespace elbo::io
