#include "kernels/shared/threads/crew.hpp"

#include <algorithm>
#include <utility>

#if defined(__x86_64__)
#include <immintrin.h>
#endif

namespace elbo::kernels::internal {

namespace {

/// How long a thread looks for work, or for the end of a loop, before it goes to sleep: more than a body of usual
/// length and the serial parts of a training step take, less than it would cost to be woken.
constexpr std::chrono::microseconds patience(30);

using float_seconds = std::chrono::duration<double>;
constexpr float_seconds first_pause(2e-3), longest_pause(0.25);
/// What good loops can be saved up to: one loss of a time slice changes nothing.
constexpr float_seconds largest_balance(4e-3), fresh_balance(1e-3);

constexpr std::uint32_t indices_of(std::uint64_t ticket) {
    return static_cast<std::uint32_t>(ticket);
}
constexpr int members_of(std::uint64_t ticket) {
    return static_cast<int>(ticket >> 32);
}

void relax() {
#if defined(__x86_64__)
    _mm_pause();
#elif defined(__aarch64__)
    asm volatile("yield");
#endif
}

/// Until done() or until patience is at its end; the value of done().
template <class Done>
bool look_for(const Done& done) {
    constexpr int looks_a_time = 16; // between two looks at the clock
    const auto end = std::chrono::steady_clock::now() + patience;
    do
        for (int i = 0; i < looks_a_time; ++i) {
            if (done())
                return true;
            relax();
        }
    while (std::chrono::steady_clock::now() < end);
    return false;
}

} // namespace

void work_board::open(const loop& l) {
    loop_ = l;
    failed_.store(l.count, std::memory_order_relaxed);
    unfinished_.store(l.count, std::memory_order_relaxed);
    // Sequentially consistent, as is what helpers do when they leave: either they see the loop or the caller sees that
    // they are gone.
    ticket_.store(static_cast<std::uint64_t>(l.members) << 32 | l.count, std::memory_order_seq_cst);
}

std::uint32_t work_board::work_as(int member) {
    std::uint32_t done = 0;
    const loop_mark mark;
    std::uint64_t ticket = ticket_.load(std::memory_order_acquire);
    while (indices_of(ticket) > 0 && member < members_of(ticket)) {
        if (!ticket_.compare_exchange_weak(ticket, ticket - 1, std::memory_order_acq_rel, std::memory_order_acquire))
            continue;
        call(loop_.count - indices_of(ticket), member);
        ++done;
        // The caller's own are counted when it waits.
        if (member > 0 && unfinished_.fetch_sub(1, std::memory_order_acq_rel) == 1)
            unfinished_.notify_one();
        ticket = ticket_.load(std::memory_order_acquire);
    }
    return done;
}

void work_board::call(std::uint32_t index, int member) {
    if (index > failed_.load(std::memory_order_relaxed))
        return;
    try {
        loop_.body(loop_.work, loop_.first + index, member);
    } catch (...) {
        note_failure(index);
    }
}

void work_board::note_failure(std::uint32_t index) {
    const std::lock_guard lock(failure_mutex_);
    if (index >= failed_.load(std::memory_order_relaxed))
        return;
    failed_.store(index, std::memory_order_relaxed);
    failure_ = std::current_exception();
}

void work_board::close(std::uint32_t mine) {
    if (unfinished_.fetch_sub(mine, std::memory_order_acq_rel) != mine) {
        const auto is_done = [&] { return unfinished_.load(std::memory_order_acquire) == 0; };
        if (!look_for(is_done))
            for (std::uint32_t left = unfinished_.load(std::memory_order_acquire); left != 0;
                 left = unfinished_.load(std::memory_order_acquire))
                unfinished_.wait(left, std::memory_order_acquire);
    }
    if (failed_.load(std::memory_order_relaxed) < loop_.count)
        std::rethrow_exception(std::exchange(failure_, nullptr));
}

bool work_board::is_missing(int member) {
    std::atomic<bool>& taken = seats_[static_cast<std::size_t>(member)].taken;
    return !taken.load(std::memory_order_seq_cst) && !taken.exchange(true, std::memory_order_seq_cst);
}

bool work_board::has_work_for(int member) const {
    const std::uint64_t ticket = ticket_.load(std::memory_order_seq_cst);
    return indices_of(ticket) > 0 && member < members_of(ticket);
}

bool work_board::find_work(int member) const {
    const auto is_enough = [&] { return has_work_for(member) || dismissed_.load(std::memory_order_relaxed); };
    return look_for(is_enough) && has_work_for(member);
}

void work_board::help(int member) {
    do {
        while (find_work(member))
            work_as(member);
        give_up(member);
        // A loop may have been opened in between, whose caller took this helper for one that is there.
    } while (has_work_for(member) && is_missing(member));
    leave();
}

void work_board::give_up(int member) {
    seats_[static_cast<std::size_t>(member)].taken.store(false, std::memory_order_seq_cst);
}

void work_board::leave() {
    if (keepers_.fetch_sub(1, std::memory_order_acq_rel) == 1)
        delete this;
}

crew::crew(int threads)
    : threads_(threads), board_(new work_board(threads)), helpers_(threads), balance_(fresh_balance),
      next_pause_(first_pause) {}

crew::~crew() {
    board_->dismiss();
    board_->leave();
}

bool crew::pays() {
    if (helpers_.threads() < 2)
        return false;
    if (alone_until_ != clock::time_point() && clock::now() < alone_until_)
        return false;
    alone_until_ = {};
    return true;
}

void crew::run(loop l) {
    l.members = std::min(l.members, helpers_.threads());
    const clock::time_point begin = clock::now();
    board_->open(l);
    for (int member = 1; member < l.members; ++member)
        if (board_->is_missing(member))
            helpers_.send(*board_, member);
    const clock::time_point called = clock::now();
    const std::uint32_t mine = board_->work_as(0);
    const clock::time_point worked = clock::now();
    board_->close(mine);
    const clock::time_point end = clock::now();
    if (mine > 0) // else there is nothing to compare with
        account(seconds(worked - called) * (static_cast<double>(l.count - mine) / mine),
                seconds(called - begin) + seconds(end - worked), end);
}

void crew::account(seconds gained, seconds lost, clock::time_point now) {
    balance_ = std::min(balance_ + gained - lost, largest_balance);
    if (balance_ < seconds(0)) {
        alone_until_ = now + std::chrono::duration_cast<clock::duration>(next_pause_);
        next_pause_ = std::min(2 * next_pause_, longest_pause);
        balance_ = fresh_balance;
    } else if (balance_ == largest_balance) {
        next_pause_ = first_pause;
    }
}

} // namespace elbo::kernels::internal
