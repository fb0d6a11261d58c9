// One self-contained HTML page about a model with continuous latent variables: its fit and the rows as it sees them.
#pragma once

#include "host/report/chart/point_cloud.hpp"

#include "elbo/gmm/fit.hpp"

#include <string>
#include <utility>
#include <vector>

namespace elbo::report {

/// What a page is made of. The parts that a command does not have stay empty and are left out of the page.
struct latent_page {
    std::string title;                                      ///< "factors of digits.npy"
    std::vector<std::pair<std::string, std::string>> facts; ///< the summary: name, value
    std::vector<gmm::iteration_record> trace;
    point_groups cloud;
    std::string cloud_title;      ///< heading above the points
    std::string x_title, y_title; ///< of the axes about them
    std::string cloud_note;       ///< what is seen
    std::string command;          ///< that makes this page again
    std::string made_by;          ///< "elbo 0.1.0 on CPU, 2 threads"
};

/// The page as HTML with inline SVG: nothing is loaded from elsewhere.
std::string render(const latent_page& p);

} // namespace elbo::report
