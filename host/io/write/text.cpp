// Matrices as text, each number with the fewest digits that read back to the same bits.
#include "host/io/write/matrix_format.hpp"

#include <charconv>
#include <cmath>
#include <type_traits>

namespace elbo::io {
namespace {

constexpr std::size_t flush_bytes = std::size_t{1} << 18;

std::string quoted_name(const std::string& name) {
    if (name.find_first_of(",;\t\"\r\n ") == name.npos)
        return name;
    std::string out = "\"";
    for (const char c : name)
        out += c == '"' ? "\"\"" : std::string(1, c);
    return out + "\"";
}

class text_format final : public matrix_writer::format {
public:
    text_format(const std::string& name, char separator, const std::vector<std::string>& column_names)
        : file_(name), separator_(separator) {
        for (const std::string& column : column_names) {
            if (!pending_.empty())
                pending_ += separator_;
            pending_ += quoted_name(column);
        }
        if (!column_names.empty())
            pending_ += '\n';
    }

    void write(const void* numbers, std::int64_t count) override {
        switch (type) {
        case output_type::float32:
            return write_as(static_cast<const float*>(numbers), count);
        case output_type::float64:
            return write_as(static_cast<const double*>(numbers), count);
        case output_type::int32:
            return write_as(static_cast<const std::int32_t*>(numbers), count);
        case output_type::int64:
            return write_as(static_cast<const std::int64_t*>(numbers), count);
        }
    }

    void close() override {
        flush();
        file_.commit();
    }

private:
    // A large number gets an exponent, or its digits would look like those of a whole number that float64 cannot hold.
    template <class T>
    void append(T number) {
        char digits[32]; // the longest is -2.2250738585072014e-308
        char* end = digits;
        if constexpr (std::is_floating_point_v<T>)
            if (std::abs(number) > T{1LL << 53})
                end = std::to_chars(digits, digits + sizeof digits, number, std::chars_format::scientific).ptr;
        if (end == digits)
            end = std::to_chars(digits, digits + sizeof digits, number).ptr;
        pending_.append(digits, end);
    }

    template <class T>
    void write_as(const T* numbers, std::int64_t count) {
        for (std::int64_t i = 0; i < count; ++i) {
            for (std::int64_t j = 0; j < cols; ++j) {
                if (j > 0)
                    pending_ += separator_;
                append(*numbers++);
            }
            pending_ += '\n';
            if (pending_.size() >= flush_bytes)
                flush();
        }
    }

    void flush() {
        file_.write(pending_);
        pending_.clear();
    }

    atomic_file file_;
    char separator_;
    std::string pending_;
};

} // namespace

std::unique_ptr<matrix_writer::format> create_text(const std::string& path, char separator,
                                                   const std::vector<std::string>& column_names) {
    return std::make_unique<text_format>(path, separator, column_names);
}

} // namespace elbo::io
