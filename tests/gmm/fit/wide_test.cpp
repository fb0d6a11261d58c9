// Rows of very many columns: families without matrices take memory of order k d, and what a plan announces is what a
// fit takes at most. Allocations of the whole program are counted.
#include "elbo/gmm/algebra.hpp"
#include "elbo/gmm/evidence.hpp"
#include "elbo/gmm/fit.hpp"
#include "elbo/gmm/gradient.hpp"
#include "elbo/gmm/infer.hpp"
#include "elbo/gmm/online.hpp"
#include "elbo/gmm/select.hpp"
#include "elbo/gmm/statistics.hpp"
#include "elbo/gmm/variational.hpp"
#include "host/report/page/pages.hpp"
#include "tests/support/data.hpp"
#include "tests/support/sanitizers.hpp"
#include "tests/support/sources.hpp"

#include <gtest/gtest.h>

#include <atomic>
#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <functional>
#include <malloc.h>
#include <new>

namespace {

std::atomic<std::int64_t> taken = 0, most_taken = 0;

[[maybe_unused]] void* counted(void* p) {
    const auto size = static_cast<std::int64_t>(malloc_usable_size(p));
    const std::int64_t now = taken += size;
    std::int64_t most = most_taken;
    while (now > most && !most_taken.compare_exchange_weak(most, now))
        continue;
    return p;
}
[[maybe_unused]] void* counted_or_throw(void* p) {
    return p ? counted(p) : throw std::bad_alloc();
}
[[maybe_unused]] void give_back(void* p) {
    taken -= static_cast<std::int64_t>(malloc_usable_size(p));
    std::free(p);
}
[[maybe_unused]] std::size_t whole(std::size_t size, std::align_val_t to) {
    const auto unit = static_cast<std::size_t>(to);
    return (size + unit - 1) / unit * unit;
}

} // namespace

#ifdef ELBO_UNDER_TSAN // which has its own
#define ELBO_COUNTED_OR_SKIPPED GTEST_SKIP() << "the thread sanitizer has the operator new that would count"
#else
#define ELBO_COUNTED_OR_SKIPPED static_assert(true)
void* operator new(std::size_t size) {
    return counted_or_throw(std::malloc(size));
}
void* operator new(std::size_t size, std::align_val_t to) {
    return counted_or_throw(std::aligned_alloc(static_cast<std::size_t>(to), whole(size, to)));
}
void* operator new(std::size_t size, const std::nothrow_t&) noexcept {
    void* const p = std::malloc(size);
    return p ? counted(p) : nullptr;
}
void* operator new(std::size_t size, std::align_val_t to, const std::nothrow_t&) noexcept {
    void* const p = std::aligned_alloc(static_cast<std::size_t>(to), whole(size, to));
    return p ? counted(p) : nullptr;
}
void operator delete(void* p) noexcept {
    give_back(p);
}
void operator delete(void* p, std::size_t) noexcept {
    give_back(p);
}
void operator delete(void* p, std::align_val_t) noexcept {
    give_back(p);
}
void operator delete(void* p, std::size_t, std::align_val_t) noexcept {
    give_back(p);
}
#endif

