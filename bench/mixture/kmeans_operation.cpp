// One iteration of k-means by itself: labels, then sums and counts of the clusters.
#include "bench/mixture/problem.hpp"
#include "elbo/context.hpp"
#include "kernels/contract/kmeans_engine.hpp"

#include <algorithm>
#include <memory>
#include <vector>

namespace elbo::bench {

namespace {

/// Memory that an engine works on, and its results.
struct state {
    std::vector<double> x, weights, sums, counts;
    std::unique_ptr<kernels::kmeans_engine> engine;
};

state make_state(std::unique_ptr<kernels::kmeans_engine> engine, const mixture_case& s, const problem& p,
                 std::int64_t rows) {
    state t{{p.x.begin(), p.x.begin() + rows * s.dimensions},
            std::vector<double>(rows, 1.0),
            std::vector<double>(s.components * s.dimensions),
            std::vector<double>(s.components),
            std::move(engine)};
    t.engine->load(t.x.data(), t.weights.data(), rows, s.dimensions);
    return t;
}

void iterate(state& t, const problem& p) {
    t.engine->assign(p.parameters.means);
    t.engine->cluster_sums(t.sums, t.counts);
}

} // namespace

double check_kmeans(const mixture_case& s, const problem& p) {
    const std::int64_t rows = std::min<std::int64_t>(s.rows, 10000);
    state want = make_state(kernels::make_kmeans_engine(context::reference()), s, p, rows);
    state is = make_state(kernels::make_kmeans_engine(make_context(s.common)), s, p, rows);
    iterate(want, p), iterate(is, p);
    return want.sums == is.sums && want.counts == is.counts ? 0 : 2; // all back ends compute the same bits
}

operation kmeans_operation(const mixture_case& s, const problem& p) {
    const auto t =
        std::make_shared<state>(make_state(kernels::make_kmeans_engine(make_context(s.common)), s, p, s.rows));
    operation o;
    o.run = [t, p = problem{p.parameters, {}}] { iterate(*t, p); };
    o.flop = 3.0 * static_cast<double>(s.rows * s.dimensions * s.components);
    o.bytes = 8.0 * static_cast<double>(s.rows * s.dimensions);
    return o;
}

} // namespace elbo::bench
