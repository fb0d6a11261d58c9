// The steps of EM by themselves.
#include "bench/mixture/prediction.hpp"
#include "bench/mixture/problem.hpp"
#include "elbo/buffer.hpp"
#include "elbo/context.hpp"
#include "kernels/math/fixed_point.hpp"

#include <algorithm>
#include <cmath>
#include <memory>
#include <numeric>
#include <utility>

namespace elbo::bench {

using gmm::family;
using kernels::gmm_engine;

namespace {

std::unique_ptr<gmm_engine> make_engine(const context& ctx, const mixture_case& s) {
    return kernels::make_gmm_engine(ctx, {s.shape, s.dimensions, s.components}, s.common.precision);
}

void load(gmm_engine& e, const mixture_case& s, const problem& p, std::int64_t rows) {
    const kernels::frame frame{std::vector<double>(s.dimensions, 0.0), std::vector<double>(s.dimensions, 1.0)};
    e.reserve(rows, false);
    e.load({matrix_view<const float>(p.x.data(), rows, s.dimensions), {}, 1}, frame, 0);
    e.set_parameters(p.parameters);
}

/// What log-densities and responsibilities may be off: docs/kernels.md section 5 with ‖U‖ = 1 and q up to 4 d + 16.
double bound(const mixture_case& s, const problem& p, std::int64_t rows) {
    double largest = 0;
    for (std::int64_t n = 0; n < rows; ++n) {
        double norm = 0;
        for (std::int64_t j = 0; j < s.dimensions; ++j)
            norm += std::pow(p.x[n * s.dimensions + j], 2);
        largest = std::max(largest, std::sqrt(norm));
    }
    const double d = static_cast<double>(s.dimensions), q = 4 * d + 16;
    const double roundoff = s.common.precision == element_type::float32 ? 0x1p-24 : 0x1p-53;
    // 2⁻²⁴: what may be left out of the active set.
    return 4 * roundoff * (std::sqrt(q) * (largest + s.spread * 2) + d + q) + 0x1p-24;
}

/// Floating point operations that one pass cannot do without (docs/kernels.md section 1), multiplication and addition
/// counted each.
double useful_flop(const mixture_case& s) {
    const double pairs = static_cast<double>(s.rows) * static_cast<double>(s.components);
    const double d = static_cast<double>(s.dimensions), triangle = d * (d + 1) / 2;
    const bool sums = s.operation == "accumulate" || s.operation == "iteration";
    switch (s.shape) {
    case family::full:
        return 2 * pairs * (triangle + d + (sums ? 1 + d + triangle : 0));
    case family::diagonal:
        return 2 * pairs * (2 * d + (sums ? 2 * d : 0));
    case family::tied:
        return 2 * static_cast<double>(s.rows) * triangle + 2 * pairs * (d + (sums ? d : 0));
    default:
        return 2 * pairs * (d + (sums ? d : 0));
    }
}

/// Largest magnitude of a partial sum.
double sums_bound(const mixture_case& s) {
    return 1e4 * static_cast<double>(s.rows * s.dimensions);
}

/// Whether all ‖U_kᵀμ_k‖ allow the dot form: all U_k are the identity.
bool means_are_near(const mixture_case& s, const problem& p) {
    constexpr double limit = kernels::cuda::dot_form_limit;
    for (std::int64_t k = 0; k < s.components; ++k) {
        const double* mean = &p.parameters.means[k * s.dimensions];
        if (std::inner_product(mean, mean + s.dimensions, mean, 0.0) > limit * limit)
            return false;
    }
    return true;
}

/// Σ x̃ x̃ᵀ, which the M-step of the tied families takes.
std::vector<double> scatter_of(gmm_engine& engine, const mixture_case& s) {
    if (!gmm::is_tied(s.shape))
        return {};
    kernels::fixed_sums sums(kernels::scatter_size(engine.shape), sums_bound(s));
    engine.accumulate_scatter(0, s.rows, sums);
    return sums.values();
}

void show(const prediction& expected, operation& o) {
    o.counters["predicted_seconds_low"] = expected.low;
    o.counters["predicted_seconds_high"] = expected.high;
}

} // namespace

double check(const mixture_case& s, const problem& p) {
    const std::int64_t rows = std::min<std::int64_t>(s.rows, 300), k = s.components;
    std::vector<double> density[2], r[2];
    for (int e = 0; e < 2; ++e) {
        const auto engine = make_engine(e == 0 ? context::reference() : make_context(s.common), s);
        load(*engine, s, p, rows);
        density[e].resize(rows), r[e].resize(rows * k);
        engine->infer(0, rows, {{density[e].data(), rows, 1}, {r[e].data(), rows, k}});
    }
    double worst = 0;
    for (std::int64_t n = 0; n < rows; ++n)
        worst = std::max(worst, std::abs(density[0][n] - density[1][n]));
    for (std::int64_t i = 0; i < rows * k; ++i)
        worst = std::max(worst, std::abs(r[0][i] - r[1][i]));
    return worst / bound(s, p, rows);
}

operation engine_operation(const mixture_case& s, const problem& p) {
    const context ctx = make_context(s.common);
    const std::shared_ptr<gmm_engine> engine = make_engine(ctx, s);
    load(*engine, s, p, s.rows);
    kernels::update_rule rule;
    rule.total_weight = static_cast<double>(s.rows);
    rule.lambda.assign(s.dimensions, 1e-6);
    rule.scatter = scatter_of(*engine, s);
    const auto density = std::make_shared<std::vector<double>>(s.rows);
    const auto infer = [=] { engine->infer(0, s.rows, {.log_density = {density->data(), s.rows, 1}}); };
    const auto clear = [=] { engine->clear_sums(sums_bound(s), sums_bound(s)); };
    const auto accumulate = [=] { engine->accumulate(0, s.rows), ctx.wait(); };
    const auto update = [=] { engine->update(rule), ctx.wait(); };
    infer();
    // To where the rows are: a copy to the host is not what is measured.
    const auto results = std::make_shared<buffer<double>>(ctx, s.rows);
    operation o;
    o.counters["mean_log_likelihood"] =
        std::accumulate(density->begin(), density->end(), 0.0) / static_cast<double>(s.rows);
    if (s.operation == "accumulate")
        o.prepare = [=] { clear(), ctx.wait(); }, o.run = accumulate;
    else if (s.operation == "iteration")
        o.run = [=] { clear(), accumulate(), update(); };
    else if (s.operation == "infer")
        o.run = [=] { engine->infer(0, s.rows, {.log_density = results->view(s.rows, 1)}); };
    else
        clear(), accumulate(), o.run = update;
    const std::int64_t element_bytes = s.common.precision == element_type::float32 ? 4 : 8;
    const bool iterates = s.operation == "accumulate" || s.operation == "iteration";
    if (iterates && s.common.backend == "cuda")
        show(predict_spread(engine->shape, s.rows, element_bytes, s.spread, means_are_near(s, p)), o);
    if (s.operation == "update" && s.common.backend == "cuda")
        show(predict_update(engine->shape), o);
    if (s.operation == "infer" && s.common.backend == "cuda")
        if (const auto expected = predict_inference(engine->shape, s.rows, element_bytes, 8))
            show(*expected, o);
    if (s.operation != "update") {
        o.flop = useful_flop(s);
        o.bytes = static_cast<double>(s.rows * s.dimensions * element_bytes);
    }
    return o;
}

operation load_operation(const mixture_case& s, const problem& p) {
    const context ctx = make_context(s.common);
    const std::shared_ptr<gmm_engine> engine = make_engine(ctx, s);
    load(*engine, s, p, s.rows);
    const auto rows = std::make_shared<buffer<float>>(ctx, s.rows * s.dimensions);
    copy<float>(ctx, {p.x.data(), s.rows, s.dimensions}, *rows);
    ctx.wait();
    const kernels::frame frame{std::vector<double>(s.dimensions, 0.5), std::vector<double>(s.dimensions, 2.0)};
    operation o;
    o.run = [=, units = std::make_shared<kernels::unit_summaries>()] {
        const kernels::input_rows in{std::as_const(*rows).view(s.rows, s.dimensions), {}, 1};
        engine->summarize(in, *units);
        engine->load(in, frame, 0);
        ctx.wait();
    };
    if (s.common.backend == "cuda")
        show(predict_load(engine->shape, s.rows, 4), o);
    o.bytes = static_cast<double>(3 * s.rows * s.dimensions * 4); // float32: read twice, written once
    return o;
}

} // namespace elbo::bench
