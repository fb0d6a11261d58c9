#include "kernels/shared/threads/processors.hpp"

#include <algorithm>
#include <charconv>
#include <cstdint>
#include <cstdlib>
#include <fstream>
#include <sched.h>
#include <sstream>
#include <string_view>
#include <sys/resource.h>
#include <thread>
#include <unistd.h>
#include <vector>

namespace elbo::kernels {

namespace {

std::vector<std::string> split(const std::string& text, char separator) {
    std::vector<std::string> parts;
    std::istringstream stream(text);
    for (std::string part; std::getline(stream, part, separator);)
        parts.push_back(part);
    return parts;
}

bool contains(const std::vector<std::string>& list, const std::string& item) {
    return std::ranges::find(list, item) != list.end();
}

/// Where a hierarchy of control groups is to be seen, and the group that is seen there.
struct hierarchy {
    bool is_version_2 = false;
    std::string root, mount;
};

/// The hierarchies that may limit what a controller controls, from a mountinfo file: ID PARENT DEVICE ROOT MOUNT
/// OPTIONS... - TYPE SOURCE OPTIONS.
std::vector<hierarchy> hierarchies(const std::string& file, const std::string& controller) {
    std::vector<hierarchy> found;
    std::ifstream mounts(file);
    for (std::string line; std::getline(mounts, line);) {
        const std::vector<std::string> fields = split(line, ' ');
        const auto dash = std::ranges::find(fields, "-") - fields.begin();
        if (dash < 6 || dash + 3 >= std::ssize(fields))
            continue;
        const std::string& type = fields[dash + 1];
        if (type == "cgroup2" || (type == "cgroup" && contains(split(fields[dash + 3], ','), controller)))
            found.push_back({type == "cgroup2", fields[3], fields[4]});
    }
    return found;
}

/// The group of this process in a hierarchy, from a cgroup file: ID:CONTROLLERS:GROUP, in version 2 0::GROUP.
std::string group_in(const hierarchy& h, const std::string& file, const std::string& controller) {
    std::ifstream groups(file);
    for (std::string line; std::getline(groups, line);) {
        const std::size_t first = line.find(':'), second = line.find(':', first + 1);
        if (first == std::string::npos || second == std::string::npos)
            continue;
        const std::string controllers = line.substr(first + 1, second - first - 1);
        if (h.is_version_2 ? controllers.empty() : contains(split(controllers, ','), controller))
            return line.substr(second + 1);
    }
    return "/";
}

/// What a group grants: quota / period rounded up; 0 where it says "max", -1 or nothing.
std::int64_t quota_of(const std::string& folder, bool is_version_2) {
    std::int64_t quota = -1, period = 0;
    if (is_version_2) {
        std::ifstream(folder + "/cpu.max") >> quota >> period; // "max" is no number
    } else {
        std::ifstream(folder + "/cpu.cfs_quota_us") >> quota;
        std::ifstream(folder + "/cpu.cfs_period_us") >> period;
    }
    if (quota <= 0 || period <= 0)
        return 0;
    return std::min<std::int64_t>(quota / period + (quota % period != 0), 1 << 20);
}

/// Bytes that a group grants; 0 where it says "max" or nothing.
std::int64_t memory_of(const std::string& folder, bool is_version_2) {
    std::int64_t bytes = 0;
    std::ifstream(folder + (is_version_2 ? "/memory.max" : "/memory.limit_in_bytes")) >> bytes; // "max" is no number
    return std::max<std::int64_t>(0, bytes);
}

std::int64_t smaller_limit(std::int64_t a, std::int64_t b) {
    return a == 0 || b == 0 ? std::max(a, b) : std::min(a, b);
}

/// The least that the group of this process, or one above it, grants of a controller.
template <class Limit>
std::int64_t least_granted(const std::string& root, const std::string& controller, const Limit& limit_of) {
    std::int64_t least = 0;
    for (const hierarchy& h : hierarchies(root + "/proc/self/mountinfo", controller)) {
        std::string group = group_in(h, root + "/proc/self/cgroup", controller);
        // In a container without a namespace of its own the group is named from the host's root, of which only a part
        // is mounted.
        if (h.root != "/" && group.starts_with(h.root))
            group.erase(0, h.root.size());
        if (group.starts_with("/.."))
            group.clear(); // outside of what can be seen
        for (;;) {
            least = smaller_limit(least, limit_of(root + h.mount + group, h.is_version_2));
            const std::size_t slash = group.rfind('/');
            if (slash == std::string::npos)
                break;
            group.erase(slash);
        }
    }
    return least;
}

} // namespace

int affinity_processors() {
    for (int most = 1024; most <= 1 << 20; most *= 2) { // the kernel's mask may be longer than a cpu_set_t
        cpu_set_t* const mask = CPU_ALLOC(static_cast<std::size_t>(most));
        if (mask == nullptr)
            break;
        const std::size_t size = CPU_ALLOC_SIZE(static_cast<std::size_t>(most));
        const int count = sched_getaffinity(0, size, mask) == 0 ? CPU_COUNT_S(size, mask) : 0;
        CPU_FREE(mask);
        if (count > 0)
            return count;
    }
    return std::max(1, static_cast<int>(std::thread::hardware_concurrency()));
}

int quota_processors(const std::string& root) {
    return static_cast<int>(least_granted(root, "cpu", quota_of));
}

std::int64_t granted_memory(const std::string& root) {
    return least_granted(root, "memory", memory_of);
}

std::int64_t machine_memory() {
    static const std::int64_t granted = granted_memory();
    return smaller_limit(static_cast<std::int64_t>(sysconf(_SC_PHYS_PAGES)) * sysconf(_SC_PAGESIZE), granted);
}

int processors() {
    static const int quota = quota_processors();
    return static_cast<int>(smaller_limit(affinity_processors(), quota));
}

int helpers_with_room() {
    constexpr std::int64_t of_one = std::int64_t(288) << 20, none = 1 << 20;
    rlimit limit{};
    if (getrlimit(RLIMIT_AS, &limit) != 0 || limit.rlim_cur == RLIM_INFINITY)
        return none;
    std::int64_t pages = 0;
    std::ifstream("/proc/self/statm") >> pages;
    const std::int64_t used = pages * sysconf(_SC_PAGESIZE);
    const auto most = static_cast<std::int64_t>(std::min<rlim_t>(limit.rlim_cur, std::int64_t(1) << 60));
    return static_cast<int>(std::clamp<std::int64_t>((most - used) / of_one - 1, 0, none)); // 1: for the caller
}

int default_threads() {
    if (const char* const set = std::getenv("OMP_NUM_THREADS")) {
        std::string_view text(set);
        text.remove_prefix(std::min(text.find_first_not_of(" \t"), text.size()));
        int count = 0;
        const auto [end, status] = std::from_chars(text.data(), text.data() + text.size(), count);
        const std::string_view rest(end, static_cast<std::size_t>(text.data() + text.size() - end));
        const std::size_t next = rest.find_first_not_of(" \t");
        if (status == std::errc() && count > 0 && (next == std::string_view::npos || rest[next] == ','))
            return count;
    }
    return processors();
}

} // namespace elbo::kernels
