// Numbers as they are stored in binary files, and their conversion to the types of a data matrix.
#pragma once

#include "elbo/matrix_view.hpp"

#include <cstddef>
#include <cstdint>
#include <string>

namespace elbo::io {

enum class scalar { uint8, int8, uint16, int16, uint32, int32, uint64, int64, float16, float32, float64 };

std::int64_t size_of(scalar s);
/// Whether it is an integer type.
bool is_whole(scalar s);
/// "uint8", "float32", ...
std::string name_of(scalar s);
/// The type of a data matrix read from it: float64 for float64, float32 for all others, if it holds their values
/// (whole_numbers.hpp).
element_type natural_type(scalar s);

struct stored_scalar {
    scalar type = scalar::float32;
    bool big_endian = false;
};

/// Whether the bytes in the file are already a matrix of this type on this (little-endian) machine.
bool is_native(stored_scalar stored, element_type type);

/// `count` stored numbers, `from_step` bytes apart and of any alignment, converted to `type` at `to`, `to_step`
/// elements apart. Integers beyond 2^24 (float32) or 2^53 (float64) are rounded to nearest.
void convert(stored_scalar stored, const char* from, std::int64_t from_step, element_type type, char* to,
             std::int64_t to_step, std::int64_t count);

/// The largest magnitude among `count` whole numbers, from_step bytes apart; 0 for floating-point numbers.
std::uint64_t largest_magnitude(stored_scalar stored, const char* from, std::int64_t from_step, std::int64_t count);
/// The digits of a whole number.
std::string whole_number_text(stored_scalar stored, const char* from);

} // namespace elbo::io
