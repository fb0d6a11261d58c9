// Statistics on every back end: sums that merge, far rows and light weights, files.
#include "elbo/error.hpp"
#include "elbo/gmm/infer.hpp"
#include "elbo/gmm/online.hpp"
#include "host/io/model/safetensors.hpp"
#include "tests/support/backends.hpp"
#include "tests/support/data.hpp"
#include "tests/support/gmm/cases.hpp"
#include "tests/support/gmm/stream.hpp"
#include "tests/support/io_files.hpp"
#include "tests/support/sources.hpp"

#include <gtest/gtest.h>

#include <cmath>

namespace elbo::gmm {
namespace {

using test::part;
using test::refuses;
using test::start_of;
using test::view;

// Rows at ±1000 have the variance 10⁶, whatever their weight; 2⁷⁰ is too much for the sums.
TEST(GmmStatistics, HeavyRowsFarAwayAreSummedRightlyOrRefused) {
    const model standard = model::from_covariances(family::full, 1, {1}, {0}, {1});
    std::vector<double> x(4096);
    for (std::size_t n = 0; n < x.size(); ++n)
        x[n] = n % 2 == 0 ? 1000 : -1000;
    for (const context& ctx : test::contexts()) {
        int summed = 0;
        for (int exponent = 0; exponent <= 40; exponent += 2) {
            SCOPED_TRACE(ctx.name() + " 2^" + std::to_string(exponent));
            const std::vector<double> weights(x.size(), std::ldexp(1.0, exponent));
            statistics s(standard);
            try {
                s.accumulate(ctx, matrix_view<const double>(x.data(), 4096, 1), weights);
            } catch (const invalid_argument&) {
                EXPECT_EQ(s.total_weight(), 0);
                continue;
            }
            ++summed;
            // λ = 1e-6 of the variance beside; sums of whole numbers are exact.
            EXPECT_NEAR(maximize(s, fit_options{}).covariances()[0], 1e6, 2);
        }
        EXPECT_GE(summed, 12);
        EXPECT_LT(summed, 21);
    }
}

TEST(GmmStatistics, LightWeightsCountAsHeavyOnes) {
    const std::int64_t rows = 400;
    const std::vector<double> x = test::clustered(rows, 2, 2, 5.0, 8);
    const model m = start_of(x, 2, family::full, 2);
    for (const context& ctx : test::contexts()) {
        SCOPED_TRACE(ctx.name());
        const score_result plain = score(ctx, m, view(x, 2));
        for (const int exponent : {-20, -40, -300, 60}) { // powers of two: nothing is rounded
            const double weight = std::ldexp(1.0, exponent);
            const score_result r = score(ctx, m, view(x, 2), std::vector<double>(rows, weight));
            EXPECT_EQ(r.total_weight, rows * weight);
            EXPECT_EQ(r.log_likelihood, plain.log_likelihood);
            EXPECT_EQ(r.entropy, plain.entropy);
        }
        // Statistics take weights as they are: 400 of 2⁻³⁰ sum to 4e-7, the sums of the unit are rounded to 2⁻⁴¹, and
        // log-likelihoods of a few nats with them, so 4e-6 of a nat is what that may cost.
        statistics light(m);
        light.accumulate(ctx, view(x, 2), std::vector<double>(rows, 0x1p-30));
        EXPECT_NEAR(light.total_log_likelihood() / light.total_weight(), plain.log_likelihood, 1e-5);
        try {
            light.accumulate(ctx, view(x, 2), std::vector<double>(rows, 0x1p-40));
            ADD_FAILURE() << "weights below the range of the sums were taken";
        } catch (const invalid_argument& e) {
            EXPECT_NE(std::string(e.what()).find("too little for the sums"), std::string::npos) << e.what();
        }
        EXPECT_EQ(light.samples(), rows);
    }
}

TEST(GmmStatistics, AssignmentRevivesWhatWasMovedFrom) {
    const model m = model::from_covariances(family::spherical, 2, {1}, {0, 0}, {1});
    statistics moved(m);
    statistics taken(std::move(moved));
    moved = taken;
    EXPECT_EQ(moved.under(), m);
}

TEST(GmmStatisticsFile, PartsOfOtherProcessesMergeToTheBitsOfOne) {
    const std::int64_t unit = statistics::unit_rows(), cols = 2, rows = 2 * unit + 77;
    const std::vector<double> x = test::clustered(rows, cols, 3, 3.0, 6);
    const test::temporary_folder folder;
    for (const context& ctx : test::contexts())
        for (family f : test::all_families) {
            SCOPED_TRACE(ctx.name() + " " + std::string(to_string(f)));
            const model m = start_of(x, cols, f, 2);
            statistics whole(m), first(m), second(m);
            whole.accumulate(ctx, view(x, cols));
            first.accumulate(ctx, part(x, cols, 0, unit));
            second.accumulate(ctx, part(x, cols, unit, rows - unit));
            save(first, folder.path("1.safetensors"));
            save(second, folder.path("2.safetensors"), {"a", "b"});
            statistics merged = load_statistics(folder.path("2.safetensors"));
            merged.merge(load_statistics(folder.path("1.safetensors")));
            EXPECT_EQ(merged.samples(), rows);
            EXPECT_EQ(merged.total_log_likelihood(), whole.total_log_likelihood());
            EXPECT_EQ(merged.total_entropy(), whole.total_entropy());
            EXPECT_EQ(merged.component_weights(), whole.component_weights());
            EXPECT_EQ(maximize(merged, {}), maximize(whole, {}));
            // And a stream takes them as its own.
            online here(m), there(m);
            here.partial_fit(ctx, view(x, cols));
            there.partial_fit(merged);
            EXPECT_EQ(here.model(), there.model());
        }
}

TEST(GmmStatisticsFile, FaultyFilesAreRefusedWithTheirPlace) {
    const test::temporary_folder folder;
    const std::string path = folder.path("part.safetensors");
    const std::vector<double> x = test::clustered(50, 2, 2, 3.0, 6);
    statistics s(start_of(x, 2, family::tied, 2));
    s.accumulate(context::reference(), view(x, 2));
    save(s, path);
    const io::tensor_file good = io::read_safetensors(path);
    const auto with = [&](const auto& change) {
        io::tensor_file file = good;
        change(file);
        io::write_safetensors(path, file);
        return [&] { load_statistics(path); };
    };
    refuses("samples = -1", with([](io::tensor_file& f) { f.metadata["samples"] = "-1"; }));
    refuses("component_exponent = 3", with([](io::tensor_file& f) { f.metadata["component_exponent"] = "3"; }));
    refuses("version = 2", with([](io::tensor_file& f) { f.metadata["version"] = "2"; }));
    refuses("format = 'elbo.gmm'", with([](io::tensor_file& f) { f.metadata["format"] = "elbo.gmm"; }));
    refuses("scatter", with([](io::tensor_file& f) { f.tensors.erase("scatter"); }));
    refuses("scale[0]", with([](io::tensor_file& f) {
                f.tensors["scale"] = io::tensor::of({2}, std::vector{3.0, 1.0});
            }));
    refuses("tensor 'sums': element [0, 1]",
            with([](io::tensor_file& f) { f.tensors["sums"].bytes[8 + 7] = std::byte{0x80}; }));
    refuses("tensor 'sums'", with([](io::tensor_file& f) {
                f.tensors["sums"] = io::tensor::of({3}, std::vector<std::int64_t>{1, 2, 3});
            }));
    folder.write("part.safetensors", test::read_bytes(path).substr(0, 100));
    refuses("byte", [&] { load_statistics(path); });
    refuses("missing.safetensors", [&] { load_statistics(folder.path("missing.safetensors")); });
    EXPECT_THROW(save(s, folder.path("part.json")), invalid_argument);
    EXPECT_THROW(save(s, path, {"one name"}), invalid_argument);
}

} // namespace
} // namespace elbo::gmm
