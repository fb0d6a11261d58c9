// The threads of the loops that one thread calls: itself, and helpers that oneTBB sends. For parallel.cpp alone.
#pragma once

#include "kernels/shared/blas_threads.hpp"
#include "kernels/shared/threads/helper_source.hpp"
#include "kernels/shared/threads/parallel.hpp"

#include <atomic>
#include <chrono>
#include <cstdint>
#include <exception>
#include <mutex>
#include <vector>

namespace elbo::kernels::internal {

/// Marks this thread as one that is in a loop: loops in it run on this thread alone, and so does BLAS.
class loop_mark {
public:
    loop_mark();
    ~loop_mark();
    loop_mark(const loop_mark&) = delete;
    loop_mark& operator=(const loop_mark&) = delete;

private:
    bool before_;
    one_blas_thread one_;
};

/// A call of parallel_for, or a part of a very long one: i from `first` on.
struct loop {
    loop_body body = nullptr;
    const void* work = nullptr;
    std::int64_t first = 0;
    std::uint32_t count = 0;
    int members = 1;
};

/// What a crew shares with its helpers, who may still look at it when the crew is gone: who keeps it last deletes it.
///
/// A helper touches a loop, which lives on the caller's stack, only while it holds an index of it, and the caller stays
/// for as long as one is held. `ticket_` has the members of the loop and the indices that nobody has taken yet; since
/// taking one is one compare-and-swap of both, what a helper takes belongs to the loop of that moment, however long ago
/// it last looked.
class work_board {
public:
    explicit work_board(int threads) : seats_(static_cast<std::size_t>(threads)) {}

    /// Opens a loop: indices can be taken.
    void open(const loop& l);
    /// Takes indices until there are none; returns how many.
    std::uint32_t work_as(int member);
    /// Waits until those that others hold are done. `mine`: how many the caller did. Throws what a call has thrown.
    void close(std::uint32_t mine);

    /// Whether helper `member` has to be sent for; it counts as sent from then on.
    bool is_missing(int member);
    /// What a helper does that was sent, for which the board was kept: work while there is some, look for more for some
    /// microseconds, leave.
    void help(int member);
    /// Where a helper could not be sent.
    void give_up(int member);
    /// No loop comes any more.
    void dismiss() { dismissed_.store(true, std::memory_order_relaxed); }

    void keep() { keepers_.fetch_add(1, std::memory_order_relaxed); }
    void leave();

private:
    struct alignas(64) seat {
        std::atomic<bool> taken = false;
    };
    bool has_work_for(int member) const;
    bool find_work(int member) const;
    void call(std::uint32_t index, int member);
    void note_failure(std::uint32_t index);
    ~work_board() = default;

    alignas(64) std::atomic<std::uint64_t> ticket_ = 0;
    alignas(64) std::atomic<std::uint32_t> unfinished_ = 0;
    alignas(64) loop loop_;
    std::atomic<std::uint32_t> failed_ = 0; ///< smallest index of a call that threw; loop_.count where none did
    std::mutex failure_mutex_;
    std::exception_ptr failure_;
    std::vector<seat> seats_; ///< of helpers; that of member 0 is not used
    std::atomic<bool> dismissed_ = false;
    std::atomic<int> keepers_ = 1;
};

/// The helpers of a calling thread, and whether they are worth it.
///
/// Beside other work a helper may lose its processor while it holds an index, and the caller then waits for it for as
/// long as the scheduler likes, some milliseconds. That pays in a loop of many milliseconds and not in one of some
/// microseconds. So each loop is accounted: what the helpers did, at the caller's own speed, against the time that the
/// caller lost by calling them and by waiting. Where the balance goes below nothing, the next loops are done alone, for
/// 2 ms, and after each trial that fails for twice as long.
class crew {
public:
    explicit crew(int threads);
    ~crew();
    crew(const crew&) = delete;
    crew& operator=(const crew&) = delete;

    int threads() const { return threads_; }
    /// Whether the next loop is to be run here, rather than by the caller alone.
    bool pays();
    /// A loop of l.members, or as many as can be had.
    void run(loop l);

private:
    using clock = std::chrono::steady_clock;
    using seconds = std::chrono::duration<double>;
    void account(seconds gained, seconds lost, clock::time_point now);

    int threads_;
    work_board* board_; // kept by this crew
    helper_source helpers_;
    seconds balance_;
    seconds next_pause_;
    clock::time_point alone_until_{};
};

} // namespace elbo::kernels::internal
