// How many threads there are: affinity, control groups, OMP_NUM_THREADS.
#include "elbo/context.hpp"
#include "kernels/shared/threads/parallel.hpp"
#include "kernels/shared/threads/processors.hpp"
#include "tests/support/child.hpp"

#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <gtest/gtest.h>
#include <sched.h>
#include <string>
#include <sys/resource.h>
#include <utility>

namespace elbo {

namespace {

using namespace kernels;

/// Sets an environment variable for a while; null removes it.
class environment_variable {
public:
    environment_variable(const char* name, const char* value) : name_(name) {
        if (const char* const before = std::getenv(name))
            before_ = before, was_set_ = true;
        value ? setenv(name, value, 1) : unsetenv(name);
    }
    ~environment_variable() { was_set_ ? setenv(name_, before_.c_str(), 1) : unsetenv(name_); }
    environment_variable(const environment_variable&) = delete;
    environment_variable& operator=(const environment_variable&) = delete;

private:
    const char* name_;
    std::string before_;
    bool was_set_ = false;
};

TEST(DefaultThreads, AreWhatOmpNumThreadsSays) {
    const std::pair<const char*, int> settings[] = {{"1", 1}, {"3", 3}, {" 4 ", 4}, {"5,2", 5}, {"6 ,1", 6}};
    for (const auto& [text, count] : settings) {
        const environment_variable set("OMP_NUM_THREADS", text);
        EXPECT_EQ(default_threads(), count) << "'" << text << "'";
        EXPECT_EQ(context::cpu().threads(), count);
        EXPECT_EQ(context::cpu(2).threads(), 2);
    }
    for (const char* text : {"", "0", "-2", "two", "2x", "99999999999999999999", ","}) {
        const environment_variable set("OMP_NUM_THREADS", text);
        EXPECT_EQ(default_threads(), processors()) << "'" << text << "'";
    }
    const environment_variable unset("OMP_NUM_THREADS", nullptr);
    EXPECT_EQ(context::cpu().threads(), processors());
}

TEST(Processors, AreThoseOfTheAffinityMask) {
    cpu_set_t all;
    ASSERT_EQ(sched_getaffinity(0, sizeof all, &all), 0);
    EXPECT_EQ(affinity_processors(), CPU_COUNT(&all));
    EXPECT_LE(processors(), CPU_COUNT(&all));
    EXPECT_TRUE(is_fine_in_child([&] {
        cpu_set_t one;
        CPU_ZERO(&one);
        for (int p = 0; p < CPU_SETSIZE && CPU_COUNT(&one) == 0; ++p)
            if (CPU_ISSET(p, &all))
                CPU_SET(p, &one);
        const environment_variable unset("OMP_NUM_THREADS", nullptr);
        if (sched_setaffinity(0, sizeof one, &one) != 0 || context::cpu().threads() != 1)
            return false;
        parallel_for(2, 50, [](std::int64_t, int) {});
        cpu_set_t after;
        return sched_getaffinity(0, sizeof after, &after) == 0 && CPU_EQUAL(&after, &one);
    }));
    parallel_for(2, 50, [](std::int64_t, int) {});
    cpu_set_t after;
    ASSERT_EQ(sched_getaffinity(0, sizeof after, &after), 0);
    EXPECT_TRUE(CPU_EQUAL(&all, &after));
}

TEST(HelpersWithRoom, AreWhatTheAddressSpaceLeaves) {
    rlimit limit{};
    ASSERT_EQ(getrlimit(RLIMIT_AS, &limit), 0);
    if (limit.rlim_cur != RLIM_INFINITY)
        GTEST_SKIP() << "the address space is limited already";
    EXPECT_GT(helpers_with_room(), 1000);
    const auto of_limit = [](rlim_t bytes) {
        const rlimit lower{bytes, RLIM_INFINITY};
        return setrlimit(RLIMIT_AS, &lower) == 0 ? helpers_with_room() : -1;
    };
    EXPECT_TRUE(is_fine_in_child([&] { return of_limit(rlim_t(1) << 50) > 1000; }));
    EXPECT_TRUE(is_fine_in_child([&] { return of_limit(rlim_t(256) << 20) == 0; }));
}

/// A made-up /proc and /sys.
class made_up_root : public ::testing::Test {
protected:
    void SetUp() override {
        std::string pattern = (std::filesystem::temp_directory_path() / "elbo-threads-XXXXXX").string();
        ASSERT_NE(mkdtemp(pattern.data()), nullptr);
        root_ = pattern;
    }
    void TearDown() override { std::filesystem::remove_all(root_); }

