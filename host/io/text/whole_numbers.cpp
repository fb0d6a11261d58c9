#include "host/io/text/whole_numbers.hpp"

#include "host/io/errors.hpp"

#include <algorithm>
#include <fmt/format.h>
#include <iterator>

namespace elbo::io {

whole_number_check::whole_number_check(stored_scalar element, std::optional<element_type> asked,
                                       std::vector<std::int64_t> columns, std::string description)
    : element_(element), asked_(asked.has_value()), columns_(std::move(columns)), description_(std::move(description)),
      type_(asked.value_or(natural_type(element.type))) {}

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
