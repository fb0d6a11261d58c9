// A piece of a test in a process of its own.
#pragma once

#include <chrono>
#include <csignal>
#include <sys/wait.h>
#include <thread>
#include <unistd.h>

namespace elbo {

/// What a child process returns of `work`, which says whether all is well.
template <class Work>
bool is_fine_in_child(const Work& work) {
    const pid_t child = fork();
    if (child == 0) {
        bool fine = false;
        try {
            fine = work();
        } catch (...) {
        }
        _exit(fine ? 0 : 1);
    }
    int status = 0;
    for (int waited = 0; waited < 6000; ++waited) { // a minute: what hangs is killed
        if (waitpid(child, &status, WNOHANG) == child)
            return WIFEXITED(status) && WEXITSTATUS(status) == 0;
        std::this_thread::sleep_for(std::chrono::milliseconds(10));
    }
    kill(child, SIGKILL);
    waitpid(child, &status, 0);
    return false;
}

} // namespace elbo
