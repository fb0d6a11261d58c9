// Loops on several threads: every index once, exceptions, loops in loops and side by side, sleep, and fork; and how
// many threads there are: affinity, control groups, OMP_NUM_THREADS.
#include "elbo/gmm/fit.hpp"
#include "kernels/shared/blas_threads.hpp"
#include "kernels/shared/threads/parallel.hpp"
#include "kernels/shared/threads/processors.hpp"
#include "tests/support/child.hpp"
#include "tests/support/sanitizers.hpp"

#include <algorithm>
#include <atomic>
#include <chrono>
#include <cmath>
#include <ctime>
#include <gtest/gtest.h>
#include <oneapi/tbb/global_control.h>
#include <stdexcept>
#include <string>
#include <thread>
#include <vector>

extern "C" {
[[gnu::weak]] int openblas_get_num_threads();
}

namespace elbo {

namespace {

using namespace kernels;

/// Work for some nanoseconds a round.
double chew(std::int64_t rounds) {
    volatile double value = 1; // so that a compiler keeps it
    for (std::int64_t i = 0; i < rounds; ++i)
        value = value * 0.999 + 1e-3;
    return value;
}

/// Calls per index of a loop, and whether two calls at once had the same member or one out of range.
struct loop_record {
    std::vector<std::atomic<int>> calls;
    std::vector<std::atomic<int>> inside;
    std::atomic<bool> bad_member = false;

