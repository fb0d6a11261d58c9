// EM iterations of Armadillo's Gaussian mixtures in float32 (protocol: native_peer.hpp):
//
//   g++ -std=c++20 -O3 -march=native -fopenmp armadillo_gmm.cpp -o armadillo_gmm -larmadillo
#include "native_peer.hpp"

#include <armadillo>

namespace {

using peer::problem;

/// The rows as columns, without a copy.
arma::fmat columns(const std::vector<float>& numbers, const problem& p) {
    return {const_cast<float*>(numbers.data()), static_cast<arma::uword>(p.dimensions),
            numbers.size() / static_cast<std::size_t>(p.dimensions), false, true};
}

arma::frowvec equal_weights(const problem& p) {
    const auto k = static_cast<arma::uword>(p.components);
    return arma::frowvec(k, arma::fill::value(1.0f / static_cast<float>(k)));
}

arma::fgmm_diag start(const problem& p, arma::fgmm_diag model) {
    const arma::fmat means = columns(p.means, p);
    model.reset(means.n_rows, means.n_cols);
    model.set_params(means, arma::fmat(means.n_rows, means.n_cols, arma::fill::ones), equal_weights(p));
    return model;
}

arma::fgmm_full start(const problem& p, arma::fgmm_full model) {
    const arma::fmat means = columns(p.means, p);
    arma::fcube identities(means.n_rows, means.n_rows, means.n_cols);
    identities.each_slice() = arma::fmat(means.n_rows, means.n_rows, arma::fill::eye);
    model.reset(means.n_rows, means.n_cols);
    model.set_params(means, identities, equal_weights(p));
    return model;
}

template <class Model>
double log_likelihood(const problem& p) {
    return start(p, Model()).avg_log_p(columns(p.x, p));
}

template <class Model>
void fit(const problem& p, std::int64_t iterations) {
    Model model = start(p, Model());
    if (!model.learn(columns(p.x, p), static_cast<arma::uword>(p.components), arma::eucl_dist, arma::keep_existing, 0,
                     static_cast<arma::uword>(iterations), 1e-6f, false))
        throw std::runtime_error("Armadillo's fit failed");
}

} // namespace

int main(int argc, char** argv) {
    return peer::run(
        argc, argv,
        [](const problem& p) {
            return p.full ? log_likelihood<arma::fgmm_full>(p) : log_likelihood<arma::fgmm_diag>(p);
        },
        [](const problem& p, std::int64_t iterations) {
            return p.full ? fit<arma::fgmm_full>(p, iterations) : fit<arma::fgmm_diag>(p, iterations);
        });
}
