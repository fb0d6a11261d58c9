// Architectures: what is allowed, what it costs, and the parameters that training begins with.
#include "elbo/error.hpp"
#include "elbo/vae/model.hpp"
#include "elbo/vae/train.hpp"
#include "kernels/contract/vae_layout.hpp"
#include "tests/support/io_files.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>

namespace elbo::vae {
namespace {

/// The one-layer network of arXiv 1509.00519.
architecture published() {
    architecture a;
    a.dimensions = 784;
    a.latent = 50;
    a.encoder = {200, 200};
    a.decoder = {200, 200};
    return a;
}

architecture sphere() {
    architecture a;
    a.dimensions = a.latent = 3;
    a.encoder = {5};
    a.decoder = {};
    a.decoder_form = decoder_kind::sphere;
    a.likelihood.family = likelihood_family::gaussian;
    return a;
}

TEST(VaeArchitecture, CountsParametersAndOperations) {
    const architecture a = published();
    // Twice: the encoder puts out 100, the decoder takes 50.
    const std::int64_t encoder = 785 * 200 + 201 * 200 + 201 * 100, decoder = 51 * 200 + 201 * 200 + 201 * 784;
    EXPECT_EQ(a.parameters(), encoder + decoder);
    const double first = 784 * 200, others = 200 * 200 + 200 * 100, decoded = 50 * 200 + 200 * 200 + 200 * 784;
    EXPECT_EQ(a.training_flops_per_sample(), 2 * (2 * first + 3 * others + 3 * decoded));
    EXPECT_EQ(a.training_flops_per_sample(5), 2 * (2 * first + 3 * others + 5 * 3 * decoded));
    EXPECT_GT(a.training_bytes(100), 16 * a.parameters());
    EXPECT_GT(a.training_bytes(100, 5), a.training_bytes(100));
    EXPECT_EQ(sphere().parameters(), 4 * 5 + 6 * 6 + 4);
}

TEST(VaeArchitecture, TheSummaryTellsLayersAndCosts) {
    const std::string text = published().summary();
    for (const char* part : {"encoder.0", "784 -> 200", "decoder.2", "200 -> 784", "tanh", "bernoulli", "FLOP",
                             "parameters", "for a step of 128 samples"})
        EXPECT_NE(text.find(part), text.npos) << part << " in\n" << text;
    EXPECT_NE(sphere().summary().find("sphere"), std::string::npos);
}

TEST(VaeArchitecture, NamesGoBothWays) {
    for (const activation f : {activation::identity, activation::tanh, activation::relu, activation::gelu,
                               activation::silu, activation::softplus})
        EXPECT_EQ(activation_from_string(to_string(f)), f);
    for (const likelihood_family l :
         {likelihood_family::bernoulli, likelihood_family::gaussian, likelihood_family::categorical})
        EXPECT_EQ(likelihood_from_string(to_string(l)), l);
    for (const gaussian_scale s : {gaussian_scale::fixed, gaussian_scale::learned,
                                   gaussian_scale::learned_per_dimension, gaussian_scale::optimal})
        EXPECT_EQ(gaussian_scale_from_string(to_string(s)), s);
    for (const decoder_kind k : {decoder_kind::network, decoder_kind::sphere})
        EXPECT_EQ(decoder_kind_from_string(to_string(k)), k);
    for (const objective o : {objective::elbo, objective::importance})
        EXPECT_EQ(objective_from_string(to_string(o)), o);
    for (const gradient_estimator g : {gradient_estimator::standard, gradient_estimator::sticking_the_landing,
                                       gradient_estimator::doubly_reparameterized})
        EXPECT_EQ(gradient_estimator_from_string(to_string(g)), g);
    for (const optimizer_kind o : {optimizer_kind::adam, optimizer_kind::adamw, optimizer_kind::sgd})
        EXPECT_EQ(optimizer_from_string(to_string(o)), o);
    for (const training_precision p :
         {training_precision::float32, training_precision::tf32, training_precision::bfloat16})
        EXPECT_EQ(training_precision_from_string(to_string(p)), p);
    EXPECT_EQ(to_string(train_stop::early_stopping), "early_stopping");
    EXPECT_EQ(to_string(schedule::kind::cosine), "cosine");
    test::expect_error<invalid_argument>([] { activation_from_string("sigmoid"); },
                                         {"activation = \"sigmoid\"", "tanh", "softplus"});
}

TEST(VaeArchitecture, WrongFieldsAreNamed) {
    const auto expect = [](const architecture& a, std::initializer_list<std::string_view> parts) {
        test::expect_error<invalid_argument>([&] { a.check(); }, parts);
        test::expect_error<invalid_argument>([&] { model m(a); }, parts);
    };
    architecture a = published();
    a.dimensions = 0;
    expect(a, {"dimensions = 0", "expected 1"});
    a = published();
    a.latent = 0;
    expect(a, {"latent = 0", "expected 1"});
    a = published();
    a.encoder = {200, 0};
    expect(a, {"encoder[1] = 0", "expected 1"});
    a = published();
    a.decoder = {-3};
    expect(a, {"decoder[0] = -3", "expected 1"});
    a = published();
    a.encoder = std::vector<std::int64_t>(5, std::int64_t(1) << 24);
    expect(a, {"parameters: expected at most"});
    a = published();
    a.likelihood.blocks = {784};
    expect(a, {"likelihood.blocks", "none", "bernoulli"});
    a.likelihood.family = likelihood_family::gaussian;
    expect(a, {"likelihood.blocks", "none", "gaussian"});
    a.likelihood.family = likelihood_family::categorical;
    a.likelihood.blocks = {};
    expect(a, {"likelihood.blocks is empty"});
    a.likelihood.blocks = {700, 80};
    expect(a, {"add up to 780", "expected 784"});
    a.likelihood.blocks = {784, 0};
    expect(a, {"likelihood.blocks[1] = 0"});
    a = published();
    a.likelihood.family = likelihood_family::gaussian;
    for (const double sigma : {0.0, -1.0, std::nan(""), HUGE_VAL}) {
        a.likelihood.sigma = sigma;
        expect(a, {"likelihood.sigma = ", "positive"});
    }
    for (const likelihood_family f : {likelihood_family::bernoulli, likelihood_family::categorical}) {
        a = published();
        a.likelihood.family = f;
        if (f == likelihood_family::categorical)
            a.likelihood.blocks = {784};
        a.likelihood.scale = gaussian_scale::learned;
        expect(a, {"likelihood.scale = learned", "fixed", "no sigma"});
        a.likelihood.scale = gaussian_scale::fixed;
        a.likelihood.sigma = 0.5;
        expect(a, {"likelihood.sigma = 0.5", "expected 1", "no sigma"});
    }
    a = sphere();
    a.latent = 2;
    expect(a, {"latent = 2", "expected 3", "sphere"});
    a = sphere();
    a.likelihood.family = likelihood_family::bernoulli;
    expect(a, {"likelihood = bernoulli", "gaussian", "sphere"});
}

TEST(VaeModel, FirstWeightsAreGlorotOrHeUniform) {
    for (const bool he : {false, true}) {
        architecture a = published();
        a.hidden = he ? activation::relu : activation::tanh;
        const model m(a, 11);
        const kernels::vae_layout layout = kernels::make_layout(a);
        for (const auto& layer : {layout.encoder[0], layout.encoder[1], layout.decoder[2]}) {
            const bool hidden = layer.form != activation::identity;
            const double limit =
                std::sqrt(6.0 / static_cast<double>(he && hidden ? layer.inputs : layer.inputs + layer.outputs));
            const auto first = m.parameters().begin() + layer.weights, last = first + layer.inputs * layer.outputs;
            const auto [least, most] = std::minmax_element(first, last);
            // Among n uniform numbers the extremes lie within a share of 20/n of the ends, but for e^-10 of all cases.
            const double n = static_cast<double>(last - first);
            EXPECT_GE(*least, -limit * (1 + 1e-7));
            EXPECT_LE(*most, limit * (1 + 1e-7));
            EXPECT_LT(*least, -limit * (1 - 20 / n));
            EXPECT_GT(*most, limit * (1 - 20 / n));
            double sum = 0;
            for (auto w = first; w != last; ++w)
                sum += *w;
            EXPECT_NEAR(sum / n, 0, 5 * limit / std::sqrt(3 * n));
            EXPECT_TRUE(std::all_of(&m.parameters()[layer.bias], &m.parameters()[layer.bias] + layer.outputs,
                                    [](double b) { return b == 0; }));
        }
    }
    EXPECT_EQ(model(published(), 3).parameters(), model(published(), 3).parameters());
    EXPECT_NE(model(published(), 3).parameters(), model(published(), 4).parameters());
}

TEST(VaeModel, TheOutputBiasGivesTheMeanOfTheData) {
    architecture a;
    a.dimensions = 4;
    a.encoder = {5};
    a.decoder = {};
    const auto bias = [&](const std::vector<double>& mean) {
        const model m(a, 1, mean);
        const std::int64_t first = kernels::make_layout(a).decoder.back().bias;
        return std::vector<double>(m.parameters().begin() + first, m.parameters().begin() + first + 4);
    };
    const std::vector<double> logits = bias({0.5, 0.25, 0, 1});
    const auto rounded = [](double v) { return static_cast<double>(static_cast<float>(v)); };
    EXPECT_EQ(logits[0], 0);
    EXPECT_EQ(logits[1], rounded(std::log(1.0 / 3)));
    EXPECT_TRUE(std::isfinite(logits[2]) && logits[2] < -6);
    EXPECT_TRUE(std::isfinite(logits[3]) && logits[3] > 6);
    a.likelihood.family = likelihood_family::gaussian;
    EXPECT_EQ(bias({3, -2, 0.5, 0}), (std::vector<double>{3, -2, 0.5, 0}));
    a.likelihood = {likelihood_family::categorical};
    a.likelihood.blocks = {2, 2};
    const std::vector<double> one_hot = bias({0.2, 0.8, 0.5, 0.5});
    EXPECT_NEAR(one_hot[1] - one_hot[0], std::log(4.0), 1e-6);
    EXPECT_EQ(one_hot[2], one_hot[3]);
    test::expect_error<invalid_argument>([&] { bias({0.2, 1.5, 0, 0}); }, {"data_mean[1] = 1.5", "0 to 1"});
    test::expect_error<invalid_argument>([&] { bias({0.2}); }, {"data_mean has 1", "4"});
}

TEST(VaeModel, SoftplusIsNotZeroAtZeroAndTheBiasMakesUpForIt) {
    architecture a;
    a.dimensions = 2;
    a.latent = 1;
    a.encoder = {};
    a.decoder = {3};
    a.hidden = activation::softplus;
    a.likelihood.family = likelihood_family::gaussian;
    const model m(a, 1, {5, -5});
    const kernels::vae_layout layout = kernels::make_layout(a);
    for (std::int64_t j = 0; j < 2; ++j) {
        double output = m.parameters()[layout.decoder[1].bias + j];
        for (std::int64_t i = 0; i < 3; ++i)
            output += std::log(2.0) * m.parameters()[layout.decoder[1].weights + i * 2 + j];
        EXPECT_NEAR(output, j == 0 ? 5 : -5, 1e-6);
    }
}

TEST(VaeModel, SigmaFollowsTheKindOfScale) {
    architecture a;
    a.dimensions = 2;
    EXPECT_TRUE(model(a).sigma().empty());
    a.likelihood.family = likelihood_family::gaussian;
    a.likelihood.sigma = 0.5;
    EXPECT_EQ(model(a).sigma(), std::vector<double>{0.5});
    a.likelihood.scale = gaussian_scale::learned_per_dimension;
    const std::vector<double> sigma = model(a).sigma();
    ASSERT_EQ(sigma.size(), 2u);
    EXPECT_NEAR(sigma[1], 0.5, 1e-7);
    a.likelihood.scale = gaussian_scale::optimal;
    EXPECT_EQ(model(a).sigma().size(), 1u);
}

TEST(VaeModel, GivenParametersAreChecked) {
    const architecture a = sphere();
    std::vector<double> p(a.parameters(), 0.5);
    EXPECT_EQ(model(a, p).parameters(), p);
    p[3] = std::nan("");
    test::expect_error<invalid_argument>([&] { model(a, p); }, {"parameters[3] = nan", "finite"});
    p.pop_back();
    test::expect_error<invalid_argument>([&] { model(a, p); }, {"parameters has 59 numbers", "expected 60"});
}

} // namespace
} // namespace elbo::vae
