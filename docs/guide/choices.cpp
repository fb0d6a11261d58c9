// How many components, of which family.
#include "docs/guide/gallery.hpp"

#include <elbo/data_source.hpp>
#include <elbo/gmm/select.hpp>

#include <iostream>

namespace elbo::guide {

void choices(const gallery& g) {
    const context& ctx = g.ctx;
    const std::string path = g.file("faithful.csv");
    // [select]
    using elbo::gmm::family;
    elbo::data_source data = elbo::data_source::file(path, {.columns = {"eruptions", "waiting"}});
    elbo::gmm::select_options options;
    options.components = {1, 2, 3, 4, 5, 6, 7, 8};
    options.families = {family::full, family::tied, family::diagonal, family::tied_diagonal};
    options.fit.restarts = 3;
    elbo::gmm::select_result chosen = elbo::gmm::select(ctx, data, options);
    std::cout << chosen.reason << '\n';
    // [select end]
    std::vector<report::curve> curves;
    for (const gmm::select_cell& cell : chosen.table) {
        if (cell.components == 1)
            curves.push_back(curve(std::string(to_string(cell.shape)), std::ssize(curves), {}));
        if (cell.bic < chosen.best.bic + 150) // the others would hide what is close
            curves.back().points.push_back({static_cast<double>(cell.components), cell.bic});
    }
    holds(chosen.best.model.components() == 2 || chosen.best.model.components() == 3,
          "two or three components for Old Faithful");
    g.save("select", report::line_chart(curves, {.id = "select",
                                                 .x_title = "components",
                                                 .y_title = "BIC",
                                                 .description = "BIC against the number of components"}));
}

} // namespace elbo::guide
