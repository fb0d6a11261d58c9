// Numbers as they are stored in binary files, and their conversion to the types of a data matrix.
#pragma once

#include "elbo/matrix_view.hpp"

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

namespace elbo::io {

enum class scalar { uint8, int8, uint16, int16, uint32, int32, uint64, int64, float16, float32, float64 };

std::int64_t size_of(scalar s);
/// Whether it is an integer type.
bool is_whole(scalar s);
/// "uint8", "float32", ...
std::string name_of(scalar s);

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

// Whole numbers, looked at before they become floating-point numbers.

/// Elements of a matrix in memory: element (i, j) at data + i·row_step + j·column_step bytes.
struct stored_rows {
    const char* data = nullptr;
    std::int64_t rows = 0, cols = 0;
    std::int64_t row_step = 0, column_step = 0;
};

/// Finds the type in which a source keeps all digits of its whole numbers: float32 up to 2^24, float64 up to 2^53. It
/// depends on all rows, so that no batch is rounded otherwise than another.
class whole_number_check {
public:
    /// `asked` is file_options::type, which is taken as it is; `columns` are those that are read, all where
    /// it is empty; `description` names the source in messages.
    whole_number_check(stored_scalar element, std::optional<element_type> asked, std::vector<std::int64_t> columns,
                       std::string description);
    /// Whether more rows can change the result.
    bool goes_on() const;
    /// The next rows. Throws file_error that names the row and column of a number beyond 2^53.
    void take(const stored_rows& rows);
    element_type type() const { return type_; }

private:
    std::int64_t count(const stored_rows& rows) const; // of columns
    std::int64_t column(std::int64_t i) const { return columns_.empty() ? i : columns_[static_cast<std::size_t>(i)]; }
    [[noreturn]] void fail_at_first(const stored_rows& rows) const;

    stored_scalar element_;
    bool asked_;
    std::vector<std::int64_t> columns_;
    std::string description_;
    element_type type_;
    std::int64_t row_ = 0; // of the next rows
};

} // namespace elbo::io
