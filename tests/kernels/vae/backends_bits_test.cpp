// What must not change a single bit of what an engine of variational autoencoders computes: another run, the split of
// slices, the number of threads, where the rows lie, the type and stride of given rows, and a state that was taken out
// and put back.
#include "tests/support/backends.hpp"
#include "tests/support/vae_observe.hpp"

#include <gtest/gtest.h>

namespace elbo {
namespace {

using namespace kernels;
using test::vae_case;
using test::vae_matrix;

/// Equal as numbers and in order; a NaN is equal to nothing.
void expect_same(const std::vector<test::observation>& got, const std::vector<test::observation>& want) {
    ASSERT_EQ(got.size(), want.size());
    for (std::size_t k = 0; k < want.size(); ++k)
        EXPECT_EQ(got[k].values, want[k].values) << want[k].name;
}

constexpr std::int64_t rows = 50, batch = 8;

/// A network with resident rows.
struct session {
    vae_case c;
    row_storage storage;
    vae_matrix x{c};
    vae_settings settings = {};

    explicit session(row_storage s, const vae::likelihood& form = {})
        : c{.architecture = test::make_architecture(33, 5, {17}, vae::activation::tanh, form), .rows = rows},
          storage(s) {
        c.kind = s == row_storage::bits    ? test::values::bits
                 : s == row_storage::bytes ? test::values::bytes
                                           : test::values::real;
        x = vae_matrix(c);
        settings = {.samples = 2, .seed = 6, .average_decay = 0.9, .scale_window = 20};
        c.settings = settings;
    }

    std::unique_ptr<vae_engine> engine(const context& ctx) const {
        auto e = make_vae_engine(ctx, make_layout(c.architecture));
        e->reserve({.batch = batch, .samples = 2, .slots = {rows, 3}, .storage = storage});
        e->set_parameters(test::network_parameters(e->layout, 7));
        e->load(0, 0, x.view());
        e->load(1, 0, x.view().slice(rows - 3, 3));
        return e;
    }

