// Every wrong argument of linear-Gaussian models gets an exception that names it, its value and what was expected.
#include "elbo/error.hpp"
#include "elbo/latent/factors.hpp"
#include "tests/support/backends.hpp"
#include "tests/support/factor_cases.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>
#include <limits>
#include <unistd.h>

namespace elbo::latent {
namespace {

using test::random_model;
using test::view;
using testing::AllOf;
using testing::HasSubstr;

constexpr double nan = std::numeric_limits<double>::quiet_NaN();

template <class E = invalid_argument, class Call>
std::string message_of(const Call& call) {
    try {
        call();
    } catch (const E& e) {
        return e.what();
    }
    return "no exception";
}

class LatentFactorBadInput : public testing::Test {
protected:
    std::vector<double> x_ = test::clustered(20, 4, 2, 3, 1);
    data_source data() const { return view(x_, 4); }
    /// The message of a fit with these options on each back end, which must agree.
    std::string fit_message(const factor_options& options) const {
        std::string message;
        for (const context& ctx : test::contexts()) {
            const std::string one = message_of([&] { fit(ctx, data(), options); });
            EXPECT_TRUE(message.empty() || message == one) << message << "\n" << one;
            message = one;
        }
        return message;
    }
};

TEST_F(LatentFactorBadInput, Options) {
    factor_options o;
    o.latent = 0;
    EXPECT_THAT(fit_message(o), AllOf(HasSubstr("latent = 0"), HasSubstr("1 to 3")));
    o.latent = 4;
    EXPECT_THAT(fit_message(o), AllOf(HasSubstr("latent = 4"), HasSubstr("1 to 3"), HasSubstr("ppca")));
    o.kind = factor_kind::factor_analysis;
    o.latent = 5;
    EXPECT_THAT(fit_message(o), AllOf(HasSubstr("latent = 5"), HasSubstr("1 to 4")));
    o = {};
    o.components = 2;
    EXPECT_THAT(fit_message(o), AllOf(HasSubstr("components = 2"), HasSubstr("expected 1 for ppca")));
    o = {};
    o.kind = factor_kind::factor_mixture;
    o.components = 21;
    EXPECT_THAT(fit_message(o), AllOf(HasSubstr("components = 21"), HasSubstr("20"), HasSubstr("distinct rows")));
    o.components = 0;
    EXPECT_THAT(fit_message(o), HasSubstr("components = 0"));
    o = {};
    o.own_noise = true;
    EXPECT_THAT(fit_message(o), HasSubstr("own_noise = true"));
    o = {};
    o.kind = factor_kind::factor_analysis;
    o.method = factor_method::eigen;
    EXPECT_THAT(fit_message(o), AllOf(HasSubstr("method = eigen"), HasSubstr("factor_analysis")));
    o = {};
    o.restarts = 0;
    EXPECT_THAT(fit_message(o), HasSubstr("restarts = 0"));
    o = {};
    o.max_iterations = 0;
    EXPECT_THAT(fit_message(o), HasSubstr("max_iterations = 0"));
    o = {};
    o.tolerance = nan;
    EXPECT_THAT(fit_message(o), HasSubstr("tolerance = nan"));
    o = {};
    o.noise_floor = 0;
    EXPECT_THAT(fit_message(o), HasSubstr("noise_floor = 0"));
    o = {};
    o.memory_limit = -1;
    EXPECT_THAT(fit_message(o), HasSubstr("memory_limit = -1"));
    o = {};
    o.start_model = random_model(factor_kind::ppca, 5, 1, 1, false, 1);
    EXPECT_THAT(fit_message(o), AllOf(HasSubstr("start_model has 5 dimensions"), HasSubstr("expected 4")));
    o.start_model = random_model(factor_kind::ppca, 4, 2, 1, false, 1);
    EXPECT_THAT(fit_message(o), AllOf(HasSubstr("latent = 2"), HasSubstr("ppca with 1 and 1")));
}

TEST_F(LatentFactorBadInput, DataAndWeights) {
    factor_options o;
    o.weights = std::vector<double>(19, 1.0);
    EXPECT_THAT(fit_message(o), AllOf(HasSubstr("weights has 19"), HasSubstr("20 rows")));
    std::vector<double> weights(20, 1.0);
    weights[3] = -1;
    o.weights = weights;
    EXPECT_THAT(fit_message(o), HasSubstr("weights[3] = -1"));
    std::vector<double> zero(20, 0.0);
    o.weights = zero;
    EXPECT_THAT(fit_message(o), HasSubstr("weights are all 0"));
    o = {};
    x_[4 * 7 + 2] = nan;
    EXPECT_THAT(fit_message(o), AllOf(HasSubstr("row 7, column 2"), HasSubstr("nan")));
    const factor_model m = random_model(factor_kind::ppca, 4, 1, 1, false, 1);
    for (const context& ctx : test::contexts()) {
        EXPECT_THAT(message_of([&] { log_density(ctx, m, data()); }), HasSubstr("row 7, column 2"));
        const std::vector<double> narrow(9, 0.0);
        EXPECT_THAT(message_of([&] { posterior(ctx, m, view(narrow, 3)); }),
                    AllOf(HasSubstr("3 columns"), HasSubstr("expected 4")));
        EXPECT_THAT(message_of([&] { score(ctx, m, view(narrow, 3)); }), HasSubstr("expected 4"));
    }
    EXPECT_THAT(message_of([&] { sample(context::reference(), m, -1, 0); }), HasSubstr("n = -1"));
    const std::vector<double> one(10, 1.0);
    EXPECT_THAT(message_of([&] { fit(context::reference(), view(one, 1), {}); }),
                AllOf(HasSubstr("dimensions = 1"), HasSubstr("at least 2 for ppca")));
}

TEST_F(LatentFactorBadInput, Models) {
    const factor_parameters good = random_model(factor_kind::factor_mixture, 3, 2, 2, true, 5).values();
    const auto message = [](const factor_parameters& p) { return message_of([&] { factor_model{p}; }); };
    factor_parameters p = good;
    p.weights = {0.5, 0.6};
    EXPECT_THAT(message(p), HasSubstr("weights sum to 1.1"));
    p = good;
    p.weights[0] = -0.1;
    EXPECT_THAT(message(p), HasSubstr("weights[0] = -0.1"));
    p = good;
    p.means.pop_back();
    EXPECT_THAT(message(p), AllOf(HasSubstr("means has 5"), HasSubstr("6")));
    p = good;
    p.loadings[4] = nan;
    EXPECT_THAT(message(p), HasSubstr("loadings[4] = nan"));
    p = good;
    p.noise[2] = 0;
    EXPECT_THAT(message(p), AllOf(HasSubstr("noise[2] = 0"), HasSubstr("positive")));
    p = good;
    p.noise.resize(4);
    EXPECT_THAT(message(p), AllOf(HasSubstr("noise has 4"), HasSubstr("3")));
    p = good;
    p.kind = factor_kind::ppca;
    EXPECT_THAT(message(p), HasSubstr("components = 2"));
    const factor_model m(good);
    EXPECT_THAT(message_of([&] { m.covariance(2); }), AllOf(HasSubstr("component = 2"), HasSubstr("0 to 1")));
    EXPECT_THAT(message_of([&] { m.posterior_covariance(-1); }), HasSubstr("component = -1"));
    EXPECT_THAT(message_of([] { factor_kind_from_string("pca"); }), AllOf(HasSubstr("pca"), HasSubstr("ppca")));
}

TEST_F(LatentFactorBadInput, Files) {
    const std::string path =
        (std::filesystem::temp_directory_path() / ("elbo_factor_bad_" + std::to_string(getpid()) + ".json")).string();
    const factor_model m = random_model(factor_kind::factor_analysis, 3, 1, 1, false, 5);
    EXPECT_THAT(message_of([&] { save(m, path, {"a", "b"}); }), HasSubstr("2 names"));
    EXPECT_FALSE(std::filesystem::exists(path));
    EXPECT_THAT(message_of([&] { save(m, "model.txt"); }), HasSubstr(".safetensors or .json"));
    const auto broken = [&](const std::string& from, const std::string& to) {
        save(m, path);
        std::ifstream in(path);
        std::string text((std::istreambuf_iterator<char>(in)), {});
        in.close();
        text.replace(text.find(from), from.size(), to);
        std::ofstream(path) << text;
        return message_of<file_error>([&] { load_factors(path); });
    };
    EXPECT_THAT(broken("elbo.factors", "elbo.other"), AllOf(HasSubstr(path), HasSubstr("elbo.factors")));
    EXPECT_THAT(broken("\"version\": 1", "\"version\": 2"), HasSubstr("version = 2"));
    EXPECT_THAT(broken("\"latent\": 1", "\"latent\": 4"), HasSubstr("latent = 4"));
    EXPECT_THAT(broken("\"columns\"", "\"rows\""), HasSubstr("noise_shape = 'rows'"));
    EXPECT_THAT(broken("factor_analysis", "analysis"), HasSubstr("analysis"));
    EXPECT_THAT(broken("\"means\"", "\"middles\""), HasSubstr("means"));
    std::filesystem::remove(path);
    EXPECT_THROW(load_factors(path), file_error);
}

} // namespace
} // namespace elbo::latent
