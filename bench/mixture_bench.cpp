// Times the operations of Gaussian mixtures on one back end, after it has checked them against the reference back end:
//
//   mixture_bench [--operation=accumulate|update|infer|iteration|fit,...] [--family=full,...] [--spread=S,...]
//                 [--rows=N] [--dimensions=D] [--components=K] [--export=FOLDER]
//                 [--backend=cpu|cuda] [--threads=T] [--precision=float32|float64] [--clock=wall|cpu] [--quick]
//                 [options of Google Benchmark]
//
// Lists are separated by commas; every combination is one benchmark, OPERATION/FAMILY/NxDxK/spread:S, and all run in
// random order. --spread is the distance of the means in standard deviations of a coordinate times √d: 0.5 overlaps so
// much that no pair can be left out, 16 separates. --export writes the problem of the first spread, for other programs:
// rows.f32 (float32, N x D) and means.f64 (float64, K x D), row-major; the weights are 1/K and the covariances the
// identity. For the counters see harness.hpp; mean_log_likelihood is that of the rows under the parameters at the
// start.
#include "bench/harness.hpp"
#include "elbo/context.hpp"
#include "elbo/gmm/fit.hpp"
#include "kernels/gmm_engine.hpp"
#include "kernels/math/fixed_point.hpp"
#include "kernels/math/philox.hpp"

#include <algorithm>
#include <cmath>
#include <filesystem>
#include <fmt/format.h>
#include <fstream>
#include <memory>
#include <numeric>
#include <set>
#include <sstream>
#include <string>
#include <vector>