    loop_record(int threads, std::int64_t count) : calls(count), inside(std::max(threads, 1)) {
        const int members = static_cast<int>(std::min<std::int64_t>(threads, count));
        parallel_for(threads, count, [&](std::int64_t i, int member) {
            if (member < 0 || member >= std::max(members, 1) || inside[member]++ != 0)
                bad_member = true;
            ++calls[i];
            chew(i % 7 * 100);
            --inside[member];
        });
    }
    bool is_right() const {
        return !bad_member && std::ranges::all_of(calls, [](const std::atomic<int>& c) { return c == 1; });
    }
};

TEST(ParallelFor, CallsEachIndexOnceWithAMemberOfItsOwn) {
    for (const int threads : {-1, 0, 1, 2, 3, 16})
        for (const std::int64_t count : {0, 1, 2, 3, 15, 16, 17, 1000})
            EXPECT_TRUE(loop_record(threads, count).is_right()) << threads << " threads, " << count << " indices";
}

TEST(ParallelFor, CallsEachIndexOnceInManyShortLoops) {
    for (int repetition = 0; repetition < 20000; ++repetition) {
        int calls[3] = {};
        parallel_for(3, 3, [&](std::int64_t i, int) { ++calls[i]; });
        ASSERT_EQ(calls[0] + 10 * calls[1] + 100 * calls[2], 111);
    }
}

TEST(ParallelFor, SeesWhatTheCallerWroteAndTheOtherWayRound) {
    std::vector<std::int64_t> numbers(4096), doubled(4096);
    for (std::int64_t round = 0; round < 500; ++round) {
        for (std::int64_t i = 0; i < std::ssize(numbers); ++i)
            numbers[i] = round + i;
        parallel_ranges(2, std::ssize(numbers), 64, [&](std::int64_t first, std::int64_t last) {
            for (std::int64_t i = first; i < last; ++i)
                doubled[i] = 2 * numbers[i];
        });
        for (std::int64_t i = 0; i < std::ssize(numbers); ++i)
            ASSERT_EQ(doubled[i], 2 * (round + i));
    }
}

TEST(ParallelFor, IsDoneByMoreThanOneThread) {
    if (processors() < 2)
        GTEST_SKIP() << "one processor";
    // A loop of a tenth of a second at least, so that a helper comes even where the machine has other work.
    for (int attempt = 0; attempt < 50; ++attempt) {
        std::atomic<int> of_helpers = 0;
        parallel_for(2, 1000, [&](std::int64_t, int member) {
            chew(30000);
            of_helpers += member;
        });
        if (of_helpers > 0)
            return;
    }
    FAIL() << "no helper came";
}

TEST(ParallelRanges, DoNotDependOnTheThreads) {
    for (const int threads : {1, 2, 5})
        for (const std::int64_t count : {0, 1, 63, 64, 65, 1000}) {
            std::vector<std::int64_t> length(count);
            parallel_ranges(threads, count, 64,
                            [&](std::int64_t first, std::int64_t last) { length[first] = last - first; });
            for (std::int64_t i = 0; i < count; ++i)
                EXPECT_EQ(length[i], i % 64 == 0 ? std::min<std::int64_t>(64, count - i) : 0);
        }
}

TEST(ParallelFor, ThrowsTheExceptionOfTheSmallestIndex) {
    for (const int threads : {1, 2, 8})
        for (int repetition = 0; repetition < 200; ++repetition) {
            std::string message;
            try {
                parallel_for(threads, 100, [&](std::int64_t i, int) {
                    chew(50);
                    if (i % 10 == 7)
                        throw std::runtime_error(std::to_string(i));
                });
            } catch (const std::runtime_error& e) {
                message = e.what();
            }
            ASSERT_EQ(message, "7") << threads << " threads";
            ASSERT_TRUE(loop_record(threads, 20).is_right()); // the next loop is as if nothing had happened
        }
}

TEST(ParallelFor, RunsLoopsInLoopsOnTheThreadThatCallsThem) {
    std::vector<std::atomic<int>> calls(64 * 9);
    std::atomic<bool> stayed = true;
    parallel_for(4, 64, [&](std::int64_t i, int) {
        const auto here = std::this_thread::get_id();
        parallel_for(4, 9, [&](std::int64_t j, int member) {
            if (std::this_thread::get_id() != here || member != 0)
                stayed = false;
            ++calls[i * 9 + j];
        });
    });
    EXPECT_TRUE(stayed);
    for (const auto& count : calls)
        EXPECT_EQ(count, 1);
}

TEST(ParallelFor, RunsLoopsOfSeveralThreadsSideBySide) {
    std::atomic<int> wrong = 0;
    std::vector<std::thread> callers;
    for (int c = 0; c < 6; ++c)
        callers.emplace_back([&, c] {
            for (int repetition = 0; repetition < 100; ++repetition)
                if (!loop_record(1 + c % 4, 50).is_right())
                    ++wrong;
        });
    for (std::thread& caller : callers)
        caller.join();
    EXPECT_EQ(wrong, 0);
}

TEST(ParallelFor, HasMoreThreadsWhereTheHostProgramSaysSoAndNoneWhereItForbids) {
    using oneapi::tbb::global_control;
    std::thread([] { // whose helpers are asked for anew; tests/support/many_threads.cpp allows eight
        for (int repetition = 0; repetition < 300; ++repetition)
            ASSERT_TRUE(loop_record(8, 64).is_right());
    })
        .join();
    const global_control none(global_control::max_allowed_parallelism, 1);
    std::thread([] {
        const auto here = std::this_thread::get_id();
        parallel_for(4, 50, [&](std::int64_t, int) { EXPECT_EQ(std::this_thread::get_id(), here); });
    }).join();
}

double processor_seconds() {
    timespec t{};
    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &t);
    return static_cast<double>(t.tv_sec) + 1e-9 * static_cast<double>(t.tv_nsec);
}

TEST(ParallelFor, LeavesThreadsThatSleep) {
    for (int repetition = 0; repetition < 100; ++repetition)
        loop_record(4, 100);
    std::this_thread::sleep_for(std::chrono::milliseconds(100)); // they may look for work for some microseconds
    const double before = processor_seconds();
    std::this_thread::sleep_for(std::chrono::milliseconds(500));
    EXPECT_LT(processor_seconds() - before, 0.05); // a thread that spins takes half a second, in a sandbox some more
}

TEST(ParallelFor, LeavesTheNumberOfThreadsOfBlasAlone) {
    if (!openblas_get_num_threads)
        GTEST_SKIP() << "not OpenBLAS";
    const int before = openblas_get_num_threads();
    {
        const one_blas_thread outer;
        const one_blas_thread inner;
        loop_record(4, 100);
    }
    loop_record(4, 100);
    EXPECT_EQ(openblas_get_num_threads(), before);
}

std::vector<double> fitted_means(int threads) {
    std::vector<double> x;
    for (std::int64_t i = 0; i < 6000; ++i)
        x.push_back(std::sin(static_cast<double>(i * i)) + static_cast<double>(i / 2 % 3));
    gmm::fit_options options;
    options.components = 3;
    options.max_iterations = 5;
    const auto rows = matrix_view<const double>(x.data(), 3000, 2);
    return gmm::fit(context::cpu(threads), rows, options).model.means();
}

#if defined(ELBO_UNDER_ASAN) || defined(ELBO_UNDER_TSAN)
constexpr bool threads_can_fork = false;
#else
constexpr bool threads_can_fork = true;
#endif
/// The thread sanitizer does not follow it at all. The address sanitizer's allocator takes no care of its locks at a
/// fork: where a helper holds one, the child's first allocation waits for ever.
constexpr const char* sanitizer_forks = "a process of several threads cannot fork under this sanitizer";

TEST(Fork, LeavesAChildThatFitsAsBefore) {
    if (!threads_can_fork)
        GTEST_SKIP() << sanitizer_forks;
    const std::vector<double> want = fitted_means(2);
    for (int repetition = 0; repetition < 10; ++repetition)
        EXPECT_TRUE(is_fine_in_child([&] { return fitted_means(2) == want; }));
    EXPECT_EQ(fitted_means(2), want);
}

TEST(Fork, MayComeAtAnyMomentOfAHelper) {
    if (!threads_can_fork)
        GTEST_SKIP() << sanitizer_forks;
    for (int repetition = 0; repetition < 200; ++repetition) {
        loop_record(2, 20);
        chew(repetition * 300); // from at work to asleep
        ASSERT_TRUE(is_fine_in_child([] {
            std::vector<std::atomic<int>> calls(50);
            std::thread([&] { parallel_for(2, 25, [&](std::int64_t i, int) { ++calls[i]; }); }).join();
            parallel_for(2, 25, [&](std::int64_t i, int) { ++calls[25 + i]; });
            return std::ranges::all_of(calls, [](const std::atomic<int>& c) { return c == 1; });
        })) << repetition;
    }
}

} // namespace

} // namespace elbo
