// Loops on several threads. There is no other way to threads in the cpu back end and in the host's own loops.
//
//   parallel_for(threads, count, [&](std::int64_t i, int member) { ... });
//
// The calling thread works, and helpers, which are tasks of oneTBB, join it when they come. All take the next index
// from one counter: who is late or never comes takes less or nothing, and nobody waits for more than the index that
// another holds. A loop after a loop is what a training step is made of; helpers look for the next one for some
// microseconds before they go to sleep.
#pragma once

#include <algorithm>
#include <cstdint>

namespace elbo::kernels {

namespace internal {
using loop_body = void (*)(const void* work, std::int64_t i, int member);
void run_loop(int threads, std::int64_t count, loop_body body, const void* work);
} // namespace internal

/// Calls work(i, member) once for each 0 ≤ i < count, on at most `threads` threads, and returns when all calls have.
/// 0 ≤ member < min(threads, count), and calls that run at the same time differ in it: it names memory of one's own.
/// Which thread gets which i is left open: results must not depend on it. Inside of another loop all calls come from
/// the calling thread with member 0. Indices are begun in order; where calls throw, those of larger i may be left out,
/// and what is thrown on is the exception of the smallest, as without threads.
template <class Work>
void parallel_for(int threads, std::int64_t count, const Work& work) {
    internal::run_loop(
        threads, count, [](const void* w, std::int64_t i, int member) { (*static_cast<const Work*>(w))(i, member); },
        &work);
}

/// Calls work(first, last) for ranges of at most `step` that together are 0 ≤ i < count: for loops whose single bodies
/// are shorter than some microseconds. The ranges do not depend on the threads.
template <class Work>
void parallel_ranges(int threads, std::int64_t count, std::int64_t step, const Work& work) {
    parallel_for(threads, (count + step - 1) / step,
                 [&](std::int64_t part, int) { work(part * step, std::min((part + 1) * step, count)); });
}

} // namespace elbo::kernels