namespace elbo::gmm {
namespace {

using test::view;

/// Bytes that an action holds at most beside those before it.
template <class Action>
std::int64_t peak_of(const Action& action) {
    const std::int64_t before = taken;
    most_taken = before;
    action();
    return most_taken - before;
}

constexpr family cheap_families[] = {family::diagonal, family::spherical, family::tied_diagonal,
                                     family::tied_spherical};
constexpr std::int64_t rows = 6, wide = 30000, k = 2;
/// Rows are worked on in strips of 64, and there are some copies of parameters and sums: a matrix [d x d] is 7.2 GB.
constexpr std::int64_t order_of_kd = 256 * 8 * k * wide; // 123 MB

std::vector<float> wide_rows() {
    return test::as<float>(test::clustered(rows, wide, 3, 1, 77));
}
fit_options options_for(family f) {
    fit_options options;
    options.components = k;
    options.shape = f;
    options.max_iterations = 5;
    return options;
}

TEST(GmmWide, FitsTakeWhatTheyAnnounce) {
    ELBO_COUNTED_OR_SKIPPED;
    struct planned_fit {
        std::int64_t rows, cols, components;
        family shape;
        std::int64_t restarts = 1;
        start_method start = start_method::kmeans;
    };
    for (const planned_fit& c : {planned_fit{rows, wide, k, family::diagonal},
                                 {rows, wide, k, family::spherical},
                                 {rows, wide, k, family::tied_diagonal},
                                 {rows, wide, k, family::tied_spherical},
                                 {rows, wide, k, family::diagonal, 3},
                                 {300, 5000, 40, family::diagonal},
                                 {300, 5000, 40, family::tied_spherical, 2, start_method::random},
                                 {20000, 16, 5, family::full},
                                 {20000, 16, 5, family::tied, 3},
                                 {20000, 16, 5, family::diagonal},
                                 {9000, 64, 3, family::spherical, 1, start_method::samples},
                                 {600, 300, 4, family::full},
                                 {600, 300, 4, family::tied}})
        for (const context& ctx : {context::reference(), context::cpu(2)}) {
            SCOPED_TRACE(testing::Message() << ctx.name() << ": " << c.rows << " x " << c.cols << ", " << c.components
                                            << " " << to_string(c.shape) << ", restarts " << c.restarts);
            if (ctx.where() == backend::reference && c.rows * c.cols * c.components > 1 << 20)
                continue;
            const std::vector<float> x = test::as<float>(test::clustered(c.rows, c.cols, c.components, 3.0, 7));
            fit_options options;
            options.components = c.components;
            options.shape = c.shape;
            options.restarts = c.restarts;
            options.start = c.start;
            options.max_iterations = 2;
            const data_source data = view(x, c.cols);
            const std::int64_t planned = plan_memory(ctx, data, options).peak;
            const std::int64_t peak = peak_of([&] { fit(ctx, data, options); });
            std::printf("%s %lld x %lld, %lld %s: planned %.2f MB, %.2f MB taken at most\n", ctx.name().c_str(),
                        static_cast<long long>(c.rows), static_cast<long long>(c.cols),
                        static_cast<long long>(c.components), std::string(to_string(c.shape)).c_str(),
                        static_cast<double>(planned) / 1e6, static_cast<double>(peak) / 1e6);
            constexpr std::int64_t small = 1 << 20; // objects, messages, records
            EXPECT_LE(peak, planned + small);
            EXPECT_GE(peak + small, planned / 2);
        }
}

/// Expects an action to take memory of order k d at most.
void within(const char* what, const std::function<void()>& action) {
    const std::int64_t peak = peak_of(action);
    std::printf("%s: %.2f MB\n", what, static_cast<double>(peak) / 1e6);
    EXPECT_LE(peak, order_of_kd) << what;
}

void check_fits(const context& ctx, const data_source& data, const fit_options& options) {
    within("fit", [&] { fit(ctx, data, options); });
    within("fit with a prior", [&] {
        fit_options map = options;
        map.prior.emplace();
        fit(ctx, data, map);
    });
    within("gradient steps", [&] {
        fit_options ascent = options;
        ascent.m_step = m_step_method::gradient;
        fit(ctx, data, ascent);
    });
    within("variational", [&] {
        variational_options bayes;
        bayes.components = k;
        bayes.shape = options.shape;
        bayes.max_iterations = 3;
        const variational_result v = fit_variational(ctx, data, bayes);
        log_density(ctx, v.posterior, data);
        sample(ctx, v.posterior, 3, 1);
    });
    within("select", [&] {
        select_options sweep;
        sweep.components = {1, 2};
        sweep.families = {options.shape};
        sweep.fit.max_iterations = 2;
        select(ctx, data, sweep);
    });
}

void check_uses(const context& ctx, const data_source& data, const fit_options& options, const fit_result& r) {
    within("score, assign, responsibilities", [&] {
        score(ctx, r.model, data);
        assign(ctx, r.model, data);
        responsibilities(ctx, r.model, data);
        evidence(ctx, r.model, data);
    });
    within("statistics", [&] {
        statistics s(r.model);
        s.accumulate(ctx, data);
        maximize(s, options);
        gradient(s);
        online stream(r.model);
        stream.partial_fit(s);
    });
    within("algebra", [&] {
        sample(ctx, r.model, 4, 1);
        std::vector<std::int64_t> half;
        for (std::int64_t j = 0; j < wide; j += 2)
            half.push_back(j);
        const model part = marginal(r.model, half);
        conditional(r.model, half, std::vector<double>(half.size(), 0.1));
        kl_variational(r.model, r.model);
        divergence_options few;
        few.samples = 4;
        kl_divergence(ctx, part, part, few);
    });
    within("files", [&] {
        const std::string path = testing::TempDir() + "wide_" + std::string(to_string(options.shape)) + ".safetensors";
        save(r.model, path);
        EXPECT_EQ(load(path), r.model);
        std::filesystem::remove(path);
    });
}

TEST(GmmWide, EveryUseOfAFamilyWithoutMatricesIsOfOrderKd) {
    ELBO_COUNTED_OR_SKIPPED;
    const std::vector<float> x = wide_rows();
    const context ctx = context::cpu(2);
    for (const family f : cheap_families) {
        SCOPED_TRACE(to_string(f));
        std::printf("%s\n", std::string(to_string(f)).c_str());
        const fit_options options = options_for(f);
        check_fits(ctx, view(x, wide), options);
        const fit_result r = fit(ctx, view(x, wide), options);
        check_uses(ctx, view(x, wide), options, r);
        within("page", [&] {
            report::mixture_page page;
            page.model = &r.model;
            page.fit = &r;
            page.points.rows.assign(x.begin(), x.end());
            page.points.labels.assign(rows, 0);
            page.samples = rows;
            EXPECT_FALSE(report::render(page).empty());
        });
    }
}

} // namespace
} // namespace elbo::gmm
