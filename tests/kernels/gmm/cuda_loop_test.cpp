// The EM loop in a CUDA graph against the plain host loop over the same engine: the same kernels in the same order, so
// the same bits.
#include "kernels/cuda/gmm/engine.hpp"
#include "kernels/math/fixed_point.hpp"
#include "tests/support/data.hpp"
#include "tests/support/engine_loop.hpp"
#include "tests/support/gmm/cases.hpp"

#include <gtest/gtest.h>

#include <cstring>

namespace elbo {
namespace {

using namespace kernels;
using gmm::family;

/// An engine with rows, and the options of a fit of them.
struct problem {
    std::unique_ptr<gmm_engine> engine;
    loop_options options;
    gmm_parameters start;
    std::int64_t rows;
};

problem make_problem(const gmm_shape& shape, std::int64_t rows, element_type type) {
    problem p{make_gmm_engine(context::cuda(), shape, type), {}, test::random_parameters(shape, 1.0, 4), rows};
    const std::int64_t d = shape.dimensions;
    const std::vector<double> x = test::clustered(rows, d, shape.components, 2.0, 6);
    p.engine->reserve(rows, false);
    p.engine->load({matrix_view<const double>(x.data(), rows, d), {}, 1}, test::identity_frame(d), 0);
    p.options.max_iterations = 40; // more than a slice
    p.options.tolerance = 0;
    p.options.component_bound = p.options.scalar_bound = 0x1p40;
    p.options.rule.total_weight = static_cast<double>(rows);
    p.options.rule.lambda.assign(d, 1e-6);
    if (gmm::is_tied(shape.family)) {
        fixed_sums scatter(scatter_size(shape), 0x1p40);
        p.engine->accumulate_scatter(0, rows, scatter);
        p.options.rule.scatter = scatter.values();
    }
    return p;
}

/// Everything a loop came to, for comparison to the bit.
struct history {
    std::vector<double> numbers;
    loop_result result;
    bool operator==(const history& other) const {
        return result.stopped == other.result.stopped && result.end.iterations == other.result.end.iterations &&
               numbers.size() == other.numbers.size() &&
               std::memcmp(numbers.data(), other.numbers.data(), numbers.size() * sizeof(double)) == 0;
    }
};

template <class Loop>
history follow(problem& p, Loop loop) {
    history h;
    p.engine->set_parameters(p.start);
    p.options.on_iteration = [&](std::int64_t t, const update_outcome& o) {
        h.numbers.insert(h.numbers.end(),
                         {static_cast<double>(t), o.log_likelihood, o.entropy, o.elbo_after, o.parameter_change});
        for (const gmm::event& e : o.events)
            h.numbers.insert(h.numbers.end(), {static_cast<double>(e.component), static_cast<double>(e.what),
                                               static_cast<double>(e.action)});
        return true;
    };
    h.result = loop(p);
    const gmm_parameters end = p.engine->parameters();
    h.numbers.insert(h.numbers.end(), end.log_weights.begin(), end.log_weights.end());
    h.numbers.insert(h.numbers.end(), end.means.begin(), end.means.end());
    h.numbers.insert(h.numbers.end(), end.precision_cholesky.begin(), end.precision_cholesky.end());
    return h;
}

history in_graph(problem& p) {
    return follow(p, [](problem& q) { return q.engine->run(q.rows, q.options).value(); });
}
history on_host(problem& p) {
    return follow(p, [](problem& q) { return test::host_loop(*q.engine, q.rows, q.options); });
}

TEST(CudaLoop, GraphEqualsHostLoopBitForBit) {
    for (family f : test::all_families)
        for (element_type type : {element_type::float32, element_type::float64}) {
            SCOPED_TRACE(gmm::to_string(f));
            problem p = make_problem({f, 3, 2}, 300, type);
            EXPECT_TRUE(in_graph(p) == on_host(p));
            p.options.tolerance = 1e-2;
            const history converged = in_graph(p);
            EXPECT_EQ(converged.result.stopped, gmm::stop_reason::converged);
            EXPECT_LT(converged.result.end.iterations, 40);
            EXPECT_TRUE(converged == on_host(p));
        }
}

// One block iterates alone, with an update that is compiled for family and dimensions.
TEST(CudaLoop, FewRowsOfEverySmallShape) {
    for (family f : {family::full, family::diagonal, family::spherical})
        for (std::int64_t d : {1, 2, 3, 4})
            for (std::int64_t k : {1, 2, 4, 5, 8}) {
                SCOPED_TRACE(std::string(gmm::to_string(f)) + " " + std::to_string(d) + " x " + std::to_string(k));
                problem p = make_problem({f, d, k}, 129 + 31 * k, element_type::float32);
                p.options.max_iterations = 5;
                EXPECT_TRUE(in_graph(p) == on_host(p));
                if (k > 1)
                    p.start.means[d] = 500; // component 1 gets nothing
                EXPECT_TRUE(in_graph(p) == on_host(p));
            }
}

TEST(CudaLoop, SlabEngineInAGraph) {
    problem p = make_problem({family::full, 8, 700}, 900, element_type::float32);
    p.options.max_iterations = 2;
    EXPECT_TRUE(in_graph(p) == on_host(p));
}

TEST(CudaLoop, EventsComeThrough) {
    problem p = make_problem({family::full, 2, 3}, 200, element_type::float64);
    p.start.means[2] = 500; // component 1 gets nothing
    p.options.max_iterations = 6;
    for (auto policy : {gmm::collapse_policy::reseed, gmm::collapse_policy::drop}) {
        p.options.rule.on_collapse = policy;
        const history h = in_graph(p);
        EXPECT_EQ(h.numbers[5], 1); // the component of the first event
        EXPECT_TRUE(h == on_host(p));
    }
    p.options.rule.on_collapse = gmm::collapse_policy::fail;
    p.engine->set_parameters(p.start);
    const gmm_parameters before = p.engine->parameters();
    p.options.on_iteration = nullptr;
    EXPECT_EQ(p.engine->run(p.rows, p.options)->end.iterations, 1);
    EXPECT_EQ(p.engine->parameters().means, before.means);
}

TEST(CudaLoop, CallbackStopsWithTheParametersOfTheLastEStep) {
    problem p = make_problem({family::full, 2, 2}, 200, element_type::float64);
    p.options.max_iterations = 1000;
    p.engine->set_parameters(p.start);
    double last = 0;
    std::int64_t calls = 0;
    p.options.on_iteration = [&](std::int64_t t, const update_outcome& o) {
        EXPECT_EQ(t, calls);
        last = o.log_likelihood;
        return ++calls < 3;
    };
    const loop_result r = p.engine->run(p.rows, p.options).value();
    EXPECT_EQ(r.stopped, gmm::stop_reason::interrupted);
    EXPECT_EQ(r.end.iterations, calls);
    EXPECT_LE(r.end.iterations, 3 + cuda::slice_iterations);
    p.options.on_iteration = nullptr;
    p.engine->clear_sums(0x1p40, 0x1p40);
    p.engine->accumulate(0, p.rows);
    EXPECT_EQ(p.engine->update(p.options.rule).log_likelihood, last);
}

TEST(CudaLoop, GoesOnFromAPause) {
    problem p = make_problem({family::tied, 3, 2}, 300, element_type::float32);
    const history all = in_graph(p);
    loop_position begin;
    gmm_parameters between;
    p.options.on_pause = [&](const loop_position& done) {
        begin = done;
        between = p.engine->parameters();
    };
    EXPECT_TRUE(in_graph(p) == all);
    ASSERT_EQ(begin.iterations, cuda::slice_iterations);
    p.options.begin = begin;
    p.start = between;
    const history rest = in_graph(p);
    EXPECT_EQ(rest.result.end.iterations, all.result.end.iterations);
    ASSERT_LT(rest.numbers.size(), all.numbers.size());
    EXPECT_TRUE(std::equal(rest.numbers.rbegin(), rest.numbers.rend(), all.numbers.rbegin()));
}

TEST(CudaLoop, ExceptionOfACallbackLeavesTheEngineUsable) {
    problem p = make_problem({family::full, 2, 2}, 200, element_type::float64);
    p.options.on_iteration = [](std::int64_t, const update_outcome&) -> bool { throw 5; };
    p.engine->set_parameters(p.start);
    EXPECT_THROW(p.engine->run(p.rows, p.options), int);
    EXPECT_TRUE(in_graph(p) == on_host(p));
}

} // namespace
} // namespace elbo
