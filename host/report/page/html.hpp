// The frame of every page: head, facts, figures, end.
#pragma once

#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace elbo::report {

std::string page_begin(std::string_view title, std::string_view made_by);
/// Names and values side by side; nothing where there are none.
std::string facts_list(const std::vector<std::pair<std::string, std::string>>& facts);
/// A picture with its caption (HTML); nothing where there is no picture.
std::string figure(const std::string& picture, std::string_view caption);
/// The command that makes the page again, and the end.
std::string page_end(std::string_view command);

} // namespace elbo::report
