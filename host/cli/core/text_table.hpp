// Text for people: columns that line up, durations.
#pragma once

#include <string>
#include <utility>
#include <vector>

namespace elbo::cli {

/// Rows of cells, aligned to the right, two blanks between columns; the first row is the head.
std::string text_table(const std::vector<std::vector<std::string>>& rows);

/// "name   value" lines, aligned to the left.
std::string text_list(const std::vector<std::pair<std::string, std::string>>& entries);

/// Seconds for people: "12.3 µs", "250 ms", "4.71 s", "12 min 5 s", "3 h 10 min".
std::string duration_text(double seconds);

} // namespace elbo::cli
