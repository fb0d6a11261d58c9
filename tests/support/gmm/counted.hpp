// Cases whose kernels the emulator counts: one iteration of a fit, in a process of its own.
#pragma once

#include "kernels/contract/gmm_engine.hpp"
#include "kernels/cuda/gmm/engine.hpp"
#include "kernels/math/fixed_point.hpp"
#include "tests/support/data.hpp"
#include "tests/support/emulator_counters.hpp"
#include "tests/support/gmm/cases.hpp"

#include <stdexcept>
#include <string>
#include <string_view>
#include <vector>

namespace elbo::test {

struct counted_case {
    const char* name;
    kernels::gmm_shape shape;
    std::int64_t rows;
    bool weighted;
    double spread = 1; ///< of the means
};

template <std::size_t N>
const counted_case& named(const counted_case (&cases)[N], std::string_view name) {
    for (const counted_case& c : cases)
        if (name == c.name)
            return c;
    throw std::out_of_range("no case " + std::string(name));
}

/// One E-step and the sums of a case.
inline void run(const counted_case& c) {
    const auto engine = kernels::make_gmm_engine(context::cuda(), c.shape, element_type::float32);
    if (std::string(c.name) == "slab" || std::string(c.name).starts_with("fused"))
        dynamic_cast<kernels::cuda::cuda_engine_base&>(*engine).leave_tensor();
    const std::int64_t d = c.shape.dimensions;
    const std::vector<float> x = as<float>(clustered(c.rows, d, 3, 1.0, 7));
    const std::vector<float> weights(c.weighted ? c.rows : 0, 0.5f);
    kernels::input_rows in{matrix_view<const float>(x.data(), c.rows, d), {}, 1};
    if (c.weighted)
        in.weights = matrix_view<const float>(weights.data(), c.rows, 1);
    engine->reserve(c.rows, c.weighted);
    engine->load(in, identity_frame(d), 0);
    engine->set_parameters(random_parameters(c.shape, c.spread, 3));
    kernels::loop_options options;
    options.max_iterations = 1;
    options.component_bound = options.scalar_bound = 0x1p40;
    options.rule.total_weight = static_cast<double>(c.rows) * (c.weighted ? 0.5 : 1);
    options.rule.lambda.assign(d, 1e-3);
    engine->run(c.rows, options);
}

/// The environment has the name of the case for the process that runs it.
inline constexpr const char* case_variable = "ELBO_COUNTED_CASE";

inline double sums_bytes(const counted_case& c) {
    return 24.0 * static_cast<double>(kernels::sum_count(c.shape));
}

} // namespace elbo::test
