// The number of components and the family, chosen by BIC and on held-out rows. docs/select.md shows the parts between
// the markers.
//   select tests/data/faithful.csv
#include <elbo/data_source.hpp>
#include <elbo/gmm/select.hpp>

#include <cmath>
#include <iostream>

using elbo::gmm::criterion;
using elbo::gmm::family;

int main(int argc, char** argv) {
    const char* path = argc > 1 ? argv[1] : "faithful.csv";
    elbo::context ctx = elbo::context::best();
    elbo::data_source data = elbo::data_source::file(path, {.columns = {"eruptions", "waiting"}});

    // [sweep]
    elbo::gmm::select_result r =
        elbo::gmm::select(ctx, data, {.components = {1, 2, 3, 4}, .families = {family::full, family::tied}});
    std::cout << r.reason << '\n'; // bic 2314.3 for tied K = 3; next: tied K = 4, 2320.1, 5.8 more
    for (const elbo::gmm::select_cell& cell : r.table)
        if (cell.error.empty())
            std::cout << to_string(cell.shape) << ' ' << cell.components << ' ' << cell.bic << '\n';
        else
            std::cout << to_string(cell.shape) << ' ' << cell.components << ": " << cell.error << '\n';
    const elbo::gmm::model& model = r.best.model;
    // [sweep end]

    // [held_out]
    elbo::gmm::select_options options{.components = {1, 2, 3, 4}, .by = criterion::cross_validation};
    options.folds = 10;
    options.one_standard_error = true; // the simplest model that is not clearly worse than the best
    options.fit.restarts = 3;
    elbo::gmm::select_result held_out = elbo::gmm::select(ctx, data, options);
    const elbo::gmm::select_cell& cell = held_out.table[held_out.chosen];
    std::cout << cell.held_out << " +- " << cell.held_out_error << " nats per sample\n" << held_out.reason << '\n';
    // [held_out end]

    const bool right = model.shape() == family::tied && model.components() == 3 && r.table.size() == 8 &&
                       held_out.best.model.components() == 2 && std::abs(cell.held_out + 4.2) < 0.1;
    return right ? 0 : 1;
}
