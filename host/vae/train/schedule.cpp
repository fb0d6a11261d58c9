// Learning rate over time.
#include "elbo/vae/train.hpp"

#include <algorithm>
#include <cmath>
#include <numbers>

namespace elbo::vae {

double schedule::factor(std::int64_t step, std::int64_t steps_per_epoch, std::int64_t total_steps) const {
    double value = 1;
    if (form == kind::steps) {
        const double epoch = static_cast<double>(step) / static_cast<double>(steps_per_epoch);
        const auto passed = std::upper_bound(boundaries.begin(), boundaries.end(), epoch) - boundaries.begin();
        value = passed == 0 ? 1 : factors[passed - 1];
    }
    if (form == kind::cosine) {
        const double last = static_cast<double>(std::max<std::int64_t>(1, total_steps - 1));
        const double done = std::min(1.0, static_cast<double>(step) / last);
        value = final_factor + (1 - final_factor) * 0.5 * (1 + std::cos(std::numbers::pi * done));
    }
    if (step < warm_up_steps)
        value *= static_cast<double>(step + 1) / static_cast<double>(warm_up_steps);
    return value;
}

schedule schedule::burda() {
    schedule s;
    s.form = kind::steps;
    double epochs = 0, length = 1;
    for (int stage = 2; stage <= 8; ++stage, length *= 3) {
        epochs += length;
        s.boundaries.push_back(epochs);
        s.factors.push_back(std::pow(10.0, -(stage - 1) / 7.0));
    }
    return s;
}

} // namespace elbo::vae