    /// Steps first ... last − 1 of an epoch of seven, in one slice.
    std::vector<step_record> train(vae_engine& e, std::int64_t epoch, std::int64_t first, std::int64_t last,
                                   const running_scale& before = {}) const {
        vae_settings now = settings;
        now.scale = before;
        return e.train(now, {.epoch = epoch,
                             .window_rows = rows,
                             .first_row = 100,
                             .first_position = first * batch,
                             .batch = batch,
                             .steps = std::vector<step_schedule>(last - first, {0.01, 0.5})});
    }
};

void append(std::vector<test::observation>& out, const std::vector<step_record>& records) {
    for (const step_record& r : records)
        out.push_back({"record",
                       {r.reconstruction, r.kl, r.objective, r.squared_error, r.weighted_squared_error,
                        r.scale.squared_error, r.scale.rows, r.gradient_norm}});
}

void append_state(std::vector<test::observation>& out, vae_engine& e) {
    const optimizer_state state = e.optimizer();
    out.push_back({"parameters", e.parameters()});
    out.push_back({"first moment", state.first_moment});
    out.push_back({"second moment", state.second_moment});
    out.push_back({"average", state.average});
}

/// Two epochs, then everything that the engine can say.
std::vector<test::observation> whole_run(const context& ctx, const session& s) {
    const auto e = s.engine(ctx);
    std::vector<test::observation> result;
    append(result, s.train(*e, 0, 0, 7));
    append(result, s.train(*e, 1, 0, 7));
    append_state(result, *e);
    for (const auto& o : test::observe_evaluation(*e, s.c, s.x.given(0)))
        result.push_back(o);
    return result;
}

const row_storage all_storages[] = {row_storage::bits, row_storage::bytes, row_storage::float32};

TEST(VaeEngineBits, EveryRunIsTheSame) {
    for (const context& ctx : test::contexts())
        for (row_storage storage : all_storages) {
            SCOPED_TRACE(ctx.name());
            const session s(storage);
            expect_same(whole_run(ctx, s), whole_run(ctx, s));
        }
}

TEST(VaeEngineBits, ThreadsChangeNothing) {
    for (const context& ctx : test::contexts_under_test()) {
        if (ctx.where() != backend::cpu)
            continue;
        for (const vae::likelihood& form :
             {vae::likelihood{}, test::gaussian(vae::gaussian_scale::optimal), test::categorical(33)}) {
            const session s(
                form.family == vae::likelihood_family::bernoulli ? row_storage::bytes : row_storage::float32, form);
            const auto want = whole_run(ctx, s);
            for (int threads : {1, 2, 7}) {
                SCOPED_TRACE(std::to_string(threads) + " threads");
                expect_same(whole_run(context::cpu(threads), s), want);
            }
        }
    }
}

TEST(VaeEngineBits, ThreadsChangeNothingInLargeBatches) {
    for (const context& ctx : test::contexts_under_test()) {
        if (ctx.where() != backend::cpu)
            continue;
        const vae_case c{.architecture = test::make_architecture(100, 20, {130, 64}, vae::activation::relu),
                         .rows = 500,
                         .settings = {.samples = 3, .seed = 1}};
        const vae_matrix x(c);
        const auto run = [&](int threads) {
            const auto e = make_vae_engine(context::cpu(threads), make_layout(c.architecture));
            e->reserve({.batch = c.rows, .samples = 3});
            e->set_parameters(test::network_parameters(e->layout, 7));
            auto result = test::observe_gradient(*e, c, x.given(0));
            for (const auto& o : test::observe_evaluation(*e, c, x.given(0)))
                result.push_back(o);
            return result;
        };
        const auto want = run(2);
        expect_same(run(1), want);
        expect_same(run(7), want);
    }
}

TEST(VaeEngineBits, SlicesMaySplitAnywhere) {
    for (const context& ctx : test::contexts())
        for (const session& s : {session(row_storage::bytes),
                                 session(row_storage::float32, test::gaussian(vae::gaussian_scale::optimal))}) {
            SCOPED_TRACE(ctx.name());
            std::vector<test::observation> want, got;
            const auto whole = s.engine(ctx), parts = s.engine(ctx);
            append(want, s.train(*whole, 0, 0, 7));
            append_state(want, *whole);
            running_scale scale;
            for (const auto& [first, last] : {std::pair{0, 1}, {1, 4}, {4, 7}}) {
                const auto records = s.train(*parts, 0, first, last, scale);
                append(got, records);
                scale = records.back().scale;
            }
            append_state(got, *parts);
            expect_same(got, want);
        }
}

TEST(VaeEngineBits, StateMayBeTakenOutAndPutBack) {
    for (const context& ctx : test::contexts())
        for (vae::optimizer_kind kind :
             {vae::optimizer_kind::adam, vae::optimizer_kind::adamw, vae::optimizer_kind::sgd}) {
            SCOPED_TRACE(ctx.name());
            session s(row_storage::bits);
            s.settings.optimizer = {.kind = kind, .weight_decay = 0.01, .clip_norm = 1};
            const auto first = s.engine(ctx), second = s.engine(ctx);
            s.train(*first, 0, 0, 3);
            second->set_parameters(first->parameters());
            second->set_optimizer(first->optimizer());
            std::vector<test::observation> want, got;
            append(want, s.train(*first, 0, 3, 7));
            append_state(want, *first);
            append(got, s.train(*second, 0, 3, 7));
            append_state(got, *second);
            expect_same(got, want);
            EXPECT_EQ(second->optimizer().steps, 7);
        }
}

TEST(VaeEngineBits, ResidentRowsAreTheGivenOnes) {
    for (const context& ctx : test::contexts())
        for (row_storage storage : all_storages)
            for (bool binarize : {false, true}) {
                SCOPED_TRACE(ctx.name() + " storage " + std::to_string(static_cast<int>(storage)));
                session s(storage);
                s.c.settings.binarize = binarize;
                const auto e = s.engine(ctx);
                const vae_rows given{s.x.view().slice(20, batch), 0, 0, batch, 120};
                const vae_rows resident{{}, 0, 20, batch, 120};
                expect_same(test::observe_gradient(*e, s.c, resident), test::observe_gradient(*e, s.c, given));
                expect_same(test::observe_evaluation(*e, s.c, resident), test::observe_evaluation(*e, s.c, given));
                // The second data set holds the last three rows.
                const vae_rows other{{}, 1, 1, 2, 5}, last{s.x.view().slice(rows - 2, 2), 0, 0, 2, 5};
                expect_same(test::observe_evaluation(*e, s.c, other), test::observe_evaluation(*e, s.c, last));
            }
}

TEST(VaeEngineBits, TypeAndStrideOfGivenRows) {
    for (const context& ctx : test::contexts()) {
        SCOPED_TRACE(ctx.name());
        const session s(row_storage::float32);
        const auto e = s.engine(ctx);
        const auto values = test::network_rows(s.c.architecture, batch, test::values::real, 9);
        const vae_matrix dense(values, 33, element_type::float32, 0), wide(values, 33, element_type::float64, 7);
        const auto want = test::observe_gradient(*e, s.c, dense.given(3));
        expect_same(test::observe_gradient(*e, s.c, wide.given(3)), want);
        expect_same(test::observe_evaluation(*e, s.c, wide.given(3)),
                    test::observe_evaluation(*e, s.c, dense.given(3)));
    }
}

TEST(VaeEngineBits, OutputsMayBeLeftOutOrHaveGaps) {
    for (const context& ctx : test::contexts()) {
        SCOPED_TRACE(ctx.name());
        const session s(row_storage::float32);
        const auto e = s.engine(ctx);
        const vae_rows given = s.x.given(0);
        std::vector<double> reconstruction(rows), alone(rows), kl(rows), kl_alone(rows);
        std::vector<float> mean(rows * 5), log_variance(rows * 5);
        e->evaluate(given, 2, false, 1, {reconstruction.data(), kl.data(), nullptr, mean.data(), log_variance.data()});
        e->evaluate(given, 2, false, 1, {.reconstruction = alone.data()});
        EXPECT_EQ(alone, reconstruction);
        e->evaluate(given, 2, false, 1, {.kl = kl_alone.data()});
        EXPECT_EQ(kl_alone, kl);
        e->evaluate(given, 2, false, 1, {});
        // Means and log-variances side by side in one matrix, as a table of both would have them.
        std::vector<float> both(rows * 12, -7), decoded(rows * 40, -7), dense(rows * 33);
        e->encode(given, {both.data(), rows, 5, 12, memory_space::host},
                  {both.data() + 5, rows, 5, 12, memory_space::host});
        const matrix_view<const float> z(both.data(), rows, 5, 12, memory_space::host);
        e->decode(z, {decoded.data(), rows, 33, 40, memory_space::host});
        e->decode(matrix_view<const float>(mean.data(), rows, 5), {dense.data(), rows, 33});
        for (std::int64_t n = 0; n < rows; ++n) {
            for (std::int64_t l = 0; l < 5; ++l) {
                EXPECT_EQ(both[n * 12 + l], mean[n * 5 + l]);
                EXPECT_EQ(both[n * 12 + 5 + l], log_variance[n * 5 + l]);
            }
            EXPECT_EQ(both[n * 12 + 10], -7);
            for (std::int64_t j = 0; j < 33; ++j)
                EXPECT_EQ(decoded[n * 40 + j], dense[n * 33 + j]);
            EXPECT_EQ(decoded[n * 40 + 33], -7);
        }
    }
}

TEST(VaeEngineBits, TracesOfEarlierUseAreGone) {
    // A gradient does not depend on what the engine did before, nor on what was reserved.
    for (const context& ctx : test::contexts()) {
        SCOPED_TRACE(ctx.name());
        const session s(row_storage::bytes);
        const auto used = s.engine(ctx), fresh = s.engine(ctx);
        s.train(*used, 0, 0, 7);
        used->reserve({.batch = 2 * batch, .samples = 3, .slots = {rows, 3}, .storage = s.storage});
        used->set_parameters(fresh->parameters());
        const vae_rows given{s.x.view().slice(20, batch), 0, 0, batch, 120};
        expect_same(test::observe_gradient(*used, s.c, given), test::observe_gradient(*fresh, s.c, given));
        EXPECT_EQ(used->optimizer().steps, 0);
        EXPECT_EQ(used->optimizer().first_moment, fresh->optimizer().first_moment);
        EXPECT_GE(used->bytes_needed({.batch = 1000}), used->bytes_needed({.batch = 10}));
    }
}

} // namespace
} // namespace elbo
