// The EM loop in plain host code, for engines without a loop of their own and for data that is streamed.
#pragma once

#include "kernels/contract/gmm_engine.hpp"

#include <functional>

namespace elbo::kernels {

/// An M-step: `update` works out the next parameters from the sums, `adopt` makes them the engine's.
struct m_step_actions {
    std::function<update_outcome()> update;
    std::function<void()> adopt;
};

/// EM with `pass` as the E-step over all rows: it calls clear_sums and accumulate (and load, where data is streamed).
/// Throws elbo::error when the policy is `fail` and a component collapses.
loop_result em_loop(const loop_options& options, const std::function<void()>& pass, const m_step_actions& step);

/// The same with the M-step of the engine itself.
loop_result em_loop(gmm_engine& engine, const loop_options& options, const std::function<void()>& pass);

/// em_loop over the resident slots 0 ... rows − 1.
loop_result host_loop(gmm_engine& engine, std::int64_t rows, const loop_options& options);

/// The exception of the policy `fail`: names the component, the iteration and what happened.
[[noreturn]] void throw_collapsed(const gmm::event& e, std::int64_t iteration);

} // namespace elbo::kernels
