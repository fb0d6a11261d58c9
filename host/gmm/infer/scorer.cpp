// A session of inference with a mixture.
#include "elbo/gmm/infer.hpp"

#include "host/check.hpp"
#include "host/gmm/infer/sample_rows.hpp"
#include "host/gmm/infer/scoring.hpp"
#include "host/result_rows.hpp"
#include "host/rows/row_feed.hpp"

#include <algorithm>

namespace elbo::gmm {

struct scorer::state {
    context ctx;
    model of;
    scoring engine;
    value_check check;
    result_rows<double> log_density, responsibilities;
    result_rows<std::int32_t> assignment;
};

scorer::scorer(const context& ctx, const model& m, element_type type)
    : state_(new state{ctx, m, scoring(ctx, m, type), {}, {}, {}, {}}) {}
scorer::scorer(scorer&&) noexcept = default;
scorer& scorer::operator=(scorer&&) noexcept = default;
scorer::~scorer() = default;

void scorer::infer(const any_matrix_view& x, const results& to) {
    state& s = *state_;
    const std::int64_t n = x.rows, K = s.of.components();
    check_input(s.ctx, "x", x, s.of.dimensions(), "the dimensions of the model");
    check_optional(s.ctx, "log_density", to.log_density, n, 1);
    check_optional(s.ctx, "responsibilities", to.responsibilities, n, K);
    check_optional(s.ctx, "assignment", to.assignment, n, 1);
    s.check(s.ctx, "x", x, &s.engine.engine());
    const std::int64_t step = streamed_batch_rows(x.cols, x.type);
    s.engine.reserve(std::min(n, step));
    for (std::int64_t first = 0; first < n; first += step) {
        const std::int64_t rows = std::min(step, n - first);
        s.engine.infer({x.slice(first, rows), {}, 1}, s.log_density.place(to.log_density, first, rows, 1),
                       s.responsibilities.place(to.responsibilities, first, rows, K),
                       s.assignment.place(to.assignment, first, rows, 1));
        s.log_density.deliver(s.ctx);
        s.responsibilities.deliver(s.ctx);
        s.assignment.deliver(s.ctx);
        s.ctx.wait(); // memory on the way to a device is used again
    }
}

void scorer::sample(std::int64_t first, std::uint64_t seed, matrix_view<double> x, matrix_view<std::int32_t> labels) {
    state& s = *state_;
    expects("first", first, at_least(0));
    check_result(s.ctx, "x", x, x.rows, s.of.dimensions());
    check_optional(s.ctx, "labels", labels, x.rows, 1);
    const sample_result drawn = sample_rows(s.of, first, x.rows, seed);
    deliver(s.ctx, drawn.x, x);
    deliver(s.ctx, drawn.labels, labels);
}

} // namespace elbo::gmm
