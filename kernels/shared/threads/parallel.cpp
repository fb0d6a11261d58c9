#include "kernels/shared/threads/parallel.hpp"

#include "kernels/shared/threads/crew.hpp"

#include <atomic>
#include <memory>
#include <pthread.h>

namespace elbo::kernels::internal {

namespace {

/// Whether this thread is in a loop: loops in it are its own business.
thread_local bool in_loop = false;

/// Whether oneTBB's threads were left behind in the process that this one was forked from. Its locks may have been held
/// at that moment: it is not touched again, and loops run on the calling thread.
std::atomic<bool> forked = false;

void note_fork() {
    forked.store(true, std::memory_order_relaxed);
}

/// The crew of a calling thread, made when it is first needed.
class crew_owner {
public:
    ~crew_owner() { release(); }
    crew& of(int threads) {
        if (!crew_ || crew_->threads() < threads) {
            static const int registered = pthread_atfork(nullptr, nullptr, note_fork);
            static_cast<void>(registered);
            release();
            crew_ = std::make_unique<crew>(threads);
        }
        return *crew_;
    }

private:
    void release() {
        if (forked.load(std::memory_order_relaxed))
            static_cast<void>(crew_.release()); // nothing of oneTBB can be given back any more
        crew_.reset();
    }
    std::unique_ptr<crew> crew_;
};

/// A crew counts indices in 32 bits.
constexpr std::int64_t most_indices = std::int64_t(1) << 30;

void run_alone(std::int64_t count, loop_body body, const void* work) {
    const loop_mark mark;
    for (std::int64_t i = 0; i < count; ++i)
        body(work, i, 0);
}

} // namespace

void run_loop(int threads, std::int64_t count, loop_body body, const void* work) {
    if (threads < 2 || count < 2 || in_loop || forked.load(std::memory_order_relaxed)) {
        run_alone(count, body, work);
        return;
    }
    thread_local crew_owner owner;
    crew& own = owner.of(threads);
    if (!own.pays()) {
        run_alone(count, body, work);
        return;
    }
    for (std::int64_t first = 0; first < count; first += most_indices) {
        const auto part = static_cast<std::uint32_t>(std::min(most_indices, count - first));
        own.run({body, work, first, part, static_cast<int>(std::min<std::int64_t>(threads, part))});
    }
}

loop_mark::loop_mark() : before_(in_loop) {
    in_loop = true;
}
loop_mark::~loop_mark() {
    in_loop = before_;
}

} // namespace elbo::kernels::internal
