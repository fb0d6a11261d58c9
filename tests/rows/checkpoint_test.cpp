// Checkpoints of fits: a fit that goes on has the bits of one that was never stopped, whatever its model, whether it
// was stopped by its callback or killed; and a checkpoint of something else, or a damaged one, is refused.
#include "elbo/error.hpp"
#include "elbo/gmm/fit.hpp"
#include "elbo/gmm/select.hpp"
#include "elbo/gmm/variational.hpp"
#include "tests/support/checkpoint_cases.hpp"
#include "tests/support/io_files.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <csignal>
#include <filesystem>
#include <functional>
#include <sys/wait.h>
#include <thread>

namespace elbo {
namespace {

using namespace test::checkpoint_cases;

template <class Model>
class FitCheckpoint : public testing::Test {};
using all_models = testing::Types<mixture, mixture_with_events, mixture_by_gradient, streamed_tied, with_prior,
                                  variational, variational_sticks, factors, escaping_ppca, sphere>;
TYPED_TEST_SUITE(FitCheckpoint, all_models);

/// Iterations of all restarts.
template <class Model>
std::int64_t all_iterations(const context& ctx) {
    auto o = Model::of("");
    std::int64_t count = 0;
    o.callback = [&](const auto&) { return ++count > 0; };
    Model::run(ctx, o);
    return count;
}

// A callback that throws is a kill as far as the file goes: it keeps what was written before.
struct killed {};

template <class Model>
void stop_and_go_on(const context& ctx, std::int64_t at, bool kill, std::int64_t every) {
    SCOPED_TRACE(ctx.name() + ": after iteration " + std::to_string(at) + (kill ? ", killed" : ", interrupted"));
    const std::vector<double> whole = Model::numbers(Model::run(ctx, Model::of("")));
    const test::temporary_folder folder;
    auto o = Model::of("");
    o.checkpoint.path = folder.path("state.safetensors");
    o.checkpoint.every_iterations = every;
    std::int64_t seen = 0;
    o.callback = [&](const auto&) {
        if (seen++ < at)
            return true;
        if (kill)
            throw killed();
        return false;
    };
    try {
        Model::run(ctx, o);
    } catch (const killed&) {
    }
    if (!std::filesystem::exists(o.checkpoint.path)) {
        EXPECT_TRUE(kill && at < every + 1); // before the first one
        return;
    }
    o.callback = nullptr;
    o.resume = o.checkpoint.path;
    o.memory_limit = o.memory_limit == 0 ? 1 : 0; // the rows may be kept or not
    EXPECT_EQ(Model::numbers(Model::run(ctx, o)), whole);
    // And once more from the end: nothing is left to do.
    std::int64_t calls = 0;
    o.callback = [&](const auto&) { return ++calls > 0; };
    EXPECT_EQ(Model::numbers(Model::run(ctx, o)), whole);
    EXPECT_EQ(calls, 0);
    EXPECT_EQ(folder.files(), 1u);
}

TYPED_TEST(FitCheckpoint, GoesOnToTheSameBits) {
    for (const context& ctx : {context::reference(), context::cpu(2)}) {
        const std::int64_t all = all_iterations<TypeParam>(ctx);
        for (const std::int64_t at : {std::int64_t(0), all / 2, all - 1})
            stop_and_go_on<TypeParam>(ctx, at, false, 0);
        stop_and_go_on<TypeParam>(ctx, 4, true, 1);
        stop_and_go_on<TypeParam>(ctx, all - 1, true, 7);
    }
}

// Every place in a fit that comes to rest and goes on from elsewhere: also between the two.
TEST(FitCheckpointPpca, GoesOnAcrossAnEscape) {
    const context ctx = context::cpu(1);
    const auto whole = escaping_ppca::run(ctx, escaping_ppca::of(""));
    const auto stalled = [](const latent::factor_event& e) { return e.what == latent::factor_event::kind::stalled; };
    ASSERT_TRUE(std::ranges::any_of(whole.events, stalled));
    for (std::int64_t at = 0; at < whole.iterations; ++at) {
        stop_and_go_on<escaping_ppca>(ctx, at, false, 0);
        stop_and_go_on<escaping_ppca>(ctx, at, true, 1);
    }
}

TEST(FitCheckpointMixture, EventsComeBack) {
    const auto r = mixture::run(context::cpu(2), mixture_with_events::of(""));
    EXPECT_FALSE(r.events.empty());
}

// Sweeps ------------------------------------------------------------------------------------------------------------

gmm::select_options sweep_options() {
    gmm::select_options o;
    o.components = {1, 2, 3, 4};
    o.families = {gmm::family::full, gmm::family::tied_diagonal};
    o.by = gmm::criterion::cross_validation;
    o.folds = 3;
    o.fit.restarts = 2;
    o.fit.max_iterations = 25;
    return o;
}
gmm::select_result sweep(const gmm::select_options& o, int threads = 2) {
    return gmm::select(context::cpu(threads), test::view(clusters(), 4), o);
}
std::vector<double> numbers(const gmm::select_result& r) {
    std::vector<double> n = mixture::numbers(r.best);
    for (const gmm::select_cell& c : r.table)
        add(n, {c.log_likelihood, c.bic, c.held_out, c.held_out_error, static_cast<double>(c.iterations)});
    return n;
}

TEST(FitCheckpointSelect, FinishedFitsAreNotMadeAgain) {
    const std::vector<double> whole = numbers(sweep(sweep_options()));
    std::int64_t all = 0;
    auto counting = sweep_options();
    counting.callback = [&](const auto&) { return ++all > 0; };
    sweep(counting);
    for (const std::int64_t at : {std::int64_t(1), all / 3, all / 2, all - 1}) {
        SCOPED_TRACE(at);
        const test::temporary_folder folder;
        auto o = sweep_options();
        o.checkpoint.path = folder.path("sweep.safetensors");
        std::int64_t before = 0, after = 0;
        o.callback = [&](const auto&) { return ++before < at; };
        try {
            sweep(o);
        } catch (const interrupted&) {
        }
        o.resume = o.checkpoint.path;
        o.callback = [&](const auto&) { return ++after > 0; };
        EXPECT_EQ(numbers(sweep(o)), whole);
        EXPECT_LE(before + after, all + 2); // what was under way when it was stopped had been told of once
    }
}

TEST(FitCheckpointSelect, AKilledSweepGoesOn) {
    const std::vector<double> whole = numbers(sweep(sweep_options()));
    const test::temporary_folder folder;
    auto o = sweep_options();
    o.checkpoint.path = folder.path("sweep.safetensors");
    o.checkpoint.every_iterations = 10;
    std::int64_t before = 0, after = 0;
    o.callback = [&](const auto&) -> bool {
        if (++before == 150)
            throw killed();
        return true;
    };
    EXPECT_THROW(sweep(o), killed);
    o.resume = o.checkpoint.path;
    o.callback = [&](const auto&) { return ++after > 0; };
    o.jobs = 1; // restarts that ran apart from each other are made again where they now run together
    EXPECT_EQ(numbers(sweep(o)), whole);
    o.fit.seed = 7;
    EXPECT_THROW(sweep(o), invalid_argument);
}

// What is refused ----------------------------------------------------------------------------------------------------

struct checkpointed {
    test::temporary_folder folder;
    gmm::fit_options o = mixture::of("");
    checkpointed() {
        o.checkpoint.path = folder.path("state.safetensors");
        o.callback = [](const progress& p) { return p.restart == 0 || p.record.iteration < 3; };
        mixture::run(context::cpu(2), o);
        o.callback = nullptr;
        o.resume = o.checkpoint.path;
        o.checkpoint.path.clear();
    }
    template <class Change>
    std::string refusal(const Change& change, const context& ctx = context::cpu(2)) const {
        gmm::fit_options other = o;
        std::vector<double> x = clusters();
        change(other, x);
        try {
            gmm::fit(ctx, test::view(x, 4), other);
        } catch (const invalid_argument& e) {
            return e.what();
        }
        return "";
    }
};

TEST(FitCheckpointRefused, SaysWhatDiffers) {
    const checkpointed c;
    using options = gmm::fit_options;
    using rows = std::vector<double>;
    const auto says = [&](const std::string& text, const std::function<void(options&, rows&)>& change) {
        EXPECT_NE(c.refusal(change).find(text), std::string::npos) << text << "\n" << c.refusal(change);
    };
    says("options.seed = 2, this call has 3", [](options& o, rows&) { o.seed = 3; });
    says("options.components = 4, this call has 5", [](options& o, rows&) { o.components = 5; });
    says("options.family = \"full\", this call has \"tied\"", [](options& o, rows&) { o.shape = gmm::family::tied; });
    says("options.gradient.rate", [](options& o, rows&) { o.gradient.rate = 0.5; });
    says("options.prior = null", [](options& o, rows&) { o.prior.emplace(); });
    says("data.rows = 600, this call has 599", [](options&, rows& x) { x.resize(599 * 4); });
    says("data.mean[2]", [](options&, rows& x) { x[42] += 1; });
    says("start_model = \"\"",
         [](options& o, rows&) { o.start_model = mixture::run(context::cpu(2), mixture::of("")).model; });
    EXPECT_NE(c.refusal([](options&, rows&) {}, context::reference()).find("device"), std::string::npos);
    EXPECT_EQ(c.refusal([](options&, rows&) {}), "");
}

TEST(FitCheckpointRefused, BeforeTheDataAreRead) {
    const checkpointed c;
    const context ctx = context::cpu(2);
    std::int64_t reads = 0;
    const data_source data = data_source::generator(600, 4, [&](std::int64_t, std::int64_t, float*) { ++reads; });
    gmm::fit_options other = c.o;
    other.seed = 3;
    EXPECT_THROW(gmm::fit(ctx, data, other), invalid_argument);
    const auto refuses = [&](auto options, const auto& run) {
        options.resume = c.o.resume;
        EXPECT_THROW(run(ctx, data, options), invalid_argument);
    };
    refuses(variational::of(""), [](auto&... all) { gmm::fit_variational(all...); });
    refuses(factors::of(""), [](auto&... all) { latent::fit(all...); });
    refuses(sphere::of(""), [](auto&... all) { latent::fit(all...); });
    refuses(sweep_options(), [](auto&... all) { gmm::select(all...); });
    EXPECT_EQ(reads, 0);
}

TEST(FitCheckpointRefused, DamagedFiles) {
    const checkpointed c;
    const std::string whole = test::read_bytes(c.o.resume);
    const auto run = [&](const std::string& bytes) {
        gmm::fit_options o = c.o;
        o.resume = c.folder.write("damaged.safetensors", bytes);
        mixture::run(context::cpu(2), o);
    };
    for (std::size_t length = 0; length < whole.size(); length += 1 + whole.size() / 40)
        EXPECT_THROW(run(whole.substr(0, length)), file_error) << length;
    const auto with = [&](const std::string& from, const std::string& to) {
        std::string bytes = whole;
        bytes.replace(bytes.find(from), from.size(), to);
        return bytes;
    };
    EXPECT_THROW(run(with("now.means", "now.meanz")), file_error);
    EXPECT_THROW(run(with("best.trace", "best.trash")), file_error);
    EXPECT_THROW(run(with("elbo.fit-checkpoint", "elbo.fit-checkpaint")), file_error);
    gmm::fit_options o = c.o;
    o.resume = c.folder.path("missing.safetensors");
    EXPECT_THROW(mixture::run(context::cpu(2), o), file_error);
    o = mixture::of("");
    o.checkpoint.path = c.folder.path("no/folder.safetensors");
    EXPECT_THROW(mixture::run(context::cpu(2), o), file_error);
    o.checkpoint.path = c.folder.path("state.json");
    EXPECT_THROW(mixture::run(context::cpu(2), o), invalid_argument);
    o.checkpoint.path.clear();
    o.checkpoint.every_seconds = -1;
    EXPECT_THROW(mixture::run(context::cpu(2), o), invalid_argument);
    latent::factor_options eigen;
    eigen.method = latent::factor_method::eigen;
    eigen.checkpoint.path = c.folder.path("eigen.safetensors");
    EXPECT_THROW(factors::run(context::cpu(2), eigen), invalid_argument);
}

// kill -9 ------------------------------------------------------------------------------------------------------------

template <class Model>
void survive_a_kill(const char* name) {
    const test::temporary_folder folder;
    auto o = Model::of("");
    o.checkpoint.path = folder.path("state.safetensors");
    o.checkpoint.every_iterations = 2;
    const std::vector<double> whole = Model::numbers(Model::run(context::cpu(1), Model::of("")));
    const pid_t victim = ::fork();
    if (victim == 0) {
        std::int64_t seen = 0;
        o.callback = [&](const auto&) {
            if (++seen == 9)
                ::raise(SIGKILL);
            return true;
        };
        Model::run(context::cpu(1), o);
        ::_exit(0);
    }
    int status = 0;
    ASSERT_EQ(::waitpid(victim, &status, 0), victim);
    ASSERT_TRUE(WIFSIGNALED(status)) << name;
    o.resume = o.checkpoint.path;
    EXPECT_EQ(Model::numbers(Model::run(context::cpu(1), o)), whole) << name;
}

TEST(FitCheckpointKill, EveryFitGoesOn) {
    survive_a_kill<mixture>("mixture");
    survive_a_kill<variational>("variational");
    survive_a_kill<factors>("factors");
    survive_a_kill<sphere>("sphere");
}

} // namespace
} // namespace elbo
