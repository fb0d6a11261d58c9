#include "bench/harness.hpp"

#include "bench/beside.hpp"
#include "bench/machine.hpp"
#include "elbo/blas.hpp"
#include "kernels/math/philox.hpp"
#include "kernels/shared/threads/processors.hpp"

#include <benchmark/benchmark.h>
#include <fmt/format.h>

#include <algorithm>
#include <iostream>
#include <memory>
#include <optional>
#include <sstream>
#include <stdexcept>
#include <vector>

namespace elbo::bench {

namespace {

bool failed = false;

/// Measured once, before the first benchmark.
machine_rates rates;

/// All that were added.
std::vector<named_operation> added;

/// What a benchmark keeps from repetition to repetition.
struct prepared {
    std::function<operation()> make;
    std::optional<operation> made;
    std::string error; ///< why it is not timed
};

void make_once(prepared& p) {
    if (p.made || !p.error.empty())
        return;
    try {
        operation o = p.make();
        if (!(o.error_share <= 1))
            throw std::runtime_error(
                fmt::format("results are off by {:.3g} times their bound: not timed", o.error_share));
        o.prepare(), o.run(); // the first run pays for caches and lazy allocations
        p.made = std::move(o);
    } catch (const std::exception& e) {
        p.error = e.what();
        failed = true;
    }
}

void set_counters(benchmark::State& state, const operation& o, double seconds) {
    state.counters["seconds"] = seconds;
    state.counters["error_share_of_bound"] = o.error_share;
    if (o.flop > 0) {
        state.counters["gflops"] = 1e-9 * o.flop / seconds;
        state.counters["share_of_fma"] = 1e-9 * o.flop / seconds / rates.fma_gflops;
        state.counters["share_of_sgemm"] = 1e-9 * o.flop / seconds / rates.sgemm_gflops;
    }
    if (o.bytes > 0) {
        state.counters["gbs"] = 1e-9 * o.bytes / seconds;
        state.counters["share_of_copy"] = 1e-9 * o.bytes / seconds / rates.copy_gbs;
    }
    if (o.flop > 0 || o.bytes > 0)
        state.counters["share_of_floor"] =
            std::max(1e-9 * o.flop / rates.fma_gflops, 1e-9 * o.bytes / rates.copy_gbs) / seconds;
    for (const auto& [name, value] : o.counters)
        state.counters[name] = value;
}

void run_one(benchmark::State& state, clock_kind clock, prepared& p) {
    make_once(p);
    if (!p.made) {
        state.SkipWithError(p.error.c_str());
        return;
    }
    double total = 0;
    for ([[maybe_unused]] auto _ : state) {
        p.made->prepare();
        const double begin = seconds_now(clock);
        p.made->run();
        const double seconds = seconds_now(clock) - begin;
        state.SetIterationTime(seconds);
        total += seconds;
    }
    set_counters(state, *p.made, total / static_cast<double>(state.iterations()));
}

std::map<std::string, option> common_options(settings& s) {
    const auto one_of = [](const std::string& value, const std::string& first, const std::string& second) {
        if (value != first && value != second)
            throw std::invalid_argument(fmt::format("'{}': expected {} or {}", value, first, second));
        return value == second;
    };
    return {{"backend", [&s, one_of](const std::string& v) { s.backend = one_of(v, "cpu", "cuda") ? "cuda" : "cpu"; }},
            {"threads", [&s](const std::string& v) { s.threads = std::stoi(v); }},
            {"precision",
             [&s, one_of](const std::string& v) {
                 s.precision = one_of(v, "float32", "float64") ? element_type::float64 : element_type::float32;
             }},
            {"clock",
             [&s, one_of](const std::string& v) {
                 s.clock = one_of(v, "wall", "cpu") ? clock_kind::cpu : clock_kind::wall;
             }},
            {"beside",
             [&s](const std::string& v) {
                 s.beside = std::stoi(v);
                 if (s.beside < 0)
                     throw std::invalid_argument(fmt::format("beside = {}: expected a number of busy loops", v));
             }},
            {"quick", [&s](const std::string&) { s.quick = true; }}};
}

/// Takes --name=value from the arguments where `options` has the name; the rest is for Google Benchmark.
std::vector<std::string> parse(int argc, char** argv, const std::map<std::string, option>& options) {
    std::vector<std::string> rest;
    for (int i = 1; i < argc; ++i) {
        const std::string argument = argv[i];
        const std::size_t equals = argument.find('=');
        const auto found = argument.starts_with("--") ? options.find(argument.substr(2, equals - 2)) : options.end();
        if (found == options.end())
            rest.push_back(argument);
        else
            found->second(equals == std::string::npos ? "" : argument.substr(equals + 1));
    }
    return rest;
}

/// Hands the arguments to Google Benchmark, behind defaults that they override.
void initialize(char* program, const settings& s, const std::vector<std::string>& arguments) {
    std::vector<std::string> all{"--benchmark_enable_random_interleaving=true",
                                 "--benchmark_display_aggregates_only=true",
                                 s.quick ? "--benchmark_repetitions=1" : "--benchmark_repetitions=5",
                                 s.quick ? "--benchmark_min_time=0.001" : "--benchmark_min_time=0.5"};
    all.insert(all.end(), arguments.begin(), arguments.end());
    std::vector<char*> pointers{program}; // which Google Benchmark keeps
    for (std::string& argument : all)
        pointers.push_back(argument.data());
    int count = static_cast<int>(pointers.size());
    pointers.push_back(nullptr);
    benchmark::Initialize(&count, pointers.data());
    if (count > 1)
        throw std::invalid_argument(fmt::format("unknown option {}", pointers[1]));
}

void describe(const settings& s) {
    benchmark::AddCustomContext("elbo_device", make_context(s).name());
    benchmark::AddCustomContext("elbo_backend", s.backend);
    benchmark::AddCustomContext("elbo_threads", std::to_string(s.threads));
    benchmark::AddCustomContext("elbo_precision", s.precision == element_type::float32 ? "float32" : "float64");
    benchmark::AddCustomContext("elbo_clock", s.clock == clock_kind::wall ? "wall" : "cpu");
    benchmark::AddCustomContext("fma_gflops", fmt::format("{:.4g}", rates.fma_gflops));
    benchmark::AddCustomContext("fma_instructions", s.backend == "cuda" ? "as sgemm" : fma_instructions());
    const blas_info blas_used = blas();
    benchmark::AddCustomContext("blas", fmt::format("{} {}", blas_used.name, blas_used.core));
    if (!blas_used.advice.empty())
        std::cerr << "elbo: " << blas_used.advice << '\n';
    benchmark::AddCustomContext("sgemm_gflops", fmt::format("{:.4g}", rates.sgemm_gflops));
    benchmark::AddCustomContext("copy_gbs", fmt::format("{:.4g}", rates.copy_gbs));
}

} // namespace

std::vector<std::string> split(const std::string& list, char separator) {
    std::vector<std::string> items;
    std::istringstream stream(list);
    for (std::string item; std::getline(stream, item, separator);)
        items.push_back(item);
    return items;
}

double normal(std::uint64_t index, std::uint32_t series) {
    double a = 0, b = 0;
    kernels::normal_pair(kernels::random_block(1, kernels::random_purpose::sample_noise, index, series), a, b);
    return a;
}

context make_context(const settings& s) {
    return s.backend == "cuda" ? context::cuda() : context::cpu(s.threads);
}

void add(const settings& s, const std::string& name, std::function<operation()> make) {
    added.push_back({name, make});
    const auto p = std::make_shared<prepared>(prepared{std::move(make), {}, {}});
    benchmark::RegisterBenchmark(name.c_str(), [p, clock = s.clock](benchmark::State& state) {
        run_one(state, clock, *p);
    })->UseManualTime();
}

int run_program(int argc, char** argv, settings& s, std::map<std::string, option> own,
                const std::function<void()>& add_all) {
    try {
        s.threads = kernels::default_threads();
        own.merge(common_options(s));
        const std::vector<std::string> rest = parse(argc, argv, own);
        initialize(argv[0], s, rest);
        add_all();
        if (added.empty()) // the program only had something to say
            return 0;
        if (s.beside > 0)
            return run_beside(added, s.beside, s.quick) ? 0 : 1;
        rates = measure_machine(s);
        describe(s);
        if (benchmark::RunSpecifiedBenchmarks() == 0)
            throw std::invalid_argument("no benchmark has such a name");
        benchmark::Shutdown();
    } catch (const std::exception& e) {
        std::cerr << argv[0] << ": " << e.what() << '\n';
        return 1;
    }
    return failed ? 1 : 0;
}

} // namespace elbo::bench
