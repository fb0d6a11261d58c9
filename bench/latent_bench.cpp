// Times models with continuous latent variables on one back end, after it has checked their log-densities against the
// reference back end:
//
//   latent_bench [--operation=fit|score|posterior,...] [--model=ppca|factor_analysis|factor_mixture|sphere,...]
//                [--rows=N] [--dimensions=D] [--latent=L] [--components=K]
//                [--backend=cpu|cuda] [--threads=T] [--clock=wall|cpu] [--quick] [options of Google Benchmark]
//
// Lists are separated by commas; every combination is one benchmark, OPERATION/MODEL/NxDxL. A fit has 10 iterations
// (ppca also by its eigenvectors: fit_eigen); rows are drawn from a planted model. For the counters see harness.hpp;
// flop counts the products of rows and loadings, two each a pass.
#include "bench/harness.hpp"
#include "elbo/latent/factors.hpp"
#include "elbo/latent/sphere.hpp"

#include <algorithm>
#include <cmath>
#include <fmt/format.h>
#include <memory>
#include <string>
#include <vector>

namespace elbo::bench {

namespace {

struct latent_case {
    settings common;
    std::string operation, model;
    std::int64_t rows, dimensions, latent, components;
};

struct request {
    settings common;
    std::vector<std::string> operations{"fit"}, models{"ppca", "factor_analysis", "factor_mixture", "sphere"};
    std::int64_t rows = 20000, dimensions = 256, latent = 8, components = 4;
};

latent::factor_model planted_factors(const latent_case& s) {
    const bool mixture = s.model == "factor_mixture";
    const std::int64_t k = mixture ? s.components : 1, d = s.dimensions;
    latent::factor_parameters p{latent::factor_kind_from_string(s.model), d, s.latent, {}, {}, {}, {}};
    p.weights.assign(k, 1 / static_cast<double>(k));
    for (std::int64_t i = 0; i < k * d; ++i)
        p.means.push_back(2 * normal(i, 1));
    for (std::int64_t i = 0; i < k * d * s.latent; ++i)
        p.loadings.push_back(normal(i, 2));
    p.noise.assign(s.model == "ppca" ? 1 : d, 0.5);
    return latent::factor_model(p);
}

latent::sphere_model planted_sphere(const latent_case& s) {
    return latent::sphere_model({std::vector<double>(s.dimensions, 1), 10, 0.25});
}

/// Rows of a model, and its log-densities on some of them for the check.
struct problem {
    std::vector<float> x;
    std::function<std::vector<double>(const context&, const data_source&)> log_density;
};

problem make_problem(const latent_case& s) {
    problem p;
    const context reference = context::reference();
    std::vector<double> x;
    if (s.model == "sphere") {
        const latent::sphere_model m = planted_sphere(s);
        x = latent::sample(reference, m, s.rows, 1).x;
        p.log_density = [m](const context& ctx, const data_source& data) { return latent::log_density(ctx, m, data); };
    } else {
        const latent::factor_model m = planted_factors(s);
        x = latent::sample(reference, m, s.rows, 1).x;
        p.log_density = [m](const context& ctx, const data_source& data) { return latent::log_density(ctx, m, data); };
    }
    p.x.assign(x.begin(), x.end());
    return p;
}

/// Largest error of a log-density as a share of its bound: all arithmetic is float64, a density a sum of d + L squares
/// of standardised numbers, at most about d + 10 √d + 100 in all.
double check(const latent_case& s, const problem& p) {
    const std::int64_t rows = std::min<std::int64_t>(s.rows, 300);
    const matrix_view<const float> some(p.x.data(), rows, s.dimensions);
    const std::vector<double> want = p.log_density(context::reference(), some),
                              got = p.log_density(make_context(s.common), some);
    const double d = static_cast<double>(s.dimensions), squares = d + 10 * std::sqrt(d) + 100;
    const double bound = 8 * 0x1p-53 * (d + static_cast<double>(s.latent) + 8) * squares;
    double worst = 0;
    for (std::int64_t n = 0; n < rows; ++n)
        worst = std::max(worst, std::abs(got[n] - want[n]));
    return worst / bound;
}

void run_sphere(const latent_case& s, const context& ctx, const data_source& data) {
    const latent::sphere_model m = planted_sphere(s);
    if (s.operation == "score")
        latent::score(ctx, m, data);
    else if (s.operation == "posterior")
        latent::posterior(ctx, m, data);
    else
        latent::fit(ctx, data, latent::sphere_options{.max_iterations = 10, .tolerance = 0});
}

void run_factors(const latent_case& s, const context& ctx, const data_source& data) {
    const latent::factor_model m = planted_factors(s);
    if (s.operation == "score")
        latent::score(ctx, m, data);
    else if (s.operation == "posterior")
        latent::posterior(ctx, m, data);
    else {
        latent::factor_options o{.kind = m.kind(), .latent = s.latent, .components = m.components()};
        o.start = latent::factor_start::random;
        o.max_iterations = 10, o.tolerance = 0;
        if (s.operation == "fit_eigen")
            o.method = latent::factor_method::eigen, o.max_iterations = 100, o.tolerance = 1e-8;
        latent::fit(ctx, data, o);
    }
}

operation make_operation(const latent_case& s) {
    const auto p = std::make_shared<problem>(make_problem(s));
    operation o;
    o.error_share = check(s, *p);
    o.run = [=, ctx = make_context(s.common)] {
        const matrix_view<const float> rows(p->x.data(), s.rows, s.dimensions);
        (s.model == "sphere" ? run_sphere : run_factors)(s, ctx, rows);
    };
    const double pass = 4.0 * static_cast<double>(s.rows * s.dimensions * s.latent) *
                        static_cast<double>(s.model == "factor_mixture" ? s.components : 1);
    if (s.model != "sphere" && s.operation != "fit_eigen")
        o.flop = s.operation == "fit" ? 10 * pass : pass / 2;
    return o;
}

void add_all(request& r) {
    if (r.common.quick) {
        r.rows = 500, r.dimensions = 6, r.latent = 2, r.components = 2;
        r.operations = {"fit", "fit_eigen", "score", "posterior"};
    }
    for (const std::string& model : r.models)
        for (const std::string& operation : r.operations) {
            if (operation == "fit_eigen" && model != "ppca")
                continue;
            const latent_case s{r.common, operation, model, r.rows, r.dimensions, r.latent, r.components};
            add(r.common, fmt::format("{}/{}/{}x{}x{}", operation, model, r.rows, r.dimensions, r.latent),
                [s] { return make_operation(s); });
        }
}

std::map<std::string, option> own_options(request& r) {
    return {{"operation", [&r](const std::string& v) { r.operations = split(v); }},
            {"model", [&r](const std::string& v) { r.models = split(v); }},
            {"rows", [&r](const std::string& v) { r.rows = std::stoll(v); }},
            {"dimensions", [&r](const std::string& v) { r.dimensions = std::stoll(v); }},
            {"latent", [&r](const std::string& v) { r.latent = std::stoll(v); }},
            {"components", [&r](const std::string& v) { r.components = std::stoll(v); }}};
}

} // namespace

} // namespace elbo::bench

int main(int argc, char** argv) {
    elbo::bench::request r;
    return elbo::bench::run_program(argc, argv, r.common, own_options(r), [&] { add_all(r); });
}
