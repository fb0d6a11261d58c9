// The frame of every page: head, facts, figures, end.
#pragma once

#include "elbo/report.hpp"

#include <string>
#include <string_view>

namespace elbo::report {

/// The heading with what is empty of title ("Gaussian mixture of" and the file's name) and made_by.
heading completed(heading about, std::string_view what, const context& ctx, const data_source& data);

/// Head, title and facts.
std::string page_begin(const heading& about);
/// A picture with its caption (HTML); nothing where there is no picture.
std::string figure(const std::string& picture, std::string_view caption);
/// The command that makes the page again, and the end.
std::string page_end(std::string_view command);

} // namespace elbo::report
