// Times the operations of Gaussian mixtures on one back end, after it has checked them against the reference back end:
//
//   mixture_bench [--operation=all|load|accumulate|update|infer|iteration|kmeans|fit|score|...,...]
//                 [--family=full,...] [--spread=S,...]
//                 [--rows=N] [--dimensions=D] [--components=K] [--table] [--predictions] [--export=FOLDER]
//                 [--backend=cpu|cuda] [--threads=T] [--precision=float32|float64] [--clock=wall|cpu] [--quick]
//                 [options of Google Benchmark]
//
// load brings rows of the device into the engine, accumulate, update, infer and iteration are its steps, kmeans is one
// iteration of k-means from the means that the rows were drawn about; the others are calls of the public interface
// (mixture/model_operations.cpp). Lists are separated by commas; every combination is one benchmark,
// OPERATION/FAMILY/NxDxK/spread:S, and all run in random order. --table takes families, sizes and spreads from a list
// for GPUs instead: the shapes of docs/kernels.md section 6, and some that are hard to cut into tiles. --spread is the
// distance of the means in standard deviations of a coordinate times √d: 0.5 overlaps so much that no pair can be left
// out, 16 separates. --export writes the problem of the first spread, for other programs: rows.f32 (float32, N x D) and
// means.f64 (float64, K x D), row-major; the weights are 1/K and the covariances the identity. --predictions measures
// nothing and writes what an iteration of each shape should take on one H200 (mixture/prediction.hpp), as a table. For
// the counters see harness.hpp; mean_log_likelihood is that of the rows under the parameters at the start.
#include "bench/mixture/prediction.hpp"
#include "bench/mixture/problem.hpp"

#include <algorithm>
#include <cstdio>
#include <filesystem>
#include <fmt/format.h>
#include <fstream>
#include <string>
#include <vector>

namespace elbo::bench {

namespace {

using gmm::family;

struct table_row {
    family shape;
    std::int64_t rows, dimensions, components;
    double spread;
};

constexpr table_row table[] = {
    {family::full, 10000000, 2, 8, 0.5},         {family::full, 1000000, 8, 32, 0.5},
    {family::full, 1000000, 16, 64, 0.5},        {family::full, 1000000, 16, 64, 16},
    {family::full, 1000000, 32, 256, 0.5},       {family::full, 1000000, 32, 256, 16},
    {family::full, 1000000, 64, 256, 0.5},       {family::full, 1000000, 64, 256, 16},
    {family::full, 200000, 64, 64, 0.5},         {family::full, 100000, 128, 32, 0.5},
    {family::full, 100000, 784, 10, 16},         {family::diagonal, 1000000, 16, 64, 0.5},
    {family::diagonal, 1000000, 64, 256, 0.5},   {family::diagonal, 1000000, 64, 256, 16},
    {family::diagonal, 100000, 784, 10, 0.5},    {family::spherical, 1000000, 128, 1024, 0.5},
    {family::spherical, 1000000, 128, 1024, 16}, {family::tied, 1000000, 16, 64, 0.5},
    {family::tied, 1000000, 64, 256, 0.5},       {family::full, 272, 2, 2, 4},
    {family::full, 1000000, 24, 100, 0.5},       {family::full, 1000000, 33, 100, 0.5},
    {family::full, 1000000, 40, 100, 0.5},       {family::full, 1000000, 65, 100, 0.5},
    {family::full, 200000, 100, 100, 0.5},       {family::full, 200000, 32, 1000, 0.5},
    {family::full, 100000, 16, 10000, 0.5},      {family::diagonal, 100000, 16, 10000, 0.5},
};

/// What the command line asks for.
struct request {
    settings common;
    std::vector<std::string> operations{"iteration"};
    std::vector<family> families{family::full};
    std::vector<double> spreads{0.5};
    std::int64_t rows = 100000, dimensions = 16, components = 64;
    bool table = false, predictions = false;
    std::string export_folder;
};

std::vector<std::string> all_operations() {
    std::vector<std::string> names = model_operations();
    names.insert(names.end(), {"load", "accumulate", "update", "infer", "iteration", "kmeans"});
    return names;
}

std::map<std::string, option> own_options(request& r) {
    return {{"operation",
             [&r](const std::string& v) {
                 r.operations = split(v);
                 if (v == "all")
                     r.operations = all_operations();
                 for (const std::string& o : r.operations)
                     if (std::ranges::count(all_operations(), o) == 0)
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
            {"table", [&r](const std::string&) { r.table = true; }},
            {"predictions", [&r](const std::string&) { r.predictions = true; }},
            {"export", [&r](const std::string& v) { r.export_folder = v; }}};
}

operation make_operation(const mixture_case& s) {
    problem p = make_problem(s);
    if (s.operation == "kmeans") {
        operation o = kmeans_operation(s, p);
        o.error_share = check_kmeans(s, p);
        return o;
    }
    const double error = check(s, p);
    const bool whole = std::ranges::count(model_operations(), s.operation) > 0;
    operation o = whole                   ? model_operation(s, std::move(p))
                  : s.operation == "load" ? load_operation(s, p)
                                          : engine_operation(s, p);
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

const char* name_of(kernels::cuda::e_step_variant variant) {
    switch (variant) {
        using enum kernels::cuda::e_step_variant;
    case registers:
        return "registers";
    case mma:
        return "mma";
    case fused:
        return "fused";
    case tensor:
        return "tensor";
    case slab:
        return "slab";
    }
    return "";
}

/// The means of spread 0.5 lie near the origin.
void write_predictions(const std::vector<table_row>& shapes, element_type precision) {
    std::printf("| N x d x K | family | spread | variant | predicted, ms |\n| --- | --- | --- | --- | --- |\n");
    const std::int64_t element_bytes = precision == element_type::float32 ? 4 : 8;
    for (const table_row& s : shapes) {
        const kernels::gmm_shape shape{s.shape, s.dimensions, s.components};
        const prediction p = predict_spread(shape, s.rows, element_bytes, s.spread, s.spread < 1);
        const auto variant = kernels::cuda::choose_variant(shape, element_bytes, false, {.tensor = true});
        const bool products = s.spread < 1 && variant == kernels::cuda::e_step_variant::fused &&
                              kernels::cuda::suits_products(shape, element_bytes);
        std::printf("%s\n",
                    fmt::format("| {:g} x {} x {} | {} | {:g} | {} | {:.3g} to {:.3g} |", static_cast<double>(s.rows),
                                s.dimensions, s.components, gmm::to_string(s.shape), s.spread,
                                products ? "products" : name_of(variant), 1e3 * p.low, 1e3 * p.high)
                        .c_str());
    }
}

void add_all(request& r) {
    if (r.common.quick)
        r.rows = 1000, r.dimensions = 3, r.components = 4, r.operations = all_operations();
    std::vector<table_row> shapes;
    if (r.table)
        shapes.assign(std::begin(table), std::end(table));
    else
        for (const double spread : r.spreads)
            for (const family shape : r.families)
                shapes.push_back({shape, r.rows, r.dimensions, r.components, spread});
    if (r.predictions)
        return write_predictions(shapes, r.common.precision);
    std::vector<mixture_case> cases;
    for (const table_row& s : shapes)
        for (const std::string& operation : r.operations)
            cases.push_back({r.common, operation, s.shape, s.spread, s.rows, s.dimensions, s.components});
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
