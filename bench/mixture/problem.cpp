#include "bench/mixture/problem.hpp"

#include "host/draws.hpp"

#include <cmath>

namespace elbo::bench {

using gmm::family;

problem make_problem(const mixture_case& s) {
    problem p;
    const std::int64_t d = s.dimensions, k = s.components;
    p.parameters.log_weights.assign(k, -std::log(static_cast<double>(k)));
    for (std::int64_t i = 0; i < k * d; ++i)
        p.parameters.means.push_back(s.spread / std::sqrt(static_cast<double>(d)) * normal(i, 1));
    p.parameters.precision_cholesky.assign(gmm::covariance_size(s.shape, k, d), 1);
    if (geometry(s.shape).matrix())
        for (std::size_t i = 0; i < p.parameters.precision_cholesky.size(); ++i)
            p.parameters.precision_cholesky[i] = static_cast<std::int64_t>(i) % (d * d) % (d + 1) == 0 ? 1 : 0;
    p.x.resize(s.rows * d);
    for_independent_rows(s.rows, d, [&](std::int64_t n) {
        for (std::int64_t j = 0; j < d; ++j)
            p.x[n * d + j] = static_cast<float>(p.parameters.means[n % k * d + j] + normal(n, 2 + j));
    });
    return p;
}

} // namespace elbo::bench
