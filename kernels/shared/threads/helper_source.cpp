// This file is never compiled for the thread sanitizer, as oneTBB is not: between the two the sanitizer would see
// neither what happens before what. All that is shared with a helper goes through the atomic numbers of work_board.
#include "kernels/shared/threads/helper_source.hpp"

#include "kernels/shared/threads/crew.hpp"
#include "kernels/shared/threads/processors.hpp"

#include <algorithm>
#include <oneapi/tbb/global_control.h>
#include <oneapi/tbb/task_arena.h>

namespace elbo::kernels::internal {

namespace {

/// Of more than it may start oneTBB would complain on the console.
int most_threads() {
    using oneapi::tbb::global_control;
    const std::size_t most = global_control::active_value(global_control::max_allowed_parallelism);
    return std::min(static_cast<int>(std::clamp<std::size_t>(most, 1, 1 << 16)), 1 + helpers_with_room());
}

} // namespace

struct helper_source::arena {
    explicit arena(int threads) : of_tbb(threads, 1) {} // 1: the place of the caller
    oneapi::tbb::task_arena of_tbb;
};

helper_source::helper_source(int threads)
    : threads_(std::min(threads, most_threads())), arena_(std::make_unique<arena>(threads_)) {}
helper_source::~helper_source() = default;

void helper_source::send(work_board& board, int member) {
    board.keep();
    try {
        arena_->of_tbb.enqueue([&board, member] { board.help(member); });
    } catch (...) { // no memory or no thread
        board.give_up(member);
        board.leave();
    }
}

} // namespace elbo::kernels::internal
