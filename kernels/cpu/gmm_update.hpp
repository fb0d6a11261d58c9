// The M-step of the CPU back end.
#pragma once

#include "kernels/gmm_engine.hpp"
#include "kernels/reference/gmm_engine.hpp"
#include <span>
#include <vector>

namespace elbo::kernels::cpu {

class m_step {
public:
    m_step(const gmm_shape& shape, int threads) : shape_(shape), threads_(threads), reseeds_(shape.components) {}
    void reset_reseeds() { reseeds_.assign(reseeds_.size(), 0); }
    update_outcome run(const gmm_parameters& current, std::span<const double> sums, const update_rule& rule,
                       gmm_parameters& next) {
        return reference::m_step(shape_, current, sums, rule, reseeds_, next);
    }
    static std::int64_t bytes(const gmm_shape&, int) { return 0; }

private:
    gmm_shape shape_;
    int threads_;
    std::vector<std::int32_t> reseeds_;
};

} // namespace elbo::kernels::cpu
