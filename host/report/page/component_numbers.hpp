// Means and standard deviations of components as text, for tables.
#pragma once

#include "elbo/gmm/model.hpp"

#include <cstdint>
#include <string>
#include <vector>

namespace elbo::report {

/// The first columns of the first components, row by row.
class component_numbers {
public:
    component_numbers(const gmm::model& m, std::int64_t rows, std::int64_t columns);
    /// The mean with five significant digits, or with as many as tell it from the other means of the column: two or
    /// three of the smallest difference that is not nothing beside the deviations.
    std::string mean(std::int64_t row, std::int64_t column) const;
    std::string deviation(std::int64_t row, std::int64_t column) const;

private:
    int digits_of(std::int64_t column) const;
    std::int64_t rows_, columns_;
    std::vector<double> means_, deviations_; // [rows x columns]
    std::vector<int> digits_;                // [columns]
};

} // namespace elbo::report