namespace elbo::bench {

namespace {

using gmm::family;
using kernels::gmm_engine;

/// What the command line asks for.
struct request {
    settings common;
    std::vector<std::string> operations{"iteration"};
    std::vector<family> families{family::full};
    std::vector<double> spreads{0.5};
    std::int64_t rows = 100000, dimensions = 16, components = 64;
    std::string export_folder;
};

/// One benchmark of it.
struct mixture_case {
    settings common;
    std::string operation;
    family shape;
    double spread;
    std::int64_t rows, dimensions, components;
};

std::vector<std::string> split(const std::string& list) {
    std::vector<std::string> items;
    std::istringstream stream(list);
    for (std::string item; std::getline(stream, item, ',');)
        items.push_back(item);
    return items;
}

std::map<std::string, option> own_options(request& r) {
    return {{"operation",
             [&r](const std::string& v) {
                 r.operations = split(v);
                 for (const std::string& o : r.operations)
                     if (!std::set<std::string>{"accumulate", "update", "infer", "iteration", "fit"}.contains(o))
                         throw std::invalid_argument("unknown operation " + o);
             }},
            {"family",
             [&r](const std::string& v) {
                 r.families.clear();
                 for (const std::string& name : split(v))
                     r.families.push_back(gmm::family_from_string(name));
             }},
            {"spread",
             [&r](const std::string& v) {
                 r.spreads.clear();
                 for (const std::string& number : split(v))
                     r.spreads.push_back(std::stod(number));
             }},
            {"rows", [&r](const std::string& v) { r.rows = std::stoll(v); }},
            {"dimensions", [&r](const std::string& v) { r.dimensions = std::stoll(v); }},
            {"components", [&r](const std::string& v) { r.components = std::stoll(v); }},
            {"export", [&r](const std::string& v) { r.export_folder = v; }}};
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

problem make_problem(const mixture_case& s) {
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

std::unique_ptr<gmm_engine> make_engine(const context& ctx, const mixture_case& s) {
    const kernels::gmm_shape shape{s.shape, s.dimensions, s.components};
    switch (ctx.where()) {
    case backend::reference:
        return kernels::make_reference_engine(ctx, shape);
    case backend::cpu:
        return kernels::make_cpu_engine(ctx, shape, s.common.precision);
    default:
        return kernels::make_cuda_engine(ctx, shape, s.common.precision);
    }
}

void load(gmm_engine& e, const mixture_case& s, const problem& p, std::int64_t rows) {
    const kernels::frame frame{std::vector<double>(s.dimensions, 0.0), std::vector<double>(s.dimensions, 1.0)};
    e.reserve(rows, false);
    e.load({matrix_view<const float>(p.x.data(), rows, s.dimensions), {}, 1}, frame, 0);
    e.set_parameters(p.parameters);
}

/// What log-densities and responsibilities may be off: kernels.md B5.7 with ‖U‖ = 1 and q up to 4 d + 16.
double bound(const mixture_case& s, const problem& p, std::int64_t rows) {
    double largest = 0;
    for (std::int64_t n = 0; n < rows; ++n) {
        double norm = 0;
        for (std::int64_t j = 0; j < s.dimensions; ++j)
            norm += std::pow(p.x[n * s.dimensions + j], 2);
        largest = std::max(largest, std::sqrt(norm));
    }
    const double d = static_cast<double>(s.dimensions), q = 4 * d + 16;
    const double roundoff = s.common.precision == element_type::float32 ? 0x1p-24 : 0x1p-53;
    // 2⁻²⁴: what may be left out of the active set.
    return 4 * roundoff * (std::sqrt(q) * (largest + s.spread * 2) + d + q) + 0x1p-24;
}

/// Largest error of log-densities and responsibilities against the reference on a few rows, as a share of its bound.
double check(const mixture_case& s, const problem& p) {
    const std::int64_t rows = std::min<std::int64_t>(s.rows, 300), k = s.components;
    std::vector<double> density[2], r[2];
    for (int e = 0; e < 2; ++e) {
        const auto engine = make_engine(e == 0 ? context::reference() : make_context(s.common), s);
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
double useful_flop(const mixture_case& s) {
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
double sums_bound(const mixture_case& s) {
    return 1e4 * static_cast<double>(s.rows * s.dimensions);
}

/// Σ x̃ x̃ᵀ, which the M-step of the tied families takes.
std::vector<double> scatter_of(gmm_engine& engine, const mixture_case& s) {
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

/// One step of EM at the parameters that the rows were drawn from, or a part of it.
operation engine_operation(const mixture_case& s, const problem& p) {
    const context ctx = make_context(s.common);
    const std::shared_ptr<gmm_engine> engine = make_engine(ctx, s);
    load(*engine, s, p, s.rows);
    kernels::update_rule rule;
    rule.total_weight = static_cast<double>(s.rows);
    rule.lambda.assign(s.dimensions, 1e-6);
    rule.scatter = scatter_of(*engine, s);
    const auto density = std::make_shared<std::vector<double>>(s.rows);
    const auto infer = [=] { engine->infer(0, s.rows, density->data(), nullptr, nullptr); };
    const auto clear = [=] { engine->clear_sums(sums_bound(s), sums_bound(s)); };
    const auto accumulate = [=] { engine->accumulate(0, s.rows), ctx.wait(); };
    const auto update = [=] { engine->update(rule), ctx.wait(); };
    infer();
    operation o;
    o.counters["mean_log_likelihood"] =
        std::accumulate(density->begin(), density->end(), 0.0) / static_cast<double>(s.rows);
    if (s.operation == "accumulate")
        o.prepare = [=] { clear(), ctx.wait(); }, o.run = accumulate;
    else if (s.operation == "iteration")
        o.run = [=] { clear(), accumulate(), update(); };
    else if (s.operation == "infer")
        o.run = infer;
    else
        clear(), accumulate(), o.run = update;
    if (s.operation != "update") {
        o.flop = useful_flop(s);
        o.bytes = static_cast<double>(s.rows * s.dimensions) * (s.common.precision == element_type::float32 ? 4 : 8);
    }
    return o;
}

/// A whole fit of 20 iterations: summaries, normalisation, k-means++ start, EM.
operation fit_operation(const mixture_case& s, problem p) {
    gmm::fit_options options;
    options.components = s.components;
    options.shape = s.shape;
    options.start = gmm::start_method::kmeans_plus_plus;
    options.max_iterations = 20;
    options.tolerance = 0;
    options.precision =
        s.common.precision == element_type::float32 ? gmm::compute_precision::float32 : gmm::compute_precision::float64;
    operation o;
    o.run = [=, ctx = make_context(s.common), x = std::make_shared<std::vector<float>>(std::move(p.x))] {
        gmm::fit(ctx, matrix_view<const float>(x->data(), s.rows, s.dimensions), options);
    };
    return o;
}

operation make_operation(const mixture_case& s) {
    problem p = make_problem(s);
    const double error = check(s, p);
    operation o = s.operation == "fit" ? fit_operation(s, std::move(p)) : engine_operation(s, p);
    o.error_share = error;
    return o;
}

template <class T>
void write_file(const std::filesystem::path& path, const std::vector<T>& numbers) {
    std::ofstream file(path, std::ios::binary);
    file.write(reinterpret_cast<const char*>(numbers.data()), static_cast<std::streamsize>(numbers.size() * sizeof(T)));
    if (!file.flush())
        throw std::runtime_error("cannot write " + path.string());
}

void export_problem(const mixture_case& s, const std::filesystem::path& folder) {
    const problem p = make_problem(s);
    write_file(folder / "rows.f32", p.x);
    write_file(folder / "means.f64", p.parameters.means);
}

void add_all(request& r) {
    if (r.common.quick)
        r.rows = 1000, r.dimensions = 3, r.components = 4;
    std::vector<mixture_case> cases;
    for (const double spread : r.spreads)
        for (const family shape : r.families)
            for (const std::string& operation : r.operations)
                cases.push_back({r.common, operation, shape, spread, r.rows, r.dimensions, r.components});
    for (const mixture_case& s : cases)
        add(r.common,
            fmt::format("{}/{}/{}x{}x{}/spread:{:g}", s.operation, gmm::to_string(s.shape), s.rows, s.dimensions,
                        s.components, s.spread),
            [s] { return make_operation(s); });
    if (!r.export_folder.empty() && !cases.empty())
        export_problem(cases.front(), r.export_folder);
}

} // namespace

} // namespace elbo::bench

int main(int argc, char** argv) {
    elbo::bench::request r;
    return elbo::bench::run_program(argc, argv, r.common, own_options(r), [&] { add_all(r); });
}
