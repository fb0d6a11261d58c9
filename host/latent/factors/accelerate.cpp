#include "host/latent/factors/accelerate.hpp"

#include <algorithm>
#include <cmath>

namespace elbo::latent {

namespace {

std::vector<double> logarithms(std::vector<double> values) {
    for (double& v : values)
        v = std::log(v);
    return values;
}

} // namespace

void noise_accelerator::restart(const std::vector<double>& noise) {
    before_ = logarithms(noise);
    first_.clear();
}

std::optional<std::vector<double>> noise_accelerator::propose(const std::vector<double>& noise,
                                                              const std::vector<double>& floor) {
    std::vector<double> now = logarithms(noise);
    if (first_.empty()) {
        first_ = std::move(now);
        return std::nullopt;
    }
    double step_square = 0, change_square = 0;
    for (std::size_t i = 0; i < now.size(); ++i) {
        const double step = first_[i] - before_[i], change = now[i] - first_[i] - step;
        step_square += step * step;
        change_square += change * change;
    }
    // α = −1 is where the two steps lead; beyond it the extrapolation begins.
    const double length = change_square > 0 ? std::sqrt(step_square / change_square) : longest_;
    at_bound_ = length >= longest_;
    const double alpha = std::clamp(length, 1.0, longest_);
    std::optional<std::vector<double>> proposal;
    if (alpha > 1) {
        proposal.emplace(now.size());
        for (std::size_t i = 0; i < now.size(); ++i) {
            const double step = first_[i] - before_[i], change = now[i] - first_[i] - step;
            (*proposal)[i] =
                std::max(floor[i % floor.size()], std::exp(before_[i] + 2 * alpha * step + alpha * alpha * change));
        }
    } else if (at_bound_)
        longest_ *= 4;
    before_ = std::move(now);
    first_.clear();
    return proposal;
}

void noise_accelerator::judge(bool taken) {
    if (!taken)
        longest_ = std::max(1.0, longest_ / 4);
    else if (at_bound_)
        longest_ *= 4;
}

} // namespace elbo::latent
