// Where the helpers of a crew come from: oneTBB.
#pragma once

#include <memory>

namespace elbo::kernels::internal {

class work_board;

/// An arena of oneTBB of its own: the host program's arenas, limits and observers stay as they are, and count. oneTBB
/// starts no more threads than there are processors and the host program allows, lets them sleep when there is nothing
/// to do, and shares them out among all arenas of the process.
class helper_source {
public:
    /// For loops of so many threads, the caller's included, if oneTBB has as many.
    explicit helper_source(int threads);
    ~helper_source();
    helper_source(const helper_source&) = delete;
    helper_source& operator=(const helper_source&) = delete;

    /// Threads that there can be, the caller's included.
    int threads() const { return threads_; }
    /// Has a thread call board.help(member), some time later. Where that cannot be, the loop does without.
    void send(work_board& board, int member);

private:
    int threads_;
    struct arena; // its header takes long to compile
    std::unique_ptr<arena> arena_;
};

} // namespace elbo::kernels::internal
