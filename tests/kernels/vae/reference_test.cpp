// The reference engine of variational autoencoders on networks small enough for a hand calculation.
#include "kernels/reference/vae/objective.hpp"
#include "tests/support/vae_networks.hpp"

#include <gtest/gtest.h>

#include <cmath>
#include <numbers>

namespace elbo::kernels {
namespace {

using test::given_rows;
using test::reference_engine;
using vae::gaussian_scale;

/// A handful of float64 operations on numbers of order one.
constexpr double few_roundings = 64 * 0x1p-53;
const double log_two_pi = std::log(2 * std::numbers::pi);

/// ε of the first latent unit.
double noise_of(std::uint64_t seed, noise_purpose purpose, std::uint64_t epoch, std::uint64_t row, std::uint32_t draw) {
    double normals[4];
    four_normals(noise_words(make_noise_key(seed, purpose, epoch), row, draw, 0), normals);
    return normals[0];
}

TEST(VaeLayout, OrderOfTheParameters) {
    vae::architecture a = test::make_architecture(3, 2, {5}, vae::activation::tanh,
                                                  test::gaussian(gaussian_scale::learned_per_dimension));
    const vae_layout network = make_layout(a);
    ASSERT_EQ(network.encoder.size(), 2u);
    EXPECT_EQ(network.encoder[0].weights, 0);
    EXPECT_EQ(network.encoder[0].bias, 15);
    EXPECT_EQ(network.encoder[0].form, vae::activation::tanh);
    EXPECT_EQ(network.encoder[1].weights, 20);
    EXPECT_EQ(network.encoder[1].outputs, 4);
    EXPECT_EQ(network.encoder[1].bias, 40);
    EXPECT_EQ(network.encoder[1].form, vae::activation::identity);
    ASSERT_EQ(network.decoder.size(), 2u);
    EXPECT_EQ(network.decoder[0].weights, 44);
    EXPECT_EQ(network.decoder[1].weights, 44 + 15);
    EXPECT_EQ(network.decoder[1].bias, 44 + 15 + 15);
    EXPECT_EQ(network.own, 77);
    EXPECT_EQ(network.own_count, 3);
    EXPECT_EQ(network.parameters, 80);
    EXPECT_EQ(network.sphere_radius, -1);

    a.latent = 3;
    a.encoder = {};
    a.decoder_form = vae::decoder_kind::sphere;
    a.likelihood.scale = gaussian_scale::optimal;
    const vae_layout sphere = make_layout(a);
    EXPECT_TRUE(sphere.decoder.empty());
    EXPECT_EQ(sphere.sphere_radius, 3 * 6 + 6);
    EXPECT_EQ(sphere.sphere_centre, 25);
    EXPECT_EQ(sphere.own, 28);
    EXPECT_EQ(sphere.parameters, 29);
    a.likelihood.scale = gaussian_scale::fixed;
    EXPECT_EQ(make_layout(a).parameters, 28);
    EXPECT_EQ(make_layout(a).own, -1);
}

TEST(VaeReference, OneByOneGaussianByHand) {
    // μ = 2x + 1, a = 0.5x; decoder 3z − 1, σ = 0.7. Terms and gradients written out for two draws.
    const auto a = test::make_architecture(1, 1, {}, vae::activation::identity, test::gaussian(gaussian_scale::fixed));
    const auto engine = reference_engine(a, {2, 0.5, 1, 0, 3, -1});
    const std::vector<double> x = {0.8};
    const vae_settings s{.samples = 2, .seed = 9};
    std::vector<double> gradient;
    const step_record record = engine->gradient(s, 0.5, 4, given_rows(x, 1, 6), gradient);

    const double mu = 2.6, lv = 15 * std::tanh(0.4 / 15), sigma = std::exp(lv / 2), precision = 1 / 0.49;
    double reconstruction = 0, error = 0, of_weight = 0, of_bias = 0, of_mu = 0, of_lv = 0;
    for (std::uint32_t draw : {0u, 1u}) {
        const double noise = noise_of(9, noise_purpose::latent, 4, 6, draw), z = mu + sigma * noise;
        const double difference = 0.8 - (3 * z - 1);
        error += difference * difference / 2;
        reconstruction += -0.5 * (log_two_pi + std::log(0.49) + difference * difference * precision) / 2;
        of_weight += z * difference * precision / 2;
        of_bias += difference * precision / 2;
        of_mu += 3 * difference * precision / 2;
        of_lv += 0.5 * 3 * difference * precision * noise * sigma / 2;
    }
    const double kl = 0.5 * (mu * mu + std::exp(lv) - 1 - lv);
    of_mu -= 0.5 * mu;
    of_lv -= 0.25 * (std::exp(lv) - 1);
    const double of_a = of_lv * (1 - lv * lv / 225);
    const std::vector<double> want = {of_mu * 0.8, of_a * 0.8, of_mu, of_a, of_weight, of_bias};
    const double tolerance = 100 * few_roundings; // terms up to 100
    EXPECT_EQ(record.rows, 1);
    EXPECT_NEAR(record.reconstruction, reconstruction, tolerance);
    EXPECT_NEAR(record.kl, kl, tolerance);
    EXPECT_NEAR(record.objective, reconstruction - 0.5 * kl, tolerance);
    EXPECT_NEAR(record.squared_error, error, tolerance);
    double squares = 0;
    for (std::size_t i = 0; i < want.size(); ++i) {
        EXPECT_NEAR(gradient[i], want[i], tolerance) << i;
        squares += want[i] * want[i];
    }
    EXPECT_NEAR(record.gradient_norm, std::sqrt(squares), tolerance);
}

TEST(VaeReference, ZeroNetworkKnowsNothing) {
    // All parameters 0: q is the prior, every logit 0.
    for (std::int64_t samples : {1, 3}) {
        const auto bernoulli = test::make_architecture(3, 2, {2}, vae::activation::tanh);
        auto engine = reference_engine(bernoulli, std::vector<double>(make_layout(bernoulli).parameters, 0));
        const auto x = test::network_rows(bernoulli, 4, test::values::bytes, 1);
        std::vector<double> reconstruction(4), kl(4);
        engine->evaluate(given_rows(x, 3), samples, false, 5,
                         {reconstruction.data(), kl.data(), nullptr, nullptr, nullptr});
        for (int n = 0; n < 4; ++n) {
            EXPECT_NEAR(reconstruction[n], -3 * std::numbers::ln2, few_roundings);
            EXPECT_EQ(kl[n], 0);
        }
        const auto blocks = test::make_architecture(7, 2, {2}, vae::activation::relu, test::categorical(7));
        engine = reference_engine(blocks, std::vector<double>(make_layout(blocks).parameters, 0));
        const auto y = test::network_rows(blocks, 4, test::values::bits, 1);
        engine->evaluate(given_rows(y, 7), samples, false, 5,
                         {reconstruction.data(), kl.data(), nullptr, nullptr, nullptr});
        for (int n = 0; n < 4; ++n)
            EXPECT_NEAR(reconstruction[n], -std::log(3.0) - std::log(4.0), few_roundings);
    }
}

TEST(VaeReference, SphereByHandAndAtTheOrigin) {
    vae::architecture a =
        test::make_architecture(2, 2, {}, vae::activation::identity, test::gaussian(gaussian_scale::fixed));
    a.decoder_form = vae::decoder_kind::sphere;
    const vae_layout layout = make_layout(a);
    std::vector<double> p(layout.parameters, 0);
    p[layout.sphere_radius] = 2;
    p[layout.sphere_centre] = 1;
    p[layout.sphere_centre + 1] = -1;
    const std::vector<float> z = {3, 4, 0, 0};
    std::vector<float> out(4);
    reference_engine(a, p)->decode(matrix_view<const float>(z.data(), 2, 2), {out.data(), 2, 2});
    EXPECT_FLOAT_EQ(out[0], 1 + 2 * 0.6f);
    EXPECT_FLOAT_EQ(out[1], -1 + 2 * 0.8f);
    EXPECT_EQ(out[2], 1);
    EXPECT_EQ(out[3], -1);
    reference::decoder_tape tape;
    reference::decode(layout, p, {0, 0}, tape);
    std::vector<double> gradient(layout.parameters, 0);
    EXPECT_EQ(reference::decode_backward(layout, p, tape, {3, 5}, gradient), (std::vector<double>{0, 0}));
    EXPECT_EQ(gradient[layout.sphere_radius], 0);
    EXPECT_EQ(gradient[layout.sphere_centre + 1], 5);
}

TEST(VaeReferenceStep, MovesAlongTheGradient) {
    const auto a = test::make_architecture(4, 2, {3}, vae::activation::tanh);
    const auto p = test::network_parameters(make_layout(a), 3);
    const auto x = test::network_rows(a, 5, test::values::bytes, 4);
    const auto engine = reference_engine(a, p);
    vae_settings s{.seed = 1, .optimizer = {.kind = vae::optimizer_kind::sgd, .momentum = 0}, .average_decay = 0.75};
    std::vector<double> gradient;
    const step_record look = engine->gradient(s, 1, 3, given_rows(x, 4), gradient);
    EXPECT_EQ(engine->parameters(), p);
    const step_record record = engine->train_on(s, {0.5, 1}, 3, given_rows(x, 4));
    EXPECT_EQ(record.objective, look.objective);
    EXPECT_EQ(record.gradient_norm, look.gradient_norm);
    const auto moved = engine->parameters();
    const optimizer_state state = engine->optimizer();
    EXPECT_EQ(state.steps, 1);
    for (std::size_t i = 0; i < p.size(); ++i) {
        EXPECT_NEAR(moved[i], p[i] + 0.5 * gradient[i], few_roundings);
        EXPECT_NEAR(state.average[i], 0.75 * p[i] + 0.25 * moved[i], few_roundings);
    }
    // Clipped to a tenth of its norm.
    engine->set_parameters(p);
    s.optimizer.clip_norm = look.gradient_norm / 10;
    engine->train_on(s, {0.5, 1}, 3, given_rows(x, 4));
    for (std::size_t i = 0; i < p.size(); ++i)
        EXPECT_NEAR(engine->parameters()[i], p[i] + 0.05 * gradient[i], few_roundings);
}

TEST(VaeReferenceStep, SliceTakesRowsInShuffledOrder) {
    const auto a = test::make_architecture(4, 2, {3}, vae::activation::tanh);
    const auto p = test::network_parameters(make_layout(a), 3);
    const std::int64_t rows = 7, first_row = 100;
    const auto x = test::network_rows(a, rows, test::values::bytes, 4);
    const vae_settings s{.binarize = true, .seed = 1};
    const auto whole = reference_engine(a, p), single = reference_engine(a, p);
    whole->reserve({1, 1, {rows}, row_storage::bytes});
    whole->load(0, 0, given_rows(x, 4).x);
    const train_slice slice{.epoch = 2,
                            .window = 1,
                            .window_rows = rows,
                            .first_row = first_row,
                            .batch = 1,
                            .steps = std::vector<step_schedule>(rows, {0.01, 1})};
    const auto records = whole->train(s, slice);
    ASSERT_EQ(records.size(), 7u);
    const shuffle_order order = make_shuffle(1, 2, 1, rows);
    for (std::int64_t i = 0; i < rows; ++i) {
        const auto slot = static_cast<std::int64_t>(shuffled(order, i));
        const vae_rows row{given_rows(x, 4).x.slice(slot, 1), 0, 0, 1, first_row + slot};
        EXPECT_EQ(single->train_on(s, {0.01, 1}, 2, row).objective, records[i].objective);
    }
    EXPECT_EQ(single->parameters(), whole->parameters());
}

} // namespace
} // namespace elbo::kernels
