#include "host/io/array/scalar.hpp"

#include "host/io/errors.hpp"

#include <algorithm>
#include <array>
#include <bit>
#include <cmath>
#include <cstring>
#include <fmt/format.h>
#include <tuple>
#include <type_traits>

namespace elbo::io {
namespace {

static_assert(std::endian::native == std::endian::little, "the binary formats are read as on a little-endian machine");

// IEEE 754 half precision, which C++20 has no type for.
struct half {
    std::uint16_t bits;
    operator float() const {
        const int exponent = (bits >> 10) & 31;
        const int fraction = bits & 1023;
        float magnitude = 0;
        if (exponent == 31)
            magnitude = fraction == 0 ? INFINITY : NAN;
        else if (exponent == 0)
            magnitude = std::ldexp(static_cast<float>(fraction), -24);
        else
            magnitude = std::ldexp(static_cast<float>(fraction + 1024), exponent - 25);
        return bits & 0x8000 ? -magnitude : magnitude;
    }
};

template <class Stored, bool BigEndian>
struct stored_form {
    using type = Stored;
    static Stored load(const char* from) {
        std::array<char, sizeof(Stored)> bytes;
        std::memcpy(bytes.data(), from, sizeof bytes);
        if constexpr (BigEndian)
            std::ranges::reverse(bytes);
        return std::bit_cast<Stored>(bytes);
    }
};

// In the order of scalar.
using stored_types = std::tuple<std::uint8_t, std::int8_t, std::uint16_t, std::int16_t, std::uint32_t, std::int32_t,
                                std::uint64_t, std::int64_t, half, float, double>;

// Calls `as` with the form of what is stored.
template <class F, std::size_t At = 0>
void dispatch(stored_scalar s, const F& as) {
    if constexpr (At < std::tuple_size_v<stored_types>) {
        using stored = std::tuple_element_t<At, stored_types>;
        if (static_cast<std::size_t>(s.type) != At)
            return dispatch<F, At + 1>(s, as);
        s.big_endian ? as(stored_form<stored, true>()) : as(stored_form<stored, false>());
    }
}

// The largest magnitudes below which float32 and float64 hold every whole number.
constexpr std::uint64_t exact_in_float32 = std::uint64_t{1} << 24, exact_in_float64 = std::uint64_t{1} << 53;

// The largest magnitude among `count` whole numbers, from_step bytes apart; 0 for floating-point numbers.
std::uint64_t largest_magnitude(stored_scalar stored, const char* from, std::int64_t from_step, std::int64_t count) {
    std::uint64_t largest = 0;
    dispatch(stored, [&](auto form) {
        if constexpr (std::is_integral_v<typename decltype(form)::type>)
            for (std::int64_t i = 0; i < count; ++i) {
                const auto value = form.load(from + i * from_step);
                const auto bits = static_cast<std::uint64_t>(value);
                largest = std::max(largest, value < 0 ? std::uint64_t{0} - bits : bits);
            }
    });
    return largest;
}

std::string whole_number_text(stored_scalar stored, const char* from) {
    std::string text;
    dispatch(stored, [&](auto form) {
        if constexpr (std::is_integral_v<typename decltype(form)::type>)
            text = std::to_string(form.load(from));
    });
    return text;
}

} // namespace

std::int64_t size_of(scalar s) {
    std::int64_t size = 0;
    dispatch({s}, [&](auto form) { size = sizeof(typename decltype(form)::type); });
    return size;
}

bool is_whole(scalar s) {
    return s < scalar::float16;
}

std::string name_of(scalar s) {
    constexpr const char* names[] = {"uint8",  "int8",  "uint16",  "int16",   "uint32", "int32",
                                     "uint64", "int64", "float16", "float32", "float64"};
    return names[static_cast<int>(s)];
}

bool is_native(stored_scalar stored, element_type type) {
    const scalar same = type == element_type::float32 ? scalar::float32 : scalar::float64;
    return stored.type == same && !stored.big_endian;
}

void convert(stored_scalar stored, const char* from, std::int64_t from_step, element_type type, char* to,
             std::int64_t to_step, std::int64_t count) {
    dispatch(stored, [&](auto form) {
        const auto convert_all = [&]<class T>(T* out) {
            for (std::int64_t i = 0; i < count; ++i)
                out[i * to_step] = static_cast<T>(form.load(from + i * from_step));
        };
        if (type == element_type::float32)
            convert_all(reinterpret_cast<float*>(to));
        else
            convert_all(reinterpret_cast<double*>(to));
    });
}

whole_number_check::whole_number_check(stored_scalar element, std::optional<element_type> asked,
                                       std::vector<std::int64_t> columns, std::string description)
    : element_(element), asked_(asked.has_value()), columns_(std::move(columns)), description_(std::move(description)),
      type_(asked.value_or(element.type == scalar::float64 ? element_type::float64 : element_type::float32)) {}

std::int64_t whole_number_check::count(const stored_rows& rows) const {
    return columns_.empty() ? rows.cols : std::ssize(columns_);
}

bool whole_number_check::goes_on() const {
    if (!is_whole(element_.type) || size_of(element_.type) < 4)
        return false; // float32 holds every number of 16 bits
    return size_of(element_.type) == 8 || (!asked_ && type_ == element_type::float32);
}

void whole_number_check::take(const stored_rows& rows) {
    std::uint64_t largest = 0;
    const bool dense =
        rows.column_step == size_of(element_.type) && rows.row_step == rows.cols * rows.column_step && columns_.empty();
    if (dense)
        largest = largest_magnitude(element_, rows.data, rows.column_step, rows.rows * rows.cols);
    else
        for (std::int64_t j = 0; j < count(rows); ++j)
            largest = std::max(largest, largest_magnitude(element_, rows.data + column(j) * rows.column_step,
                                                          rows.row_step, rows.rows));
    if (largest > exact_in_float64)
        fail_at_first(rows);
    if (largest > exact_in_float32 && !asked_)
        type_ = element_type::float64;
    row_ += rows.rows;
}

void whole_number_check::fail_at_first(const stored_rows& rows) const {
    for (std::int64_t i = 0; i < rows.rows; ++i)
        for (std::int64_t j = 0; j < count(rows); ++j) {
            const char* const at = rows.data + i * rows.row_step + column(j) * rows.column_step;
            if (largest_magnitude(element_, at, 0, 1) > exact_in_float64)
                fail(description_,
                     fmt::format("row {}, column {}: {} is beyond 2^53, up to where float64 holds every whole number: "
                                 "leave this column out, or subtract an offset before",
                                 row_ + i, column(j), whole_number_text(element_, at)));
        }
    fail(description_, "a whole number is beyond 2^53");
}

} // namespace elbo::io
