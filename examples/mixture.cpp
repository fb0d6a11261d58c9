// Fits a mixture to a file and uses it. The README and docs/cpp.md show the parts between the markers.
//   mixture tests/data/faithful.csv
// [headers]
#include <elbo/data_source.hpp>
#include <elbo/gmm/fit.hpp>
#include <elbo/gmm/infer.hpp>
// [headers end]

#include <cmath>
#include <iostream>

int main(int argc, char** argv) {
    const char* path = argc > 1 ? argv[1] : "faithful.csv";
    // [fit]
    elbo::context ctx = elbo::context::best(); // a GPU if there is one, else the CPU
    elbo::data_source data = elbo::data_source::file(path, {.columns = {"eruptions", "waiting"}});

    elbo::gmm::fit_result fit = elbo::gmm::fit(ctx, data, {.components = 2, .seed = 7});
    std::cout << fit.log_likelihood << " nats per sample, " << to_string(fit.stopped) << '\n';

    std::vector<int> component = elbo::gmm::assign(ctx, fit.model, data);
    elbo::gmm::save(fit.model, "model.safetensors", data.column_names());
    // [fit end]

    // [use]
    elbo::gmm::model model = elbo::gmm::load("model.safetensors");
    elbo::gmm::score_result score = elbo::gmm::score(ctx, model, data);
    std::vector<double> log_density = elbo::gmm::log_density(ctx, model, data);    // [n]
    std::vector<double> posterior = elbo::gmm::responsibilities(ctx, model, data); // [n x k]
    elbo::gmm::sample_result drawn = elbo::gmm::sample(ctx, model, 1000, 1);       // 1000 rows, seed 1
    std::cout << "BIC " << score.bic << ", first log p(x) " << log_density[0] << '\n';
    // [use end]

    // [progress]
    elbo::gmm::fit_options options;
    options.components = 3;
    options.restarts = 10;
    options.callback = [](const elbo::gmm::progress& now) {
        std::cout << now.restart << ' ' << now.record.iteration << ' ' << now.record.log_likelihood << '\n';
        return now.record.iteration < 1000; // false stops the fit; the best model so far is returned
    };
    elbo::gmm::fit_result best = elbo::gmm::fit(ctx, data, options);
    // [progress end]

    const bool right = std::abs(fit.total_log_likelihood + 1130.263960) < 1e-3 && component.size() == 272 &&
                       posterior.size() == 544 && drawn.x.size() == 2000 && best.log_likelihood > fit.log_likelihood;
    return right ? 0 : 1;
}
