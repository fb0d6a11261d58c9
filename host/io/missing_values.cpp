// Numbers that stand for missing values, looked for in files of numbers.
#include "host/io/errors.hpp"
#include "host/io/sources.hpp"
#include "host/io/text/near_numbers.hpp"
#include "host/io/text/numbers.hpp"

#include <algorithm>
#include <fmt/format.h>

namespace elbo::io {
namespace {

constexpr std::int64_t numbers_per_batch = std::int64_t{1} << 16;

template <class T>
void look(const matrix_view<const T>& batch, std::int64_t first_row, const std::vector<double>& markers,
          const std::string& description) {
    for (std::int64_t i = 0; i < batch.rows; ++i)
        for (std::int64_t j = 0; j < batch.cols; ++j)
            for (const double marker : markers)
                if (batch(i, j) == static_cast<T>(marker))
                    fail(description, fmt::format("row {}, column {}: {} stands for a missing value here: {}",
                                                  first_row + i, j, marker, missing_advice));
}

} // namespace

source_pointer refuse_missing(source_pointer source, const std::vector<std::string>& markers) {
    std::vector<double> numbers;
    for (const std::string& marker : markers)
        if (double value = 0; parse_number(marker, value) == number_status::ok)
            numbers.push_back(value);
    if (numbers.empty())
        return source;
    const auto reader =
        source->read(std::max<std::int64_t>(1, numbers_per_batch / std::max<std::int64_t>(source->cols, 1)));
    std::int64_t row = 0;
    for (any_matrix_view batch = reader->next(); batch.rows > 0; batch = reader->next()) {
        if (batch.type == element_type::float32)
            look(batch.as<float>(), row, numbers, source->description);
        else
            look(batch.as<double>(), row, numbers, source->description);
        row += batch.rows;
    }
    return source;
}

} // namespace elbo::io
