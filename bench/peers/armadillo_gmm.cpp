// Seconds of EM iterations of Armadillo's diagonal Gaussian mixtures, for bench/peers/compare.py:
//
//   armadillo_gmm FILE ROWS DIMENSIONS COMPONENTS ITERATIONS wall|cpu
//
// FILE holds float32 rows; the first COMPONENTS of them are the start means. Prints seconds an iteration.
#include <armadillo>
#include <cstdlib>
#include <ctime>
#include <fstream>
#include <iostream>
#include <string>
#include <vector>

namespace {

double seconds_now(clockid_t clock) {
    timespec t{};
    clock_gettime(clock, &t);
    return static_cast<double>(t.tv_sec) + 1e-9 * static_cast<double>(t.tv_nsec);
}

double seconds_of(clockid_t clock, const arma::fmat& x, arma::uword components, arma::uword iterations) {
    arma::fgmm_diag model;
    model.reset(x.n_rows, components);
    model.set_params(x.head_cols(components), arma::fmat(x.n_rows, components, arma::fill::ones),
                     arma::frowvec(components, arma::fill::value(1.0f / static_cast<float>(components))));
    const double begin = seconds_now(clock);
    model.learn(x, components, arma::eucl_dist, arma::keep_existing, 0, iterations, 1e-6f, false);
    return seconds_now(clock) - begin;
}

} // namespace

int main(int argc, char** argv) {
    if (argc != 7) {
        std::cerr << "armadillo_gmm: expected FILE ROWS DIMENSIONS COMPONENTS ITERATIONS CLOCK\n";
        return 1;
    }
    const arma::uword rows = std::stoull(argv[2]), dimensions = std::stoull(argv[3]);
    const arma::uword components = std::stoull(argv[4]), iterations = std::stoull(argv[5]);
    arma::fmat x(dimensions, rows);
    std::ifstream file(argv[1], std::ios::binary);
    file.read(reinterpret_cast<char*>(x.memptr()), static_cast<std::streamsize>(x.n_elem * sizeof(float)));
    if (!file) {
        std::cerr << "armadillo_gmm: " << argv[1] << " does not hold that many float32 numbers\n";
        return 1;
    }
    // The difference of two fits leaves out what is done once.
    const clockid_t clock = std::string(argv[6]) == "cpu" ? CLOCK_PROCESS_CPUTIME_ID : CLOCK_MONOTONIC;
    const double one = seconds_of(clock, x, components, 1), many = seconds_of(clock, x, components, 1 + iterations);
    std::cout << (many - one) / static_cast<double>(iterations) << '\n';
}
