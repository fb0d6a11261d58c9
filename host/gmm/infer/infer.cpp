// What a mixture says about rows: functions over data, a session, and samples.
#include "elbo/gmm/infer.hpp"

#include "host/check.hpp"
#include "host/draws.hpp"
#include "host/gmm/infer/infer.hpp"
#include "kernels/contract/backend_table.hpp"
#include "kernels/contract/gmm_layout.hpp"

#include <algorithm>
#include <cblas.h>
#include <cmath>
#include <utility>
#include <vector>

namespace elbo::gmm {

using namespace kernels;

scoring<gmm_engine> make_scoring(const context& ctx, const model& m, element_type type) {
    const frame f = frame_of(m);
    auto engine = make_engine(ctx, {m.shape(), m.dimensions(), m.components()}, compute_precision::automatic, type);
    engine->set_parameters(to_frame(m, f));
    return {std::move(engine), f, m.components() + 2};
}

namespace {

scored_data<gmm_engine> scored(const context& ctx, const model& m, const data_source& data,
                               const sample_labels& labels) {
    return {ctx, data, make_scoring(ctx, m, data.type()), m.dimensions(), labels, m.components()};
}

/// x ← U^-T x for one row, so that ε ~ N(0, I) becomes U^-T ε ~ N(0, Σ).
void colour(const model& m, std::int64_t k, double* x) {
    const std::int64_t d = m.dimensions();
    const family_geometry g = geometry(m.shape());
    const double* u = &m.precision_cholesky()[k * g.stride(d)];
    if (g.matrix())
        cblas_dtrsv(CblasRowMajor, CblasUpper, CblasTrans, CblasNonUnit, static_cast<int>(d), u, static_cast<int>(d), x,
                    1);
    else
        for (std::int64_t j = 0; j < d; ++j)
            x[j] /= u[g.at(j, j, d)];
}

} // namespace

void infer(const context& ctx, const model& m, const data_source& data, bool with_responsibilities,
           const std::function<void(const inference_batch&)>& sink, const sample_labels& labels) {
    scored_data<gmm_engine> all = scored(ctx, m, data, labels);
    const std::int64_t K = m.components(), most = all.most_rows();
    std::vector<double> densities(most), responsibilities(with_responsibilities ? most * K : 0);
    std::vector<std::int32_t> assignment(most);
    double* const r = with_responsibilities ? responsibilities.data() : nullptr;
    all.infer(
        [&](std::int64_t n) {
            return inference_results{{densities.data(), n, 1}, {r, n, K}, {assignment.data(), n, 1}};
        },
        [&](std::int64_t first_row, std::int64_t n) {
            sink({first_row, n, densities.data(), r, assignment.data()});
        });
}

std::vector<double> log_density(const context& ctx, const model& m, const data_source& data,
                                const sample_labels& labels) {
    std::vector<double> result(data.rows());
    scored(ctx, m, data, labels).infer({.log_density = {result.data(), data.rows(), 1}});
    return result;
}

std::vector<double> responsibilities(const context& ctx, const model& m, const data_source& data,
                                     const sample_labels& labels) {
    std::vector<double> result(data.rows() * m.components());
    scored(ctx, m, data, labels).infer({.responsibilities = {result.data(), data.rows(), m.components()}});
    return result;
}

std::vector<std::int32_t> assign(const context& ctx, const model& m, const data_source& data,
                                 const sample_labels& labels) {
    std::vector<std::int32_t> result(data.rows());
    scored(ctx, m, data, labels).infer({.assignment = {result.data(), data.rows(), 1}});
    return result;
}

struct scorer::state {
    context ctx;
    model of;
    scoring<gmm_engine> engine;
    value_check check{};
    std::vector<char> staging{}; ///< of labels in device memory

    void check_labels(const sample_labels& labels, std::int64_t rows) {
        if (labels.empty())
            return;
        const any_matrix_view& all = labels.values();
        check_label_shape(labels, rows, of.components(), "x");
        check_reach(ctx, "labels", all.space);
        if (labels.after)
            labels.after->wait();
        const std::int64_t row_bytes = all.cols * all.element_size();
        for (std::int64_t first = 0; first < rows; first += unit_rows) {
            any_matrix_view some = all.slice(first, std::min(unit_rows, rows - first));
            if (all.space == memory_space::device) {
                staging.resize(std::max<std::size_t>(staging.size(), some.rows * row_bytes));
                elbo::internal::copy_rows(ctx, staging.data(), row_bytes, some.data, all.stride * all.element_size(),
                                          row_bytes, some.rows);
                ctx.wait(); // the host looks at them
                some.data = staging.data();
                some.stride = all.cols;
            }
            for (std::int64_t n = 0; n < some.rows; ++n)
                known_component(labels.what(), some, n, of.components(), first);
        }
    }
};

scorer::scorer(const context& ctx, const model& m, element_type type)
    : state_(new state{ctx, m, make_scoring(ctx, m, type)}) {}
scorer::scorer(scorer&&) noexcept = default;
scorer& scorer::operator=(scorer&&) noexcept = default;
scorer::~scorer() = default;

void scorer::infer(const any_matrix_view& x, const results& to, const sample_labels& labels) {
    state& s = *state_;
    check_input(s.ctx, "x", x, s.of.dimensions(), "the dimensions of the model");
    check_optional(s.ctx, "log_density", to.log_density, x.rows, 1);
    check_optional(s.ctx, "responsibilities", to.responsibilities, x.rows, s.of.components());
    check_optional(s.ctx, "assignment", to.assignment, x.rows, 1);
    s.check(s.ctx, "x", x, &s.engine.engine());
    s.check_labels(labels, x.rows);
    s.engine.infer({x, {}, 1, labels.values(), labels.what()}, {to.log_density, to.responsibilities, to.assignment});
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

// Samples: Philox numbers as a pure function of (seed, row, dimension), so the same everywhere.

sample_result sample(const context&, const model& m, std::int64_t n, std::uint64_t seed) {
    expects("n", n, at_least(0));
    return sample_rows(m, 0, n, seed);
}

sample_result sample_rows(const model& m, std::int64_t first_row, std::int64_t n, std::uint64_t seed) {
    const std::int64_t d = m.dimensions();
    const component_draw draw_component(m.weights());
    sample_result result{std::vector<double>(n * d), std::vector<std::int32_t>(n)};
    for_independent_rows(n, d, [&](std::int64_t i) {
        const std::uint64_t row = first_row + i;
        const std::int64_t k = draw_component(seed, row);
        double* x = &result.x[i * d];
        draw_normals(seed, random_purpose::sample_noise, row, d, x);
        colour(m, k, x);
        for (std::int64_t j = 0; j < d; ++j)
            x[j] += m.means()[k * d + j];
        result.labels[i] = static_cast<std::int32_t>(k);
    });
    return result;
}

// Criteria for choosing a model. W, the sum of the weights, stands for the number of samples, so that an integer weight
// means what a repeated row does.

double bic(const model& m, double total_log_likelihood, double total_weight) {
    return -2 * total_log_likelihood + static_cast<double>(m.parameters()) * std::log(total_weight);
}

double aic(const model& m, double total_log_likelihood) {
    return -2 * total_log_likelihood + 2 * static_cast<double>(m.parameters());
}

double icl(const model& m, double total_log_likelihood, double total_entropy, double total_weight) {
    return bic(m, total_log_likelihood, total_weight) + 2 * total_entropy;
}

} // namespace elbo::gmm
