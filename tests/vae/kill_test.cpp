// kill -9 in the middle of training: the checkpoint is whole, and a run that goes on from it has the bits of one that
// was never stopped. The victim is this program again with the path of the checkpoint in the environment.
#include "elbo/vae/train.hpp"
#include "host/io/model/safetensors.hpp"
#include "tests/support/io_files.hpp"
#include "tests/support/vae_data.hpp"

#include <gtest/gtest.h>

#include <chrono>
#include <csignal>
#include <cstdlib>
#include <filesystem>
#include <sys/wait.h>
#include <thread>
#include <unistd.h>

namespace elbo::vae {
namespace {

constexpr const char* variable = "ELBO_TEST_CHECKPOINT";
constexpr std::int64_t rows = 400, cols = 12;

train_options options() {
    train_options o;
    o.batch = 16;
    o.average_decay = 0.99;
    o.seed = 3;
    return o;
}

train_result run(const train_options& o) {
    static const std::vector<float> x = test::noisy_bits(rows, cols, 1);
    return train(context::cpu(1), test::small_network(cols), test::rows_of(x, cols), o);
}

TEST(VaeKill, DISABLED_Victim) {
    train_options o = options();
    o.epochs = 10'000'000;
    o.checkpoint.path = std::getenv(variable);
    o.checkpoint.every_seconds = 0.02;
    run(o);
}

pid_t start_victim(const std::string& checkpoint) {
    const std::string program = std::filesystem::read_symlink("/proc/self/exe").string();
    const pid_t child = ::fork();
    if (child != 0)
        return child;
    ::setenv(variable, checkpoint.c_str(), 1);
    ::execl(program.c_str(), program.c_str(), "--gtest_also_run_disabled_tests",
            "--gtest_filter=VaeKill.DISABLED_Victim", "--gtest_brief=1", static_cast<char*>(nullptr));
    ::_exit(127);
}

/// Epochs that the checkpoint has behind it; 0 where there is none yet.
std::int64_t epochs_in(const std::string& path) {
    if (!std::filesystem::exists(path))
        return 0;
    return io::read_safetensors(path).tensors.at("history").shape[0];
}

TEST(VaeKill, TheRunGoesOnFromTheLastCheckpoint) {
    const test::temporary_folder folder;
    const std::string path = folder.path("victim.safetensors");
    const pid_t victim = start_victim(path);
    ASSERT_GT(victim, 0);
    // At least two epochs, or two minutes if the machine is that busy.
    for (int i = 0; i < 12000 && epochs_in(path) < 2; ++i)
        std::this_thread::sleep_for(std::chrono::milliseconds(10));
    ::kill(victim, SIGKILL);
    int status = 0;
    ASSERT_EQ(::waitpid(victim, &status, 0), victim);
    ASSERT_TRUE(WIFSIGNALED(status)) << "the victim ended by itself with status " << status;
    ASSERT_GE(epochs_in(path), 2);

    train_options o = options();
    o.epochs = epochs_in(path) + 2;
    const train_result straight = run(o);
    o.resume = path;
    test::expect_same_result(straight, run(o));
}

} // namespace
} // namespace elbo::vae
