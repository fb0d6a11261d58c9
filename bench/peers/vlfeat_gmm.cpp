// EM iterations of VLFeat's Gaussian mixtures, diagonal and in float32 (protocol: native_peer.hpp):
//
//   g++ -std=c++20 -O3 -march=native -fopenmp vlfeat_gmm.cpp -o vlfeat_gmm -lvl
#include "native_peer.hpp"

extern "C" {
#include <vl/gmm.h>
}

#include <memory>

namespace {

using peer::problem;

struct delete_gmm {
    void operator()(VlGMM* gmm) const { vl_gmm_delete(gmm); }
};

/// A model at the start.
std::unique_ptr<VlGMM, delete_gmm> start(const problem& p) {
    if (p.full)
        throw std::runtime_error("VLFeat has diagonal covariances only");
    const auto d = static_cast<vl_size>(p.dimensions), k = static_cast<vl_size>(p.components);
    std::unique_ptr<VlGMM, delete_gmm> gmm(vl_gmm_new(VL_TYPE_FLOAT, d, k));
    const std::vector<float> variances(d * k, 1), weights(k, 1 / static_cast<float>(k));
    vl_gmm_set_means(gmm.get(), p.means.data());
    vl_gmm_set_covariances(gmm.get(), variances.data());
    vl_gmm_set_priors(gmm.get(), weights.data());
    return gmm;
}

double log_likelihood(const problem& p) {
    const auto gmm = start(p);
    std::vector<float> posteriors(static_cast<std::size_t>(p.rows * p.components));
    const double sum = vl_get_gmm_data_posteriors_f(
        posteriors.data(), static_cast<vl_size>(p.components), static_cast<vl_size>(p.rows),
        static_cast<const float*>(vl_gmm_get_priors(gmm.get())), static_cast<const float*>(vl_gmm_get_means(gmm.get())),
        static_cast<vl_size>(p.dimensions), static_cast<const float*>(vl_gmm_get_covariances(gmm.get())), p.x.data());
    return sum / static_cast<double>(p.rows);
}

void fit(const problem& p, std::int64_t iterations) {
    const auto gmm = start(p);
    vl_gmm_set_max_num_iterations(gmm.get(), static_cast<vl_size>(iterations));
    vl_gmm_em(gmm.get(), p.x.data(), static_cast<vl_size>(p.rows));
}

} // namespace

int main(int argc, char** argv) {
    return peer::run(argc, argv, log_likelihood, fit);
}
