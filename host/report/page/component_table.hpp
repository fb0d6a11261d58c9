// The components of a mixture as text: numbers, a table and a line.
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

/// Weights, means and standard deviations; HTML.
std::string component_table(const gmm::model& m, const std::vector<std::string>& column_names);
/// Legend entry (marker and weight; HTML) of the components, shortened where there are many.
std::string component_legend(const gmm::model& m);

} // namespace elbo::report
