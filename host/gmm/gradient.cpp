#include "elbo/gmm/gradient.hpp"

#include "host/check.hpp"
#include "host/gmm/regularization.hpp"
#include "host/gmm/statistics_state.hpp"
#include "kernels/math/normalize_statistics.hpp"

#include <algorithm>

namespace elbo::gmm {

using namespace kernels;

namespace {

/// Sums in the units of the data: count N_k, first Σ w r (x − μ_k) [d], second Σ w r (x − μ_k)(x − μ_k)ᵀ as its upper
/// triangle, its diagonal or its trace (layout of gmm_layout.hpp).
struct component_sums {
    double count = 0;
    std::vector<double> first, second;
};

/// Kind of second moments: full triangle, diagonal or trace.
family untied(family f) {
    switch (f) {
    case family::tied:
        return family::full;
    case family::tied_diagonal:
        return family::diagonal;
    case family::tied_spherical:
        return family::spherical;
    default:
        return f;
    }
}

/// Calls visit(i, j, position) for every second moment that is kept as a product of two coordinates.
template <class Visit>
void for_each_product(family f, std::int64_t d, Visit visit) {
    for (std::int64_t i = 0; i < d; ++i)
        if (f == family::full)
            for (std::int64_t j = i; j < d; ++j)
                visit(i, j, packed_upper(i, j, d));
        else
            visit(i, i, f == family::diagonal ? i : 0);
}

std::vector<component_sums> component_sums_of(const internal::statistics_state& s) {
    const std::int64_t d = s.shape.dimensions, size = statistics_size(s.shape.family, d);
    std::vector<double> sums(sum_count(s.shape));
    for (std::size_t i = 0; i < sums.size(); ++i)
        sums[i] = s.value(static_cast<std::int64_t>(i));
    normalize_statistics(sums.data(), s.shape);
    std::vector<component_sums> components;
    for (std::int64_t k = 0; k < s.shape.components; ++k) {
        const double* from = &sums[k * size];
        component_sums c{from[0], {from + 1, from + 1 + d}, {from + 1 + d, from + size}};
        for (std::int64_t j = 0; j < d; ++j)
            c.first[j] *= s.frame.scale[j];
        if (s.shape.family == family::spherical)
            c.second[0] *= s.frame.scale[0] * s.frame.scale[0]; // the spherical families have one scale
        else if (!is_tied(s.shape.family))
            for_each_product(s.shape.family, d, [&](std::int64_t i, std::int64_t j, std::int64_t at) {
                c.second[at] *= s.frame.scale[i] * s.frame.scale[j];
            });
        components.push_back(std::move(c));
    }
    return components;
}

/// Σ_k Σ w r (x − μ_k)(x − μ_k)ᵀ of a tied family: Σ w x xᵀ − Σ_k (f_k μ_kᵀ + μ_k f_kᵀ + N_k μ_k μ_kᵀ) with f_k =
/// Σ w r (x − μ_k), all in the frame, where nothing is large, then scaled.
std::vector<double> pooled_second(const internal::statistics_state& s, const std::vector<component_sums>& components) {
    const std::int64_t d = s.shape.dimensions;
    const gmm_parameters p = to_frame(s.under, s.frame);
    std::vector<double> pooled = scatter_values(s.scatter);
    const std::vector<double>& scale = s.frame.scale;
    for (std::int64_t k = 0; k < s.shape.components; ++k) {
        const double* mean = &p.means[k * d];
        const component_sums& c = components[k];
        for_each_product(untied(s.shape.family), d, [&](std::int64_t i, std::int64_t j, std::int64_t at) {
            const double fi = c.first[i] / scale[i], fj = c.first[j] / scale[j];
            pooled[at] -= fi * mean[j] + mean[i] * fj + c.count * mean[i] * mean[j];
        });
    }
    if (s.shape.family == family::tied_spherical)
        pooled[0] *= scale[0] * scale[0];
    else
        for_each_product(untied(s.shape.family), d,
                         [&](std::int64_t i, std::int64_t j, std::int64_t at) { pooled[at] *= scale[i] * scale[j]; });
    return pooled;
}

/// Of Σ w r log N with respect to one factor: N ∂ Σ_i ln U_ii − ½ ∂ tr(Uᵀ Q U), so −(Q U)_ij above the diagonal and
/// N − U_ii (Q U)_ii for ln U_ii.
void set_full_factor(std::int64_t d, double count, const std::vector<double>& q, const double* u, double* out) {
    const auto moment = [&](std::int64_t i, std::int64_t j) {
        return q[packed_upper(std::min(i, j), std::max(i, j), d)];
    };
    for (std::int64_t i = 0; i < d; ++i)
        for (std::int64_t j = i; j < d; ++j) {
            double product = 0;
            for (std::int64_t l = 0; l <= j; ++l)
                product += moment(i, l) * u[l * d + j];
            out[i * d + j] = i == j ? count - u[i * d + i] * product : -product;
        }
}

/// The same for one factor of any family. A spherical factor stands for d equal ones.
void set_factor(family f, std::int64_t d, double count, const std::vector<double>& q, const double* u, double* out) {
    if (f == family::full)
        set_full_factor(d, count, q, u, out);
    else if (f == family::diagonal)
        for (std::int64_t j = 0; j < d; ++j)
            out[j] = count - u[j] * u[j] * q[j];
    else
        out[0] = count * static_cast<double>(d) - u[0] * u[0] * q[0];
}

/// U Uᵀ v.
void precision_times(family f, std::int64_t d, const double* u, const std::vector<double>& v, double* out) {
    if (f != family::full) {
        for (std::int64_t j = 0; j < d; ++j) {
            const double factor = f == family::diagonal ? u[j] : u[0];
            out[j] = factor * factor * v[j];
        }
        return;
    }
    std::vector<double> y(d, 0);
    for (std::int64_t j = 0; j < d; ++j)
        for (std::int64_t i = 0; i <= j; ++i)
            y[j] += u[i * d + j] * v[i];
    for (std::int64_t i = 0; i < d; ++i) {
        out[i] = 0;
        for (std::int64_t j = i; j < d; ++j)
            out[i] += u[i * d + j] * y[j];
    }
}

} // namespace

log_likelihood_gradient gradient(const statistics& statistics) {
    const internal::statistics_state& s = statistics.state();
    expects(s.samples > 0, [] { return std::string("statistics are empty: accumulate data before gradient"); });
    const model& m = s.under;
    const std::int64_t k = m.components(), d = m.dimensions();
    const family kind = untied(m.shape());
    const bool tied = is_tied(m.shape());
    const std::int64_t factor = covariance_size(kind, 1, d);
    const std::vector<component_sums> components = component_sums_of(s);
    const double total = statistics.total_weight();

    log_likelihood_gradient g;
    g.total_log_likelihood = statistics.total_log_likelihood();
    g.logits.resize(k);
    g.means.resize(k * d);
    g.precision_cholesky.assign(m.precision_cholesky().size(), 0);
    for (std::int64_t c = 0; c < k; ++c) {
        const double* u = &m.precision_cholesky()[tied ? 0 : c * factor];
        g.logits[c] = components[c].count - total * m.weights()[c];
        precision_times(kind, d, u, components[c].first, &g.means[c * d]);
        if (!tied)
            set_factor(kind, d, components[c].count, components[c].second, u, &g.precision_cholesky[c * factor]);
    }
    if (tied)
        set_factor(kind, d, total, pooled_second(s, components), m.precision_cholesky().data(),
                   g.precision_cholesky.data());
    return g;
}

log_likelihood_gradient gradient(const context& ctx, const model& m, const data_source& data,
                                 const sample_weights& weights) {
    statistics s(m);
    s.accumulate(ctx, data, weights);
    return gradient(s);
}

} // namespace elbo::gmm
