// One self-contained HTML page about a model with continuous latent variables: its fit and the rows as it sees them.
#pragma once

#include "host/report/chart/point_cloud.hpp"

#include "elbo/report.hpp"

#include <functional>
#include <string>
#include <vector>

namespace elbo::report {

/// What a page is made of. The parts that a command does not have stay empty and are left out of the page.
struct latent_page : heading {
    std::vector<iteration_record> trace;
    point_groups cloud;
    std::string cloud_title;      ///< heading above the points
    std::string x_title, y_title; ///< of the axes about them
    std::string cloud_note;       ///< what is seen
};

/// The page about a model and some of these rows: factors at E[z | x] of the component that each row most probably
/// belongs to, a sphere at E[u | x] or, in two dimensions, at the rows, with the circle. `between` is called before
/// each batch.
latent_page page_of(const context& ctx, const latent::factor_model& m, const data_source& data, heading about,
                    const std::function<void()>& between = {});
latent_page page_of(const context& ctx, const latent::sphere_model& m, const data_source& data, heading about,
                    const std::function<void()>& between = {});

/// The page as HTML with inline SVG: nothing is loaded from elsewhere.
std::string render(const latent_page& p);

} // namespace elbo::report
