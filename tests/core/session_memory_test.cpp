// Sessions allocate nothing after the first call of the largest size. Calls of operator new are counted.
#include "elbo/gmm/infer.hpp"
#include "elbo/latent/scorer.hpp"
#include "elbo/vae/infer.hpp"
#include "tests/support/data.hpp"
#include "tests/support/factor_cases.hpp"
#include "tests/support/sanitizers.hpp"
#include "tests/support/vae_networks.hpp"

#include <gtest/gtest.h>

#include <atomic>
#include <cstdlib>
#include <new>

namespace {
std::atomic<std::int64_t> calls = 0;

[[maybe_unused]] void* counted(std::size_t size, std::size_t alignment) {
    ++calls;
    void* const p = std::aligned_alloc(alignment, (size + alignment - 1) / alignment * alignment);
    return p ? p : throw std::bad_alloc();
}
/// A call, so that g++ does not see free() in place of what it knows of delete, and warn.
[[maybe_unused, gnu::noinline]] void give_back(void* p) {
    std::free(p);
}
} // namespace

#ifdef ELBO_UNDER_TSAN // which has its own
#define ELBO_COUNTED_OR_SKIPPED GTEST_SKIP() << "the thread sanitizer has the operator new that would count"
#else
#define ELBO_COUNTED_OR_SKIPPED static_assert(true)
void* operator new(std::size_t size) {
    return counted(size, 16);
}
void* operator new(std::size_t size, std::align_val_t to) {
    return counted(size, static_cast<std::size_t>(to));
}
void* operator new(std::size_t size, std::align_val_t to, const std::nothrow_t&) noexcept {
    return counted(size, static_cast<std::size_t>(to));
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
void operator delete(void* p, std::align_val_t, const std::nothrow_t&) noexcept {
    give_back(p);
}
#endif

namespace elbo {
namespace {

/// call(rows) for the largest size, and then for others.
template <class Call>
void expect_no_allocation(const char* what, const Call& call) {
    call(5000);
    const std::int64_t before = calls;
    for (const std::int64_t rows : {5000, 1, 100, 4097})
        call(rows);
    EXPECT_EQ(calls - before, 0) << what;
}

TEST(Sessions, AllocateNothingOnceTheyAreLargeEnough) {
    ELBO_COUNTED_OR_SKIPPED;
    constexpr std::int64_t d = 6, most = 5000;
    const context ctx = context::cpu(2);
    const std::vector<float> x = test::as<float>(test::clustered(most, d, 3, 2, 1));
    std::vector<double> density(most), many(most * 12), means(most * d), whole(most * d);
    std::vector<std::int32_t> labels(most);
    const auto rows_of = [&](std::int64_t rows) { return matrix_view<const float>(x.data(), rows, d); };

    kernels::gmm_parameters p = test::random_parameters({gmm::family::full, d, 3}, 2, 5);
    for (double& w : p.log_weights)
        w = std::exp(w);
    gmm::scorer mixture(
        ctx, gmm::model::from_precision_cholesky(gmm::family::full, d, p.log_weights, p.means, p.precision_cholesky));
    expect_no_allocation("gmm::scorer", [&](std::int64_t n) {
        mixture.infer(rows_of(n), {{density.data(), n, 1}, {many.data(), n, 3, 4, {}}, {labels.data(), n, 1}});
    });
    const std::vector<float> known(most, 1);
    expect_no_allocation("gmm::scorer with labels", [&](std::int64_t n) {
        mixture.infer(rows_of(n), {{density.data(), n, 1}},
                      gmm::sample_labels::from_column(matrix_view<const float>(known.data(), n, 1)));
        mixture.infer(rows_of(n), {{density.data(), n, 1}});
    });

    latent::scorer factors(ctx, test::random_model(latent::factor_kind::factor_mixture, d, 2, 3, true, 3));
    latent::scorer sphere(ctx, latent::sphere_model({std::vector<double>(d, 0.1), 2, 0.3}));
    expect_no_allocation("latent::scorer of factors", [&](std::int64_t n) {
        factors.infer(rows_of(n), {.log_density = {density.data(), n, 1},
                                   .means = {many.data(), n, 6, 7, {}},
                                   .reconstruction = {whole.data(), n, d}});
    });
    expect_no_allocation("latent::scorer of a sphere", [&](std::int64_t n) {
        sphere.infer(rows_of(n), {.means = {means.data(), n, d}, .concentrations = {density.data(), n, 1}});
    });

    const vae::architecture a =
        test::make_architecture(d, 3, {18}, vae::activation::tanh, test::gaussian(vae::gaussian_scale::learned));
    vae::network network(ctx, vae::model(a));
    std::vector<float> mean(most * 3), log_variance(most * 3), out(most * d);
    expect_no_allocation("vae::network", [&](std::int64_t n) {
        network.encode(rows_of(n), {mean.data(), n, 3}, {log_variance.data(), n, 3});
        network.decode(matrix_view<const float>(mean.data(), n, 3), {out.data(), n, d});
        network.reconstruct(rows_of(n), {out.data(), n, d});
    });
}

} // namespace
} // namespace elbo
