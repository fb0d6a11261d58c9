// Columns of text that line up.
#pragma once

#include <string>
#include <utility>
#include <vector>

namespace elbo::cli {

/// Rows of cells, aligned to the right, two blanks between columns; the first row is the head.
std::string text_table(const std::vector<std::vector<std::string>>& rows);

/// "name   value" lines, aligned to the left.
std::string text_list(const std::vector<std::pair<std::string, std::string>>& entries);

} // namespace elbo::cli
