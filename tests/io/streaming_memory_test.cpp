// The memory for reading a table does not grow with the table.
#include "elbo/data_source.hpp"
#include "tests/support/io_files.hpp"
#include "tests/support/sanitizers.hpp"

#include <cstdlib>
#include <sys/wait.h>

namespace elbo::test {
namespace {

// Peak resident memory of this process in KiB.
long peak_kib() {
    std::ifstream status("/proc/self/status");
    for (std::string line; std::getline(status, line);)
        if (line.starts_with("VmHWM:"))
            return std::strtol(line.c_str() + 6, nullptr, 10);
    return -1;
}

// Runs `action` in a child process and returns how much its peak memory grew, in KiB; -1 if it failed. The peak of a
// child begins at what the parent has resident, so the parent must stay small.
template <class Action>
long growth_in_child(Action action) {
    int channel[2];
    if (::pipe(channel) != 0)
        return -1;
    const pid_t child = ::fork();
    if (child == 0) {
        const long before = peak_kib();
        action();
        const long growth = peak_kib() - before;
        ::_exit(::write(channel[1], &growth, sizeof growth) == sizeof growth ? 0 : 1);
    }
    long growth = -1;
    int status = 0;
    ::waitpid(child, &status, 0);
    if (status != 0 || ::read(channel[0], &growth, sizeof growth) != sizeof growth)
        growth = -1;
    ::close(channel[0]);
    ::close(channel[1]);
    return growth;
}

constexpr std::int64_t most_kept = std::int64_t{16} << 20;

std::string write_table(const temporary_folder& folder, const std::string& name, int rows) {
    std::ofstream file(folder.path(name));
    for (int i = 0; i < rows; ++i)
        file << "1.5,2,3,4,5,6,7,8,9,0\n";
    return folder.path(name);
}

void read_table(const std::string& path) {
    const auto reader = data_source::file(path, {.keep = most_kept}).read(10'000);
    while (reader->next().rows > 0)
        continue;
}

TEST(IoStreamingMemory, ATableOfThreeTimesTheSizeTakesNoMore) {
#if defined(ELBO_UNDER_ASAN) || defined(ELBO_UNDER_TSAN)
    GTEST_SKIP() << "a sanitizer keeps freed memory resident, so the peak says nothing";
#endif
    const temporary_folder folder;
    // Both are more than what is kept: 24 MB and 72 MB of float64.
    const std::string one = write_table(folder, "one.csv", 300'000);
    const std::string three = write_table(folder, "three.csv", 900'000);
    const long small = growth_in_child([&]() { read_table(one); });
    const long large = growth_in_child([&]() { read_table(three); });
    ASSERT_GT(small, 0);
    ASSERT_GT(large, 0);
    // The same allocations in both; the slack is for the pages that the allocator happens to touch.
    EXPECT_LE(large, small + 1024) << "KiB";
    // Numbers that are kept for a while are in memory that grows without a copy of them.
    EXPECT_LE(large, (most_kept >> 10) + 8 * 1024) << "KiB";
    RecordProperty("kib_one", static_cast<int>(small));
    RecordProperty("kib_three", static_cast<int>(large));
}

} // namespace
} // namespace elbo::test
