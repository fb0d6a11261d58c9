// What the programs around C and C++ peers share. Each is called by compare.py as
//
//   PROGRAM FOLDER ROWS DIMENSIONS COMPONENTS full|diagonal ITERATIONS wall|cpu
//
// FOLDER holds what mixture_bench --export writes: rows.f32 and means.f64; the weights are 1/K and the covariances the
// identity at the start. Prints the mean log-likelihood of the rows there, and seconds an iteration.
#pragma once

#include <cstdint>
#include <cstdlib>
#include <ctime>
#include <fstream>
#include <iostream>
#include <stdexcept>
#include <string>
#include <vector>

namespace peer {

struct problem {
    std::int64_t rows = 0, dimensions = 0, components = 0, iterations = 0;
    bool full = false;
    clockid_t clock = CLOCK_MONOTONIC;
    std::vector<float> x;     ///< [rows x dimensions]
    std::vector<float> means; ///< [components x dimensions]
};

template <class T>
std::vector<T> read_numbers(const std::string& path, std::int64_t count) {
    std::vector<T> numbers(static_cast<std::size_t>(count));
    std::ifstream file(path, std::ios::binary);
    if (!file.read(reinterpret_cast<char*>(numbers.data()), static_cast<std::streamsize>(numbers.size() * sizeof(T))))
        throw std::runtime_error(path + " does not hold that many numbers");
    return numbers;
}

inline problem read_problem(int argc, char** argv) {
    if (argc != 8)
        throw std::runtime_error("expected FOLDER ROWS DIMENSIONS COMPONENTS FAMILY ITERATIONS CLOCK");
    problem p;
    p.rows = std::stoll(argv[2]), p.dimensions = std::stoll(argv[3]), p.components = std::stoll(argv[4]);
    p.full = std::string(argv[5]) == "full";
    p.iterations = std::stoll(argv[6]);
    p.clock = std::string(argv[7]) == "cpu" ? CLOCK_PROCESS_CPUTIME_ID : CLOCK_MONOTONIC;
    const std::string folder = argv[1];
    p.x = read_numbers<float>(folder + "/rows.f32", p.rows * p.dimensions);
    const auto means = read_numbers<double>(folder + "/means.f64", p.components * p.dimensions);
    p.means.assign(means.begin(), means.end());
    return p;
}

/// Seconds that fit(iterations) takes.
template <class Fit>
double seconds_of(const problem& p, const Fit& fit, std::int64_t iterations) {
    timespec begin{}, end{};
    clock_gettime(p.clock, &begin);
    fit(iterations);
    clock_gettime(p.clock, &end);
    return static_cast<double>(end.tv_sec - begin.tv_sec) + 1e-9 * static_cast<double>(end.tv_nsec - begin.tv_nsec);
}

/// main() of a peer: log_likelihood(problem) is the mean at the start, fit(problem, iterations) begins there each time.
/// The difference of two fits leaves out what is done once.
template <class LogLikelihood, class Fit>
int run(int argc, char** argv, const LogLikelihood& log_likelihood, const Fit& fit) {
    try {
        const problem p = read_problem(argc, argv);
        std::cout << log_likelihood(p);
        const auto from_start = [&](std::int64_t iterations) { fit(p, iterations); };
        const double one = seconds_of(p, from_start, 1), many = seconds_of(p, from_start, 1 + p.iterations);
        std::cout << ' ' << (many - one) / static_cast<double>(p.iterations) << '\n';
        return 0;
    } catch (const std::exception& e) {
        std::cerr << argv[0] << ": " << e.what() << '\n';
        return 1;
    }
}

} // namespace peer
