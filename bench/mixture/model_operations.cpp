// The operations of the public interface, each timed as a user calls it: data in the caller's memory, the model a
// value.
#include "bench/mixture/problem.hpp"
#include "elbo/context.hpp"
#include "elbo/gmm/algebra.hpp"
#include "elbo/gmm/evidence.hpp"
#include "elbo/gmm/fit.hpp"
#include "elbo/gmm/gradient.hpp"
#include "elbo/gmm/infer.hpp"
#include "elbo/gmm/online.hpp"
#include "elbo/gmm/select.hpp"
#include "elbo/gmm/variational.hpp"

#include <algorithm>
#include <functional>
#include <map>
#include <memory>
#include <numeric>

namespace elbo::bench {

namespace {

/// What an operation is made of. It lives as long as the operation.
struct setting {
    mixture_case which;
    problem data;
    context ctx;
    gmm::model model; ///< that the rows were drawn from

    matrix_view<const float> rows() const { return {data.x.data(), which.rows, which.dimensions}; }
    /// Columns 0, 2, 4, ...: what the algebra conditions on, or keeps.
    std::vector<std::int64_t> even_columns() const {
        std::vector<std::int64_t> columns((which.dimensions + 1) / 2);
        for (std::size_t i = 0; i < columns.size(); ++i)
            columns[i] = 2 * static_cast<std::int64_t>(i);
        return columns;
    }
};

gmm::model model_of(const mixture_case& s, const problem& p) {
    return gmm::model::from_precision_cholesky(s.shape, s.dimensions,
                                               std::vector<double>(s.components, 1 / static_cast<double>(s.components)),
                                               p.parameters.means, p.parameters.precision_cholesky);
}

/// 20 iterations: summaries, normalisation, k-means++ start, EM.
gmm::fit_options fit_options_of(const mixture_case& s) {
    gmm::fit_options options;
    options.components = s.components;
    options.shape = s.shape;
    options.start = gmm::start_method::kmeans_plus_plus;
    options.max_iterations = 20;
    options.tolerance = 0;
    options.precision =
        s.common.precision == element_type::float32 ? gmm::compute_precision::float32 : gmm::compute_precision::float64;
    return options;
}

gmm::fit_options with_prior(gmm::fit_options options) {
    options.prior.emplace();
    return options;
}

gmm::fit_options with_gradient(gmm::fit_options options) {
    options.m_step = gmm::m_step_method::gradient;
    return options;
}

/// Every tenth sample has its true label.
gmm::fit_options with_labels(gmm::fit_options options, const mixture_case& s) {
    std::vector<std::int32_t> labels(s.rows, -1);
    for (std::int64_t n = 0; n < s.rows; n += 10)
        labels[n] = static_cast<std::int32_t>(n % s.components);
    options.labels = labels;
    return options;
}

gmm::variational_options variational_options_of(const mixture_case& s) {
    const gmm::fit_options fit = fit_options_of(s);
    gmm::variational_options options;
    options.components = fit.components;
    options.shape = fit.shape;
    options.start = fit.start;
    options.max_iterations = fit.max_iterations;
    options.tolerance = fit.tolerance;
    options.precision = fit.precision;
    return options;
}

/// One number of components and twice as many, five iterations each.
gmm::select_options select_options_of(const mixture_case& s) {
    gmm::select_options options;
    options.components = {s.components, 2 * s.components};
    options.families = {s.shape};
    options.fit = fit_options_of(s);
    options.fit.components = 1;
    options.fit.max_iterations = 5;
    return options;
}

/// One pass of stepwise EM, in batches of 4096 rows.
void stepwise(const setting& s) {
    gmm::online follower(s.model);
    const auto rows = s.rows();
    for (std::int64_t first = 0; first < rows.rows; first += kernels::unit_rows)
        follower.partial_fit(s.ctx, rows.slice(first, std::min(kernels::unit_rows, rows.rows - first)));
}

std::vector<double> identity(std::int64_t d) {
    std::vector<double> matrix(d * d, 0);
    for (std::int64_t i = 0; i < d; ++i)
        matrix[i * d + i] = 1;
    return matrix;
}

using action = std::function<void(const setting&)>;

const std::map<std::string, action>& actions() {
    static const std::map<std::string, action> all{
        {"fit", [](const setting& s) { gmm::fit(s.ctx, s.rows(), fit_options_of(s.which)); }},
        {"fit_map", [](const setting& s) { gmm::fit(s.ctx, s.rows(), with_prior(fit_options_of(s.which))); }},
        {"fit_gradient", [](const setting& s) { gmm::fit(s.ctx, s.rows(), with_gradient(fit_options_of(s.which))); }},
        {"fit_labels",
         [](const setting& s) { gmm::fit(s.ctx, s.rows(), with_labels(fit_options_of(s.which), s.which)); }},
        {"fit_variational",
         [](const setting& s) { gmm::fit_variational(s.ctx, s.rows(), variational_options_of(s.which)); }},
        {"select", [](const setting& s) { gmm::select(s.ctx, s.rows(), select_options_of(s.which)); }},
        {"stepwise", stepwise},
        {"evidence", [](const setting& s) { gmm::evidence(s.ctx, s.model, s.rows()); }},
        {"score", [](const setting& s) { gmm::score(s.ctx, s.model, s.rows()); }},
        {"gradient", [](const setting& s) { gmm::gradient(s.ctx, s.model, s.rows()); }},
        {"marginal", [](const setting& s) { gmm::marginal(s.model, s.even_columns()); }},
        {"conditional",
         [](const setting& s) {
             const auto columns = s.even_columns();
             if (std::ssize(columns) < s.which.dimensions)
                 gmm::conditional(s.model, columns, std::vector<double>(columns.size(), 0.5));
         }},
        {"product",
         [](const setting& s) {
             const std::int64_t d = s.which.dimensions;
             gmm::product(s.model, std::vector<double>(d, 0.5), identity(d));
         }},
        {"affine",
         [](const setting& s) {
             const std::int64_t d = s.which.dimensions;
             gmm::affine(s.model, identity(d), std::vector<double>(d, 1));
         }},
        {"kl_divergence",
         [](const setting& s) { gmm::kl_divergence(s.ctx, s.model, s.model, {.samples = s.which.rows}); }},
        {"kl_variational", [](const setting& s) { gmm::kl_variational(s.model, s.model); }},
    };
    return all;
}

} // namespace

std::vector<std::string> model_operations() {
    std::vector<std::string> names;
    for (const auto& [name, run] : actions())
        names.push_back(name);
    return names;
}

operation model_operation(const mixture_case& s, problem p) {
    gmm::model model = model_of(s, p);
    const auto all = std::make_shared<setting>(setting{s, std::move(p), make_context(s.common), std::move(model)});
    operation o;
    o.run = [all, run = actions().at(s.operation)] { run(*all); };
    return o;
}

} // namespace elbo::bench
