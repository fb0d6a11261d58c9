// Times the operations of Gaussian mixtures on one back end, after it has checked them against the reference back end:
//
//   mixture_bench [--operation=accumulate|update|infer|iteration|fit] [--family=full] [--rows=N] [--dimensions=D]
//                 [--components=K] [--backend=cpu|cuda] [--threads=T] [--precision=float32|float64]
//                 [--spread=S] [--seconds=B] [--machine] [--clock=wall|cpu]
//
// --spread is the distance of the means in standard deviations of a coordinate times √d: 0.5 overlaps so much that no
// pair can be left out, 16 separates. With --machine the rates of this machine are measured too and times are compared
// with them. Prints one JSON object. Exits with 1, without a time, if a result is wrong.
#include "bench/harness.hpp"
#include "elbo/context.hpp"
#include "elbo/gmm/fit.hpp"
#include "kernels/gmm_engine.hpp"
#include "kernels/math/fixed_point.hpp"
#include "kernels/math/philox.hpp"

#include <cblas.h>
#include <cmath>
#include <cstdlib>
#include <fmt/format.h>
#include <iostream>
#include <map>
#include <nlohmann/json.hpp>
#include <omp.h>
#include <set>
#include <string>

namespace elbo::bench {

machine_rates measure_machine(clock_kind clock, int threads) {
    machine_rates rates;
    omp_set_num_threads(threads);
    constexpr int n = 1024;
    const std::vector<float> a(n * n, 1.0f), b(n * n, 0.5f);
    std::vector<float> c(n * n);
    const timing gemm = measure(
        clock, [] {},
        [&] {
            cblas_sgemm(CblasRowMajor, CblasNoTrans, CblasNoTrans, n, n, n, 1, a.data(), n, b.data(), n, 0, c.data(),
                        n);
        },
        0.5);
    rates.sgemm_gflops = 2e-9 * n * n * n / gemm.median();
    constexpr std::int64_t bytes = std::int64_t(256) << 20;
    std::vector<char> from(bytes, 1), to(bytes, 2);
    const timing copy = measure(
        clock, [] {},
        [&] {
#pragma omp parallel for num_threads(threads)
            for (int t = 0; t < threads; ++t)
                std::memcpy(&to[bytes / threads * t], &from[bytes / threads * t],
                            static_cast<std::size_t>(bytes / threads));
        },
        0.5);
    rates.copy_gbs = 2e-9 * static_cast<double>(bytes) / copy.median();
    return rates;
}

namespace {

using gmm::family;
using kernels::gmm_engine;

struct settings {
    std::string operation = "iteration";
    family shape = family::full;
    std::int64_t rows = 100000, dimensions = 16, components = 64;
    std::string backend = "cpu";
    int threads = omp_get_max_threads();
    element_type precision = element_type::float32;
    double spread = 0.5, seconds = 1;
    bool machine = false;
    clock_kind clock = clock_kind::wall;
};

settings parse(int argc, char** argv) {
    settings s;
    std::map<std::string, std::function<void(const std::string&)>> options{
        {"operation", [&](const std::string& v) { s.operation = v; }},
        {"family", [&](const std::string& v) { s.shape = gmm::family_from_string(v); }},
        {"rows", [&](const std::string& v) { s.rows = std::stoll(v); }},
        {"dimensions", [&](const std::string& v) { s.dimensions = std::stoll(v); }},
        {"components", [&](const std::string& v) { s.components = std::stoll(v); }},
        {"backend", [&](const std::string& v) { s.backend = v; }},
        {"threads", [&](const std::string& v) { s.threads = std::stoi(v); }},
        {"precision",
         [&](const std::string& v) { s.precision = v == "float64" ? element_type::float64 : element_type::float32; }},
        {"spread", [&](const std::string& v) { s.spread = std::stod(v); }},
        {"seconds", [&](const std::string& v) { s.seconds = std::stod(v); }},
        {"clock", [&](const std::string& v) { s.clock = v == "cpu" ? clock_kind::cpu : clock_kind::wall; }},
        {"machine", [&](const std::string&) { s.machine = true; }}};
    for (int i = 1; i < argc; ++i) {
        const std::string argument = argv[i];
        const std::size_t equals = argument.find('=');
        const auto option = argument.starts_with("--") ? options.find(argument.substr(2, equals - 2)) : options.end();
        if (option == options.end())
            throw std::invalid_argument("unknown option " + argument);
        option->second(equals == std::string::npos ? "" : argument.substr(equals + 1));
    }
    return s;
}

double normal(std::uint64_t index, std::uint32_t item) {
    double a = 0, b = 0;
    kernels::normal_pair(kernels::random_block(1, kernels::random_purpose::sample_noise, index, item), a, b);
    return a;
}

/// A mixture of standard normals and rows drawn from it.
struct problem {
    kernels::gmm_parameters parameters;
    std::vector<float> x;
};

problem make_problem(const settings& s) {
    problem p;
    const std::int64_t d = s.dimensions, k = s.components;
    p.parameters.log_weights.assign(k, -std::log(static_cast<double>(k)));
    for (std::int64_t i = 0; i < k * d; ++i)
        p.parameters.means.push_back(s.spread / std::sqrt(static_cast<double>(d)) * normal(i, 1));
    p.parameters.precision_cholesky.assign(gmm::covariance_size(s.shape, k, d), 1);
    if (s.shape == family::full || s.shape == family::tied)
        for (std::size_t i = 0; i < p.parameters.precision_cholesky.size(); ++i)
            p.parameters.precision_cholesky[i] = static_cast<std::int64_t>(i) % (d * d) % (d + 1) == 0 ? 1 : 0;
    p.x.resize(s.rows * d);
#pragma omp parallel for
    for (std::int64_t n = 0; n < s.rows; ++n)
        for (std::int64_t j = 0; j < d; ++j)
            p.x[n * d + j] = static_cast<float>(p.parameters.means[n % k * d + j] + normal(n, 2 + j));
    return p;
}

std::unique_ptr<gmm_engine> make_engine(const settings& s, const std::string& backend) {
    const kernels::gmm_shape shape{s.shape, s.dimensions, s.components};
    if (backend == "reference")
        return kernels::make_reference_engine(context::reference(), shape);
    if (backend == "cpu")
        return kernels::make_cpu_engine(context::cpu(s.threads), shape, s.precision);
    return kernels::make_cuda_engine(context::cuda(), shape, s.precision);
}

void load(gmm_engine& e, const settings& s, const problem& p, std::int64_t rows) {
    const kernels::frame frame{std::vector<double>(s.dimensions, 0.0), std::vector<double>(s.dimensions, 1.0)};
    e.reserve(rows, false);
    e.load({matrix_view<const float>(p.x.data(), rows, s.dimensions), {}, 1}, frame, 0);
    e.set_parameters(p.parameters);
}

/// What log-densities and responsibilities may be off: kernels.md B5.7 with ‖U‖ = 1 and q up to 4 d + 16.
double bound(const settings& s, const problem& p, std::int64_t rows) {
    double largest = 0;
    for (std::int64_t n = 0; n < rows; ++n) {
        double norm = 0;
        for (std::int64_t j = 0; j < s.dimensions; ++j)
            norm += std::pow(p.x[n * s.dimensions + j], 2);
        largest = std::max(largest, std::sqrt(norm));
    }
    const double d = static_cast<double>(s.dimensions), q = 4 * d + 16;
    const double roundoff = s.precision == element_type::float32 ? 0x1p-24 : 0x1p-53;
    // 2⁻²⁴: what may be left out of the active set.
    return 4 * roundoff * (std::sqrt(q) * (largest + s.spread * 2) + d + q) + 0x1p-24;
}

/// Largest error of log-densities and of Σ_n r_nk against the reference on a few rows, as a share of its bound.
double check(const settings& s, const problem& p) {
    const std::int64_t rows = std::min<std::int64_t>(s.rows, 300), k = s.components;
    std::vector<double> density[2], r[2];
    for (int e = 0; e < 2; ++e) {
        const auto engine = make_engine(s, e == 0 ? "reference" : s.backend);
        load(*engine, s, p, rows);
        density[e].resize(rows), r[e].resize(rows * k);
        engine->infer(0, rows, density[e].data(), r[e].data(), nullptr);
    }
    double worst = 0;
    for (std::int64_t n = 0; n < rows; ++n)
        worst = std::max(worst, std::abs(density[0][n] - density[1][n]));
    for (std::int64_t i = 0; i < rows * k; ++i)
        worst = std::max(worst, std::abs(r[0][i] - r[1][i]));
    return worst / bound(s, p, rows);
}

/// Floating point operations that one pass cannot do without (kernels.md A1), multiplication and addition counted each.
double useful_flop(const settings& s) {
    const double pairs = static_cast<double>(s.rows) * static_cast<double>(s.components);
    const double d = static_cast<double>(s.dimensions), triangle = d * (d + 1) / 2;
    const bool sums = s.operation == "accumulate" || s.operation == "iteration";
    switch (s.shape) {
    case family::full:
        return 2 * pairs * (triangle + d + (sums ? 1 + d + triangle : 0));
    case family::diagonal:
        return 2 * pairs * (2 * d + (sums ? 2 * d : 0));
    case family::tied:
        return 2 * static_cast<double>(s.rows) * triangle + 2 * pairs * (d + (sums ? d : 0));
    default:
        return 2 * pairs * (d + (sums ? d : 0));
    }
}

/// Largest magnitude of a partial sum.
double sums_bound(const settings& s) {
    return 1e4 * static_cast<double>(s.rows * s.dimensions);
}

/// Σ x̃ x̃ᵀ, which the M-step of the tied families takes.
std::vector<double> scatter_of(gmm_engine& engine, const settings& s) {
    const std::int64_t d = s.dimensions;
    if (!gmm::is_tied(s.shape))
        return {};
    const std::int64_t count = s.shape == family::tied ? d * (d + 1) / 2 : s.shape == family::tied_diagonal ? d : 1;
    kernels::fixed_sums sums;
    sums.limbs.assign(kernels::limb_count * count, 0);
    sums.component_exponent = kernels::fixed_exponent(sums_bound(s));
    engine.accumulate_scatter(0, s.rows, sums);
    std::vector<double> scatter;
    for (std::int64_t i = 0; i < count; ++i) {
        const std::int64_t limbs[] = {sums.limbs[i], sums.limbs[count + i], sums.limbs[2 * count + i]};
        scatter.push_back(kernels::join_fixed(limbs, sums.component_exponent));
    }
    return scatter;
}

timing time_engine(const settings& s, const problem& p) {
    const auto engine = make_engine(s, s.backend);
    load(*engine, s, p, s.rows);
    kernels::update_rule rule;
    rule.total_weight = static_cast<double>(s.rows);
    rule.lambda.assign(s.dimensions, 1e-6);
    rule.scatter = scatter_of(*engine, s);
    std::vector<double> density(s.rows);
    const auto nothing = [] {};
    const auto clear = [&] { engine->clear_sums(sums_bound(s), sums_bound(s)); };
    const auto accumulate = [&] { engine->accumulate(0, s.rows); };
    const auto update = [&] { engine->update(rule); };
    if (s.operation == "accumulate")
        return measure(s.clock, clear, accumulate, s.seconds);
    if (s.operation == "iteration")
        return measure(
            s.clock, nothing, [&] { clear(), accumulate(), update(); }, s.seconds);
    if (s.operation == "infer")
        return measure(
            s.clock, nothing, [&] { engine->infer(0, s.rows, density.data(), nullptr, nullptr); }, s.seconds);
    clear(), accumulate();
    return measure(s.clock, nothing, update, s.seconds);
}

/// A whole fit of 20 iterations: summaries, normalisation, k-means++ start, EM.
timing time_fit(const settings& s, const problem& p) {
    gmm::fit_options options;
    options.components = s.components;
    options.shape = s.shape;
    options.start = gmm::start_method::kmeans_plus_plus;
    options.max_iterations = 20;
    options.tolerance = 0;
    options.precision =
        s.precision == element_type::float32 ? gmm::compute_precision::float32 : gmm::compute_precision::float64;
    const context ctx = s.backend == "cpu" ? context::cpu(s.threads) : context::cuda();
    const matrix_view<const float> x(p.x.data(), s.rows, s.dimensions);
    return measure(
        s.clock, [] {}, [&] { gmm::fit(ctx, x, options); }, s.seconds);
}

nlohmann::json run(const settings& s) {
    if (!std::set<std::string>{"accumulate", "update", "infer", "iteration", "fit"}.contains(s.operation))
        throw std::invalid_argument("unknown operation " + s.operation);
    const problem p = make_problem(s);
    const double error = check(s, p);
    if (!(error <= 1))
        throw std::runtime_error(fmt::format("results are off by {:.3g} times their bound: not timed", error));
    const timing t = s.operation == "fit" ? time_fit(s, p) : time_engine(s, p);
    nlohmann::json record{{"operation", s.operation},
                          {"family", gmm::to_string(s.shape)},
                          {"rows", s.rows},
                          {"dimensions", s.dimensions},
                          {"components", s.components},
                          {"backend", s.backend},
                          {"threads", s.threads},
                          {"precision", s.precision == element_type::float32 ? "float32" : "float64"},
                          {"clock", s.clock == clock_kind::wall ? "wall" : "cpu"},
                          {"spread", s.spread},
                          {"error_share_of_bound", error},
                          {"runs", t.runs.size()},
                          {"seconds", t.median()},
                          {"seconds_fastest", t.fastest()},
                          {"relative_spread", t.spread()}};
    if (s.operation == "update" || s.operation == "fit")
        return record;
    const double bytes = static_cast<double>(s.rows * s.dimensions) * (s.precision == element_type::float32 ? 4 : 8);
    record["gflops"] = 1e-9 * useful_flop(s) / t.median();
    record["gbs"] = 1e-9 * bytes / t.median();
    if (!s.machine)
        return record;
    const machine_rates rates = measure_machine(s.clock, s.threads);
    const double floor = std::max(1e-9 * useful_flop(s) / rates.sgemm_gflops, 1e-9 * bytes / rates.copy_gbs);
    record["sgemm_gflops"] = rates.sgemm_gflops;
    record["copy_gbs"] = rates.copy_gbs;
    record["share_of_sgemm"] = record["gflops"].get<double>() / rates.sgemm_gflops;
    record["share_of_copy"] = record["gbs"].get<double>() / rates.copy_gbs;
    record["share_of_floor"] = floor / t.median();
    return record;
}

} // namespace

} // namespace elbo::bench

int main(int argc, char** argv) {
    try {
        std::cout << elbo::bench::run(elbo::bench::parse(argc, argv)).dump(2) << '\n';
    } catch (const std::exception& e) {
        std::cerr << "mixture_bench: " << e.what() << '\n';
        return 1;
    }
}
