// A page about a fit. docs/cpp.md shows the parts between the markers.
//   report tests/data/faithful.csv
#include <iostream>
#include <string>

// [headers]
#include <elbo/report.hpp>

#include <fstream>
// [headers end]

int main(int argc, char** argv) {
    const char* path = argc > 1 ? argv[1] : "faithful.csv";
    elbo::context ctx = elbo::context::best();
    elbo::data_source data = elbo::data_source::file(path, {.columns = {"eruptions", "waiting"}});

    // [page]
    elbo::gmm::fit_result fit = elbo::gmm::fit(ctx, data, {.components = 2, .seed = 7});
    std::string html =
        elbo::report::page(ctx, fit, data, {.facts = {{"log-likelihood", std::to_string(fit.log_likelihood)}}});
    std::ofstream("faithful.html") << html;
    // [page end]

    std::cout << html.size() << " bytes\n";
    return html.find("Gaussian mixture of faithful.csv") != std::string::npos ? 0 : 1;
}
