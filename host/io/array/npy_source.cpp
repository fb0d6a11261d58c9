// NumPy's .npy files, versions 1 to 3 (numpy.org/doc/stable/reference/generated/numpy.lib.format.html), as they
// are or compressed by gzip.
#include "host/io/array/array_source.hpp"
#include "host/io/errors.hpp"
#include "host/io/format.hpp"

#include <cctype>
#include <charconv>
#include <fmt/format.h>

namespace elbo::io {
namespace {

using namespace std::string_view_literals;

constexpr std::string_view magic = "\x93NUMPY";
constexpr std::uint32_t longest_header = 1 << 20;

// The Python literal {'descr': '<f8', 'fortran_order': False, 'shape': (3, 4), }.
class header_parser {
public:
    header_parser(std::string_view text, const std::string& path, std::uint64_t offset)
        : text_(text), path_(path), offset_(offset) {}

    array_layout parse() {
        std::optional<stored_scalar> element;
        std::optional<bool> fortran_order;
        std::optional<std::vector<std::int64_t>> shape;
        expect('{');
        while (!accept('}')) {
            const std::string key = string();
            expect(':');
            if (key == "descr")
                element = descr();
            else if (key == "fortran_order")
                fortran_order = boolean();
            else if (key == "shape")
                shape = tuple();
            else
                fail_here(fmt::format("unknown key {}", in_quotes(key)));
            if (!accept(',') && peek() != '}')
                fail_here("expected ',' or '}'");
        }
        if (!element || !fortran_order || !shape)
            fail_here("expected the keys 'descr', 'fortran_order' and 'shape'");
        array_layout layout;
        layout.element = *element;
        set_shape(layout, *shape, path_, offset_);
        layout.fortran_order = *fortran_order && shape->size() > 1;
        if (layout.fortran_order && shape->size() > 2)
            fail_here("an array of more than two extents in Fortran order: expected C order");
        return layout;
    }

private:
    [[noreturn]] void fail_here(std::string_view message) const {
        fail_at_byte(path_, offset_ + at_, fmt::format("in the header: {}", message));
    }
    char peek() {
        while (at_ < text_.size() && std::isspace(static_cast<unsigned char>(text_[at_])))
            ++at_;
        return at_ < text_.size() ? text_[at_] : '\0';
    }
    bool accept(char c) {
        if (peek() != c)
            return false;
        ++at_;
        return true;
    }
    void expect(char c) {
        if (!accept(c))
            fail_here(fmt::format("expected '{}'", c));
    }
    bool accept_word(std::string_view word) {
        peek();
        if (!text_.substr(at_).starts_with(word))
            return false;
        at_ += word.size();
        return true;
    }

    std::string string() {
        const char quote = peek();
        if (quote != '\'' && quote != '"')
            fail_here("expected a string");
        const std::size_t end = text_.find(quote, at_ + 1);
        if (end == text_.npos)
            fail_here("expected the end of a string");
        std::string value(text_.substr(at_ + 1, end - at_ - 1));
        at_ = end + 1;
        return value;
    }

    bool boolean() {
        if (accept_word("True"))
            return true;
        if (!accept_word("False"))
            fail_here("expected True or False");
        return false;
    }

    std::vector<std::int64_t> tuple() {
        std::vector<std::int64_t> extents;
        expect('(');
        while (!accept(')')) {
            extents.push_back(integer());
            accept_word("L"); // Python 2 wrote 3L
            if (!accept(',') && peek() != ')')
                fail_here("expected ',' or ')'");
        }
        return extents;
    }

    std::int64_t integer() {
        peek();
        std::int64_t value = 0;
        const auto [end, status] = std::from_chars(text_.data() + at_, text_.data() + text_.size(), value);
        if (status != std::errc())
            fail_here("expected a whole number of 64 bits");
        at_ = static_cast<std::size_t>(end - text_.data());
        return value;
    }

    stored_scalar descr() {
        if (peek() == '[')
            fail_here("a structured dtype, expected float32, float64 or an integer type");
        const std::string name = string();
        const std::optional<scalar> type = name.size() > 1 ? scalar_of(std::string_view(name).substr(1)) : std::nullopt;
        if (!type || "<>|="sv.find(name[0]) == std::string_view::npos)
            fail_here(
                fmt::format("dtype {}{}, expected float32, float64 or an integer type", in_quotes(name), hint(name)));
        return {*type, name[0] == '>'};
    }

    static std::optional<scalar> scalar_of(std::string_view code) {
        constexpr std::pair<std::string_view, scalar> codes[] = {
            {"f4", scalar::float32}, {"f8", scalar::float64}, {"f2", scalar::float16}, {"u1", scalar::uint8},
            {"i1", scalar::int8},    {"b1", scalar::uint8},   {"u2", scalar::uint16},  {"i2", scalar::int16},
            {"u4", scalar::uint32},  {"i4", scalar::int32},   {"u8", scalar::uint64},  {"i8", scalar::int64}};
        for (const auto& [known, type] : codes)
            if (known == code)
                return type;
        return std::nullopt;
    }

    static std::string_view hint(std::string_view name) {
        constexpr std::pair<char, std::string_view> kinds[] = {
            {'O', " (Python objects)"}, {'c', " (complex)"},        {'U', " (text)"},      {'S', " (text)"},
            {'M', " (dates or times)"}, {'m', " (dates or times)"}, {'V', " (structured)"}};
        for (const auto& [kind, text] : kinds)
            if (name.size() > 1 && name[1] == kind)
                return text;
        return "";
    }

    std::string_view text_;
    std::string path_;
    std::uint64_t offset_;
    std::size_t at_ = 0;
};

} // namespace

array_layout read_npy_header(byte_stream& stream, const std::string& path, std::uint64_t first_byte) {
    char start[12] = {};
    const std::size_t got = read_fully(stream, start, 8);
    const std::string_view head(start, got);
    if (!head.starts_with(magic.substr(0, got)) || got == 0)
        fail_at_byte(path, first_byte,
                     fmt::format("expected the magic string \\x93NUMPY, but this looks like {}", looks_like(head)));
    if (got < 8)
        fail_at_byte(path, first_byte + got, "the file ends here, expected the header of a .npy file");
    const int version = start[6];
    if (version < 1 || version > 3)
        fail_at_byte(path, first_byte + 6, fmt::format("version {} of the .npy format, expected 1, 2 or 3", version));
    const std::size_t length_bytes = version == 1 ? 2 : 4;
    read_exactly(stream, start + 8, length_bytes, path, first_byte + 8, "the header");
    const std::uint64_t length = little_endian(start + 8, length_bytes);
    if (length > longest_header)
        fail_at_byte(path, first_byte + 8,
                     fmt::format("a header of {} bytes, expected at most {}", length, longest_header));
    std::string text(length, '\0');
    const std::uint64_t text_offset = 8 + length_bytes;
    read_exactly(stream, text.data(), text.size(), path, first_byte + text_offset, "the header");
    array_layout layout = header_parser(text, path, first_byte + text_offset).parse();
    layout.offset = text_offset + length;
    return layout;
}

std::unique_ptr<opened_file> open_npy(const input_file& file, bool gzip, const file_options& options) {
    const auto header = [](byte_stream& stream, const std::string& path) { return read_npy_header(stream, path); };
    return open_array_file(file, gzip, header, false, options);
}

} // namespace elbo::io
