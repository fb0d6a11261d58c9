// Fisher's identity: the gradient of log p is that of Q(θ') = E_q[log p(x, z | θ')] at θ' = θ, where q is the posterior
// under θ.
#include "elbo/gmm/gradient.hpp"

#include "host/check.hpp"
#include "host/gmm/infer/expected_log_joint.hpp"
#include "host/gmm/stream/statistics_state.hpp"
#include "host/rows/frame.hpp"
#include "host/rows/regularization.hpp"

namespace elbo::gmm {

using namespace kernels;

log_likelihood_gradient gradient(const statistics& statistics) {
    const internal::statistics_state& s = statistics.state();
    expects(s.samples > 0, [] { return std::string("statistics are empty: accumulate data before gradient"); });
    const gmm_parameters at = to_frame(s.under, s.frame);
    const expected_log_joint q(s.shape, at, normalized_sums(s.sums, s.shape), s.scatter.values());
    parameter_gradient g;
    q.at(at, g);
    // Back from the frame: μ = centre + scale μ̃; U_ij = Ũ_ij / scale_i, which leaves d log U_ii as it is.
    const std::int64_t d = s.shape.dimensions;
    const std::vector<double>& scale = s.frame.scale;
    for (std::size_t i = 0; i < g.means.size(); ++i)
        g.means[i] /= scale[i % d];
    if (geometry(s.shape.family).matrix())
        for (std::size_t n = 0; n < g.factors.size(); ++n) {
            const std::int64_t i = static_cast<std::int64_t>(n) / d % d;
            if (static_cast<std::int64_t>(n) % d != i)
                g.factors[n] *= scale[i];
        }
    return {std::move(g.logits), std::move(g.means), std::move(g.factors), statistics.total_log_likelihood()};
}

log_likelihood_gradient gradient(const context& ctx, const model& m, const data_source& data,
                                 const sample_weights& weights, const sample_labels& labels) {
    statistics s(m);
    s.accumulate(ctx, data, weights, labels);
    return gradient(s);
}

} // namespace elbo::gmm
