// All sums are about the means of the model of the E-step, x̃ − μ̃_k in its frame, so nothing cancels however far the
// data lie from the origin. With n = Σ w r, f = Σ w r (x̃ − μ̃), S = Σ w r (x̃ − μ̃)(x̃ − μ̃)ᵀ and the new mean μ̃' = μ̃ + δ,
// δ = f / n, the sums about μ̃' are exactly
//
//     f' = f − n δ = 0,    S' = S − δ fᵀ − f δᵀ + n δ δᵀ = S − n δ δᵀ,    C = S' / n
//
// so weights, means and C are the whole of the running statistics, in the units of the data and in no frame. The tied
// families have one matrix instead, G = Σ w x̃ x̃ᵀ = C + Σ_k n_k μ̃_k μ̃_kᵀ, for weights that sum to one.
#include "host/gmm/stream/online_moments.hpp"

#include <cmath>

namespace elbo::gmm {

using namespace kernels;

namespace {

/// Calls visit(i, j, element in model::covariances(), position in the packed upper triangle) for each pair i ≤ j of a
/// matrix, each i = j of a diagonal, or once for a spherical family (i = j = 0).
template <class Visit>
void for_each_moment(family f, std::int64_t d, const Visit& visit) {
    const bool matrix = geometry(f).matrix();
    for (std::int64_t i = 0; i < (geometry(f).spherical() ? 1 : d); ++i)
        for (std::int64_t j = i; j < (matrix ? d : i + 1); ++j)
            visit(i, j, matrix ? i * d + j : i, matrix ? packed_upper(i, j, d) : i);
}

/// Σ_k n_k a_ki a_kj over the components, with i = j summed for a spherical family.
double spread_of(const plain_sums& s, const std::vector<double>& means, const std::vector<double>& counts,
                 std::int64_t i, std::int64_t j) {
    const std::int64_t d = s.shape.dimensions;
    double sum = 0;
    for (std::int64_t k = 0; k < s.shape.components; ++k) {
        const double* m = &means[k * d];
        if (s.shape.family != family::tied_spherical)
            sum += counts[k] * m[i] * m[j];
        else
            for (std::int64_t c = 0; c < d; ++c)
                sum += counts[k] * m[c] * m[c];
    }
    return sum;
}

} // namespace

plain_sums blend(const online_state& s, const plain_sums& batch, double rate) {
    const family f = batch.shape.family;
    const std::int64_t d = batch.shape.dimensions, size = statistics_size(f, d);
    const std::vector<double>&weights = s.model.weights(), &scale = batch.frame.scale;
    const double keep = 1 - rate, take = rate / batch.weight(),
                 times = static_cast<double>(
                     geometry(f).repeats(d)); // a spherical family keeps the sum over the dimensions
    plain_sums sums = batch;
    for (double& v : sums.values)
        v *= take;
    for (double& v : sums.scatter)
        v *= take;
    for (std::int64_t k = 0; k < batch.shape.components; ++k)
        sums.values[k * size] += keep * weights[k];
    sums.values[sums.values.size() - scalar_count + scalar_weight] += keep;
    for_each_moment(f, d, [&](std::int64_t i, std::int64_t j, std::int64_t element, std::int64_t packed) {
        const auto normalized = [&](std::int64_t k) { // its covariance in the frame
            const std::int64_t each = geometry(f).size(d);
            return times * s.covariances[k * each + element] / (scale[i] * scale[j]);
        };
        if (is_tied(f))
            sums.scatter[packed] += keep * (normalized(0) + spread_of(batch, batch.under.means, weights, i, j));
        else
            for (std::int64_t k = 0; k < batch.shape.components; ++k)
                sums.values[k * size + 1 + d + packed] += keep * weights[k] * normalized(k);
    });
    return sums;
}

std::vector<double> moments_about(const plain_sums& s, const gmm_parameters& next) {
    const family f = s.shape.family;
    const std::int64_t d = s.shape.dimensions, size = statistics_size(f, d), each = geometry(f).size(d);
    const double times =
        static_cast<double>(geometry(f).repeats(d)); // a spherical family keeps the sum over the dimensions
    std::vector<double> counts;
    std::vector<std::int64_t> left;
    for (std::int64_t k = 0; k < s.shape.components; ++k) {
        counts.push_back(s.values[k * size]);
        if (!std::isinf(next.log_weights[k]))
            left.push_back(k);
    }
    std::vector<double> covariances(covariance_size(f, std::ssize(left), d));
    const auto put = [&](std::int64_t k, std::int64_t i, std::int64_t j, std::int64_t element, double normalized) {
        const double value = normalized * s.frame.scale[i] * s.frame.scale[j] / times;
        covariances[k * each + element] = value;
        if (i != j)
            covariances[k * each + j * d + i] = value;
    };
    for_each_moment(f, d, [&](std::int64_t i, std::int64_t j, std::int64_t element, std::int64_t packed) {
        if (is_tied(f))
            return put(0, i, j, element, s.scatter[packed] - spread_of(s, next.means, counts, i, j));
        for (std::int64_t at = 0; at < std::ssize(left); ++at) {
            const std::int64_t k = left[at];
            const double* first = &s.values[k * size + 1];
            const double n = counts[k];
            double shift = first[i] * first[j];
            if (f == family::spherical) {
                shift = 0;
                for (std::int64_t c = 0; c < d; ++c)
                    shift += first[c] * first[c];
            }
            put(at, i, j, element, first[d + packed] / n - shift / (n * n));
        }
    });
    return covariances;
}

} // namespace elbo::gmm