    void write(const std::string& path, const std::string& text) const {
        std::filesystem::create_directories(std::filesystem::path(root_ + path).parent_path());
        std::ofstream(root_ + path) << text;
    }
    void version_2(const std::string& group, const std::string& mounted = "/") const {
        write("/proc/self/cgroup", "0::" + group + "\n");
        write("/proc/self/mountinfo", "22 1 0:20 / /proc rw - proc proc rw\n30 23 0:26 " + mounted +
                                          " /sys/fs/cgroup rw,nosuid shared:4 - cgroup2 cgroup2 rw\n");
    }
    void version_1(const std::string& group, const std::string& mounted = "/") const {
        write("/proc/self/cgroup", "4:memory:/elsewhere\n3:cpu,cpuacct:" + group + "\n0::/elsewhere\n");
        write("/proc/self/mountinfo", "31 23 0:27 / /sys/fs/cgroup/memory rw - cgroup cgroup rw,memory\n32 23 0:28 " +
                                          mounted + " /sys/fs/cgroup/cpu,cpuacct rw - cgroup cgroup rw,cpu,cpuacct\n");
    }
    std::string root_;
};
using Quota = made_up_root;

TEST_F(Quota, IsNoneWhereNothingIsSaid) {
    EXPECT_EQ(quota_processors(root_), 0); // no /proc at all
    version_2("/");
    EXPECT_EQ(quota_processors(root_), 0);
    version_2("/user.slice/shell.scope");
    write("/sys/fs/cgroup/user.slice/cpu.max", "max 100000\n");
    EXPECT_EQ(quota_processors(root_), 0);
}

TEST_F(Quota, OfVersion2IsRoundedUp) {
    version_2("/box");
    const std::pair<const char*, int> limits[] = {{"100000 100000\n", 1}, {"1000 100000\n", 1},
                                                  {"150000 100000\n", 2}, {"400000 100000\n", 4},
                                                  {"50000 10000\n", 5},   {"max 100000\n", 0},
                                                  {"nonsense\n", 0},      {"100000\n", 0},
                                                  {"100000 0\n", 0},      {"9223372036854775807 1\n", 1 << 20},
                                                  {"-5 100000\n", 0}};
    for (const auto& [text, count] : limits) {
        write("/sys/fs/cgroup/box/cpu.max", text);
        EXPECT_EQ(quota_processors(root_), count) << text;
    }
}

TEST_F(Quota, OfAnyGroupAboveCounts) {
    version_2("/a/b/c");
    write("/sys/fs/cgroup/a/b/c/cpu.max", "800000 100000\n");
    write("/sys/fs/cgroup/a/b/cpu.max", "max 100000\n");
    write("/sys/fs/cgroup/a/cpu.max", "250000 100000\n");
    EXPECT_EQ(quota_processors(root_), 3);
    write("/sys/fs/cgroup/a/b/c/cpu.max", "200000 100000\n");
    EXPECT_EQ(quota_processors(root_), 2);
    write("/sys/fs/cgroup/cpu.max", "100000 100000\n"); // the root of a namespace
    EXPECT_EQ(quota_processors(root_), 1);
}

TEST_F(Quota, OfVersion1IsThatOfTheProcessorController) {
    version_1("/box/inner");
    write("/sys/fs/cgroup/memory/elsewhere/cpu.cfs_quota_us", "1\n");
    write("/sys/fs/cgroup/cpu,cpuacct/box/inner/cpu.cfs_quota_us", "-1\n");
    write("/sys/fs/cgroup/cpu,cpuacct/box/inner/cpu.cfs_period_us", "100000\n");
    EXPECT_EQ(quota_processors(root_), 0);
    write("/sys/fs/cgroup/cpu,cpuacct/box/cpu.cfs_quota_us", "120000\n");
    write("/sys/fs/cgroup/cpu,cpuacct/box/cpu.cfs_period_us", "50000\n");
    EXPECT_EQ(quota_processors(root_), 3);
}

TEST_F(Quota, InAContainerIsFoundBelowWhatIsMounted) {
    // Named from the host's root, of which the container sees its own group alone.
    version_1("/docker/4f2a", "/docker/4f2a");
    write("/sys/fs/cgroup/cpu,cpuacct/cpu.cfs_quota_us", "200000\n");
    write("/sys/fs/cgroup/cpu,cpuacct/cpu.cfs_period_us", "100000\n");
    EXPECT_EQ(quota_processors(root_), 2);
    // Outside of the namespace's root: what can be seen counts.
    version_2("/../sibling");
    write("/sys/fs/cgroup/cpu.max", "300000 100000\n");
    EXPECT_EQ(quota_processors(root_), 3);
}

using Memory = made_up_root;

TEST_F(Memory, IsTheLeastOfTheGroupAndThoseAboveIt) {
    EXPECT_EQ(granted_memory(root_), 0); // no /proc at all
    version_2("/box/inner");
    EXPECT_EQ(granted_memory(root_), 0);
    write("/sys/fs/cgroup/box/inner/memory.max", "max\n");
    EXPECT_EQ(granted_memory(root_), 0);
    write("/sys/fs/cgroup/box/memory.max", "8589934592\n");
    EXPECT_EQ(granted_memory(root_), std::int64_t(8) << 30);
    write("/sys/fs/cgroup/box/inner/memory.max", "1073741824\n");
    EXPECT_EQ(granted_memory(root_), std::int64_t(1) << 30);
    version_1("/box");
    write("/sys/fs/cgroup/memory/memory.limit_in_bytes", "9223372036854771712\n"); // none
    write("/sys/fs/cgroup/memory/elsewhere/memory.limit_in_bytes", "4096\n");
    EXPECT_EQ(granted_memory(root_), 4096);
    EXPECT_GT(machine_memory(), 0);
}

} // namespace

} // namespace elbo
