// What restarts begin with and are judged by, also where they run apart from each other, and what ends them.
#pragma once

#include "elbo/error.hpp"
#include "elbo/gmm/fit.hpp"
#include "host/io/model/fit_checkpoint.hpp"

#include <array>
#include <cstdint>
#include <fmt/format.h>
#include <optional>
#include <string>

namespace elbo::gmm {

/// Seed of one of the restarts of a fit; that of the fit for the first.
constexpr std::uint64_t restart_seed(std::uint64_t seed, std::int64_t restart) {
    return seed + static_cast<std::uint64_t>(restart) * 0x9E3779B97F4A7C15u;
}

/// How one of the restarts begins. The k-means starts of different seeds are often alike; other kinds reach optima that
/// they do not.
constexpr start_method restart_start(start_method asked, std::int64_t restart) {
    constexpr std::array kinds{start_method::kmeans, start_method::kmeans_plus_plus, start_method::samples,
                               start_method::random};
    return asked == start_method::automatic ? kinds[static_cast<std::size_t>(restart) % kinds.size()] : asked;
}

/// restart_start for a result: nothing where a fit began with a model.
template <class Options>
std::optional<start_method> start_of(const Options& options, std::int64_t restart) {
    if (options.start_model)
        return std::nullopt;
    return restart_start(options.start, restart);
}

/// For descriptions of fits: a text that differs where the models do that they start with; empty for none.
inline std::string digest_of(const std::optional<model>& start) {
    return start ? io::digest({start->weights(), start->means(), start->precision_cholesky()}) : "";
}

/// The best of the restarts first ... last − 1 that fit() makes with these options; what they say of checkpoints does
/// not count beside `store`.
fit_result fit_restarts(const context& ctx, const data_source& data, const fit_options& options, std::int64_t first,
                        std::int64_t last, io::checkpoints& store);

/// What a restart is judged by: the log-likelihood, and with a prior log p(θ) beside it, per sample.
inline double restart_objective(const fit_result& r) {
    return r.log_likelihood + r.trace.back().log_prior;
}

/// The exception of the policy `fail`: names the component, the iteration and what happened.
[[noreturn]] inline void throw_collapsed(const event& e, std::int64_t iteration) {
    throw error(
        fmt::format("component {} became {} in iteration {} and the collapse policy is `fail`: use fewer components, "
                    "more regularization, or the policy `reseed` or `drop`",
                    e.component, to_string(e.what), iteration));
}

} // namespace elbo::gmm
