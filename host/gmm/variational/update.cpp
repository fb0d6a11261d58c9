// Sums of an E-step, and the q(θ) that they lead to.
#include "elbo/error.hpp"
#include "host/gmm/algebra/factor.hpp"
#include "host/gmm/infer/expected_log_joint.hpp"
#include "host/gmm/variational/distribution.hpp"

#include <algorithm>
#include <fmt/format.h>
#include <numeric>

namespace elbo::gmm::variational {

using namespace kernels;

namespace {

/// out += scale·½(a bᵀ + b aᵀ), its diagonal, or its trace.
void add_outer(structure s, double scale, const double* a, const double* b, std::int64_t d, double* out) {
    for (std::int64_t i = 0; i < d; ++i)
        if (s == structure::full)
            for (std::int64_t j = 0; j < d; ++j)
                out[i * d + j] += 0.5 * scale * (a[i] * b[j] + a[j] * b[i]);
        else
            out[s == structure::diagonal ? i : 0] += scale * a[i] * b[i];
}

/// Second moments as the engines keep them to the layout of `moments`, appended.
void append_matrix(family f, std::int64_t d, const double* packed, std::vector<double>& to) {
    if (structure_of(f) != structure::full) {
        to.insert(to.end(), packed, packed + geometry(f).size(d));
        return;
    }
    for (std::int64_t i = 0; i < d; ++i)
        for (std::int64_t j = 0; j < d; ++j)
            to.push_back(packed[packed_upper(std::min(i, j), std::max(i, j), d)]);
}

std::vector<double> difference(const double* a, const double* b, std::int64_t d) {
    std::vector<double> result(d);
    for (std::int64_t j = 0; j < d; ++j)
        result[j] = a[j] - b[j];
    return result;
}

/// Adds Σ w r (x − m_k)(x − m_k)ᵀ of one component, of tied families less Σ w r x xᵀ, which all components share.
void add_scatter_about(const gmm_shape& shape, const moments& m, std::int64_t k, const double* mean, double* out) {
    const std::int64_t d = shape.dimensions;
    const structure s = structure_of(shape.family);
    const double *first = &m.first[k * d], *centre = &m.centres[k * d];
    if (is_tied(shape.family)) { // Σ w r x = f + N c
        add_outer(s, -2, first, mean, d, out);
        add_outer(s, -2 * m.counts[k], centre, mean, d, out);
        add_outer(s, m.counts[k], mean, mean, d, out);
        return;
    }
    // From c to m, which lie close together where the fit has settled.
    const std::vector<double> step = difference(mean, centre, d);
    const std::int64_t size = geometry(shape.family).size(d);
    for (std::int64_t i = 0; i < size; ++i)
        out[i] += m.second[k * size + i];
    add_outer(s, -2, first, step.data(), d, out);
    add_outer(s, m.counts[k], step.data(), step.data(), d, out);
}

/// E[Λ]⁻¹ = W⁻¹ / ν for every factor, with W⁻¹ = scale + Σ w r (x − m)(x − m)ᵀ + β₀ (m − m₀)(m − m₀)ᵀ.
std::vector<double> expected_covariances(const gmm_shape& shape, const moments& m, const parameters& q) {
    const std::int64_t d = shape.dimensions;
    const structure s = structure_of(shape.family);
    const bool tied = is_tied(shape.family);
    const std::int64_t size = geometry(shape.family).size(d), factors = tied ? 1 : shape.components;
    std::vector<double> result;
    for (std::int64_t at = 0; at < factors; ++at)
        result.insert(result.end(), q.prior.scale->begin(), q.prior.scale->end());
    for (std::int64_t i = 0; tied && i < size; ++i)
        result[i] += m.second[i];
    for (std::int64_t k = 0; k < shape.components; ++k) {
        double* out = &result[tied ? 0 : k * size];
        const double* mean = &q.means[k * d];
        add_scatter_about(shape, m, k, mean, out);
        const std::vector<double> off = difference(mean, q.prior.mean->data(), d);
        add_outer(s, q.prior.mean_precision, off.data(), off.data(), d, out);
    }
    for (std::int64_t i = 0; i < factors * size; ++i)
        result[i] /= q.degrees_of_freedom[i / size];
    return result;
}

/// Factors of E[Λ]. The prior's scale keeps covariances regular unless the rounding of the sums outweighs it.
std::vector<double> precision_factors(const gmm_shape& shape, const parameters& q, std::vector<double> covariances) {
    const auto k = static_cast<double>(shape.components);
    try {
        return model::from_covariances(shape.family, shape.dimensions, std::vector<double>(shape.components, 1 / k),
                                       q.means, std::move(covariances))
            .precision_cholesky();
    } catch (const invalid_argument& e) {
        throw error(fmt::format("{}: the rounding of the sums outweighs the scale of the prior; compute in float64 "
                                "(precision), give a larger prior.scale, or leave nearly constant columns out",
                                e.what()));
    }
}

} // namespace

moments read_moments(const gmm_shape& shape, const fixed_sums& sums, std::vector<double> scatter,
                     std::vector<double> centres, double weight_scale) {
    const std::int64_t d = shape.dimensions, size = statistics_size(shape.family, d);
    std::vector<double> values = normalized_sums(sums, shape);
    for (double& v : values)
        v /= weight_scale;
    for (double& v : scatter)
        v /= weight_scale;
    const double* scalars = &values[shape.components * size];
    moments m;
    m.weight = scalars[scalar_weight];
    m.expected_log_likelihood = scalars[scalar_log_likelihood];
    m.entropy = scalars[scalar_entropy];
    m.log_factors = scalars[scalar_log_factors];
    m.centres = std::move(centres);
    for (std::int64_t k = 0; k < shape.components; ++k) {
        const double* from = &values[k * size];
        m.counts.push_back(from[0]);
        m.first.insert(m.first.end(), from + 1, from + 1 + d);
        if (!is_tied(shape.family))
            append_matrix(shape.family, d, from + 1 + d, m.second);
    }
    if (is_tied(shape.family))
        append_matrix(shape.family, d, scatter.data(), m.second);
    return m;
}

moments in_stick_order(moments m, const gmm_shape& shape, double concentration) {
    const auto gain = [&](const std::vector<double>& counts) {
        return weights_normalizer_gain(weights_model::stick_breaking, concentration,
                                       weights_update(weights_model::stick_breaking, concentration, counts));
    };
    std::vector<std::int64_t> order(m.counts.size());
    std::iota(order.begin(), order.end(), std::int64_t(0));
    std::ranges::stable_sort(order, [&](std::int64_t a, std::int64_t b) { return m.counts[a] > m.counts[b]; });
    moments sorted = m;
    const auto reorder = [&](const std::vector<double>& from, std::int64_t size, std::vector<double>& to) {
        for (std::size_t k = 0; k < order.size(); ++k)
            std::copy_n(from.begin() + order[k] * size, size, to.begin() + static_cast<std::int64_t>(k) * size);
    };
    reorder(m.counts, 1, sorted.counts);
    if (!(gain(sorted.counts) > gain(m.counts)))
        return m;
    reorder(m.centres, shape.dimensions, sorted.centres);
    reorder(m.first, shape.dimensions, sorted.first);
    if (!is_tied(shape.family))
        reorder(m.second, geometry(shape.family).size(shape.dimensions), sorted.second);
    return sorted;
}

parameters update(const gmm_shape& shape, weights_model weights, const variational_prior& prior, const moments& m) {
    const std::int64_t d = shape.dimensions, k = shape.components;
    const auto copies = static_cast<double>(form_of(shape.family, d).copies);
    parameters q{shape.family, d,  weights, prior, weights_update(weights, *prior.concentration, m.counts),
                 {},           {}, {},      {}};
    for (std::int64_t c = 0; c < k; ++c) {
        const double beta = prior.mean_precision + m.counts[c];
        q.mean_precisions.push_back(beta);
        for (std::int64_t at = c * d; at < (c + 1) * d; ++at)
            q.means.push_back(
                (prior.mean_precision * (*prior.mean)[at % d] + m.counts[c] * m.centres[at] + m.first[at]) / beta);
        if (!is_tied(shape.family))
            q.degrees_of_freedom.push_back(*prior.degrees_of_freedom + copies * m.counts[c]);
    }
    if (is_tied(shape.family))
        q.degrees_of_freedom.push_back(*prior.degrees_of_freedom + copies * m.weight);
    q.precision_cholesky = precision_factors(shape, q, expected_covariances(shape, m, q));
    return q;
}

} // namespace elbo::gmm::variational
