// Whole numbers as they are stored, looked at before they become floating-point numbers.
#pragma once

#include "host/io/array/scalar.hpp"

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

namespace elbo::io {

/// The largest magnitudes below which float32 and float64 hold every whole number.
inline constexpr std::uint64_t exact_in_float32 = std::uint64_t{1} << 24;
inline constexpr std::uint64_t exact_in_float64 = std::uint64_t{1} << 53;

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
