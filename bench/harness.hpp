// What the benchmark programs share, on top of Google Benchmark: the command line, clocks, what the machine can do at
// best, and a check before any timing. A program looks like this:
//
//   int main(int argc, char** argv) {
//       elbo::bench::settings s;
//       std::int64_t batch = 100;
//       return elbo::bench::run_program(argc, argv, s, {{"batch", [&](const std::string& v) { batch = std::stoll(v);
//       }}},
//                                       [&] {
//           elbo::bench::add(s, fmt::format("step/{}", batch), [&s, batch] {
//               // Called once. Makes the data and the engine, and checks a result against the reference back end.
//               elbo::bench::operation o;
//               o.run = [engine = ...] { engine->step(); }; // must have finished when it returns: context::wait()
//               o.error_share = error / bound;              // above 1: not timed, and the program exits with 1
//               o.flop = ...;                               // of one run
//               return o;
//           });
//       });
//   }
//
// Common options, each as --name=value: backend, threads, precision, clock, quick (tests: a tiny size and one short
// repetition), and beside: instead of the benchmark a table of each operation's speed on the idle machine and beside so
// many busy loops (beside.hpp). All options of Google Benchmark work too. Unless given otherwise, repetitions are
// interleaved at random over all benchmarks of the program, and the console shows medians and the like; JSON comes with
// --benchmark_format=json or --benchmark_out=FILE. Google Benchmark appends "/manual_time" to every name: a filter for
// one is --benchmark_filter='^step/100/manual_time$'. Counters in the JSON:
//
//   seconds                  of one run, by the clock chosen
//   error_share_of_bound     what was found by the check
//   gflops                   operation::flop a second
//   share_of_fma             relative to multiply-adds in registers (on a device to its sgemm), of all threads in use
//   share_of_sgemm           relative to the sgemm of the BLAS, which may be slower than the processor
//   gbs, share_of_copy       operation::bytes a second; relative to a copy
//   share_of_floor           (the time that multiply-adds in registers or the copy need, whichever is longer) / seconds
//   and operation::counters.
#pragma once

#include "elbo/context.hpp"
#include "elbo/matrix_view.hpp"

#include <cstdint>
#include <functional>
#include <map>
#include <string>
#include <vector>

namespace elbo::bench {

/// What is counted: time that passes, or processor time of this process, which other programs on the machine do not
/// change (for one thread; waiting threads count too).
enum class clock_kind { wall, cpu };

/// The common options.
struct settings {
    std::string backend = "cpu"; ///< cpu or cuda
    int threads = 0;             ///< of the cpu back end; all that there are by default
    element_type precision = element_type::float32;
    clock_kind clock = clock_kind::wall;
    int beside = 0; ///< busy loops that the speed is measured beside; 0: the usual benchmark
    bool quick = false;
};

/// The context of settings::backend.
context make_context(const settings& s);

/// One thing to be timed.
struct operation {
    std::function<void()> run;
    std::function<void()> prepare = [] {}; ///< before each run, not timed
    double error_share = 0;                ///< largest error found by the check, as a share of its bound
    double flop = 0;                       ///< operations that a run cannot do without, 0 if that is not of interest
    double bytes = 0;                      ///< bytes that a run has to move, likewise
    std::map<std::string, double> counters;
};

/// Registers a benchmark; `make` is called when it runs first. An exception of `make` or an error_share above 1 (or
/// NaN) fails this benchmark and the program.
void add(const settings& s, const std::string& name, std::function<operation()> make);

/// The items of a list.
std::vector<std::string> split(const std::string& list, char separator = ',');

/// Number `index` of a series of standard normal numbers, the same on every machine.
double normal(std::uint64_t index, std::uint32_t series);

using option = std::function<void(const std::string& value)>;

/// Parses the common options and `own`, calls `add_all`, runs what was added, if anything, and returns the status to
/// exit with.
int run_program(int argc, char** argv, settings& s, std::map<std::string, option> own,
                const std::function<void()>& add_all);

} // namespace elbo::bench
