// The page of a command that applies a model to data.
#pragma once

#include "host/report/page/mixture_page.hpp"

#include "elbo/context.hpp"
#include "elbo/data_source.hpp"

#include <string>

namespace elbo::cli {

/// A page with title, points of `data` coloured by component, and who made it. The caller adds facts and fit; `m` must
/// outlive the page.
report::page make_page(const context& ctx, const gmm::model& m, const data_source& data,
                       const std::string& command_line);

/// "elbo 0.1.0 on CPU, 2 threads".
std::string made_by(const context& ctx);

} // namespace elbo::cli
