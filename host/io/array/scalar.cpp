#include "host/io/array/scalar.hpp"

#include <algorithm>
#include <bit>
#include <cmath>
#include <cstring>
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

template <std::size_t Size>
struct bits_of;
template <>
struct bits_of<1> {
    using type = std::uint8_t;
};
template <>
struct bits_of<2> {
    using type = std::uint16_t;
};
template <>
struct bits_of<4> {
    using type = std::uint32_t;
};
template <>
struct bits_of<8> {
    using type = std::uint64_t;
};

std::uint8_t swapped(std::uint8_t x) {
    return x;
}
std::uint16_t swapped(std::uint16_t x) {
    return __builtin_bswap16(x);
}
std::uint32_t swapped(std::uint32_t x) {
    return __builtin_bswap32(x);
}
std::uint64_t swapped(std::uint64_t x) {
    return __builtin_bswap64(x);
}

template <class Stored, bool BigEndian>
Stored load(const char* from) {
    typename bits_of<sizeof(Stored)>::type bits;
    std::memcpy(&bits, from, sizeof bits);
    return std::bit_cast<Stored>(BigEndian ? swapped(bits) : bits);
}

template <class Stored, bool BigEndian, class T>
void convert_all(const char* from, std::int64_t from_step, T* to, std::int64_t to_step, std::int64_t count) {
    for (std::int64_t i = 0; i < count; ++i)
        to[i * to_step] = static_cast<T>(load<Stored, BigEndian>(from + i * from_step));
}

template <class Stored>
void convert_to(bool big_endian, const char* from, std::int64_t from_step, element_type type, char* to,
                std::int64_t to_step, std::int64_t count) {
    const auto with = [&](auto* out) {
        if (big_endian)
            convert_all<Stored, true>(from, from_step, out, to_step, count);
        else
            convert_all<Stored, false>(from, from_step, out, to_step, count);
    };
    if (type == element_type::float32)
        with(reinterpret_cast<float*>(to));
    else
        with(reinterpret_cast<double*>(to));
}

// Calls `as` with the type of what is stored.
template <class F>
void dispatch(scalar s, F&& as) {
    switch (s) {
    case scalar::uint8:
        return as(std::type_identity<std::uint8_t>());
    case scalar::int8:
        return as(std::type_identity<std::int8_t>());
    case scalar::uint16:
        return as(std::type_identity<std::uint16_t>());
    case scalar::int16:
        return as(std::type_identity<std::int16_t>());
    case scalar::uint32:
        return as(std::type_identity<std::uint32_t>());
    case scalar::int32:
        return as(std::type_identity<std::int32_t>());
    case scalar::uint64:
        return as(std::type_identity<std::uint64_t>());
    case scalar::int64:
        return as(std::type_identity<std::int64_t>());
    case scalar::float16:
        return as(std::type_identity<half>());
    case scalar::float32:
        return as(std::type_identity<float>());
    case scalar::float64:
        return as(std::type_identity<double>());
    }
}

template <class Stored, bool BigEndian>
std::uint64_t largest_of(const char* from, std::int64_t from_step, std::int64_t count) {
    std::uint64_t largest = 0;
    for (std::int64_t i = 0; i < count; ++i) {
        const Stored value = load<Stored, BigEndian>(from + i * from_step);
        const auto bits = static_cast<std::uint64_t>(value);
        largest = std::max(largest, value < 0 ? std::uint64_t{0} - bits : bits);
    }
    return largest;
}

} // namespace

std::int64_t size_of(scalar s) {
    switch (s) {
    case scalar::uint8:
    case scalar::int8:
        return 1;
    case scalar::uint16:
    case scalar::int16:
    case scalar::float16:
        return 2;
    case scalar::uint32:
    case scalar::int32:
    case scalar::float32:
        return 4;
    case scalar::uint64:
    case scalar::int64:
    case scalar::float64:
        return 8;
    }
    return 0;
}

bool is_whole(scalar s) {
    return s != scalar::float16 && s != scalar::float32 && s != scalar::float64;
}

std::string name_of(scalar s) {
    constexpr const char* names[] = {"uint8",  "int8",  "uint16",  "int16",   "uint32", "int32",
                                     "uint64", "int64", "float16", "float32", "float64"};
    return names[static_cast<int>(s)];
}

element_type natural_type(scalar s) {
    return s == scalar::float64 ? element_type::float64 : element_type::float32;
}

bool is_native(stored_scalar stored, element_type type) {
    const scalar same = type == element_type::float32 ? scalar::float32 : scalar::float64;
    return stored.type == same && !stored.big_endian;
}

void convert(stored_scalar stored, const char* from, std::int64_t from_step, element_type type, char* to,
             std::int64_t to_step, std::int64_t count) {
    dispatch(stored.type, [&]<class Stored>(std::type_identity<Stored>) {
        convert_to<Stored>(stored.big_endian, from, from_step, type, to, to_step, count);
    });
}

std::uint64_t largest_magnitude(stored_scalar stored, const char* from, std::int64_t from_step, std::int64_t count) {
    std::uint64_t largest = 0;
    dispatch(stored.type, [&]<class Stored>(std::type_identity<Stored>) {
        if constexpr (std::is_integral_v<Stored>)
            largest = stored.big_endian ? largest_of<Stored, true>(from, from_step, count)
                                        : largest_of<Stored, false>(from, from_step, count);
    });
    return largest;
}

std::string whole_number_text(stored_scalar stored, const char* from) {
    std::string text;
    dispatch(stored.type, [&]<class Stored>(std::type_identity<Stored>) {
        if constexpr (std::is_integral_v<Stored>)
            text = std::to_string(stored.big_endian ? load<Stored, true>(from) : load<Stored, false>(from));
    });
    return text;
}

} // namespace elbo::io
