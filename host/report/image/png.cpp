#include "host/report/image/png.hpp"

#include "elbo/error.hpp"

#include <string_view>
#include <zlib.h>

namespace elbo::report {

namespace {

std::string big_endian(std::uint32_t value) {
    std::string bytes;
    for (int shift = 24; shift >= 0; shift -= 8)
        bytes += static_cast<char>(value >> shift & 0xff);
    return bytes;
}

// A chunk of a PNG file: length, type, data, checksum of type and data (PNG specification, section 5.3).
std::string chunk(std::string_view type, const std::string& data) {
    const std::string body = std::string(type) + data;
    const auto checksum = crc32(0, reinterpret_cast<const Bytef*>(body.data()), static_cast<uInt>(body.size()));
    return big_endian(static_cast<std::uint32_t>(data.size())) + body +
           big_endian(static_cast<std::uint32_t>(checksum));
}

std::string compressed(const std::string& raw) {
    uLongf size = compressBound(raw.size());
    std::string out(size, '\0');
    if (compress(reinterpret_cast<Bytef*>(out.data()), &size, reinterpret_cast<const Bytef*>(raw.data()), raw.size()) !=
        Z_OK)
        throw error("an image of the report could not be compressed");
    out.resize(size);
    return out;
}

std::string base64(const std::string& bytes) {
    constexpr std::string_view digits = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    std::string out;
    for (std::size_t i = 0; i < bytes.size(); i += 3) {
        std::uint32_t group = 0;
        for (std::size_t j = 0; j < 3; ++j)
            group = group << 8 | (i + j < bytes.size() ? static_cast<std::uint8_t>(bytes[i + j]) : 0u);
        for (std::size_t j = 0; j < 4; ++j)
            out += i + j <= bytes.size() ? digits[group >> (18 - 6 * j) & 63] : '=';
    }
    return out;
}

} // namespace

std::string grey_png(const std::vector<std::uint8_t>& pixels, int width, int height) {
    std::string rows;
    for (int y = 0; y < height; ++y) {
        rows += '\0'; // filter type: none
        rows.append(reinterpret_cast<const char*>(pixels.data()) + static_cast<std::size_t>(y) * width, width);
    }
    const std::string header = big_endian(width) + big_endian(height) + std::string("\x08\0\0\0\0", 5); // 8-bit grey
    return "\x89PNG\r\n\x1a\n" + chunk("IHDR", header) + chunk("IDAT", compressed(rows)) + chunk("IEND", "");
}

std::string grey_image_address(const std::vector<std::uint8_t>& pixels, int width, int height) {
    return "data:image/png;base64," + base64(grey_png(pixels, width, height));
}

} // namespace elbo::report
