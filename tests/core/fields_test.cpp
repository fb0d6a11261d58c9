// Tables of names and of fields. That a table has all members in their order is checked where it is compiled.
#include "host/fields.hpp"

#include "host/gmm/fields.hpp"
#include "host/io/model/fields_json.hpp"
#include "host/io/model/json.hpp"
#include "host/latent/fields.hpp"
#include "host/vae/fields.hpp"

#include <gmock/gmock.h>
#include <limits>

namespace {

using namespace elbo;
using testing::HasSubstr;

enum class fruit { apple, pear };

struct inner {
    double share = 0.5;
    bool on = false;
};

struct outer {
    std::int64_t count = 1;
    std::optional<double> rate = {};
    std::vector<double> sizes = {};
    inner part = {};
    fruit which = fruit::pear;
    std::optional<inner> other = {};
};

template <class... M>
constexpr bool is_table(const field<outer, M>&...) {
    return requires(M... m) {
        outer{m...};
    }
    &&!requires(M... m) {
        outer{m..., {}};
    };
}

} // namespace

template <>
inline constexpr name_table elbo::names<fruit>{"fruit", {"apple", "pear"}};

template <>
inline constexpr auto elbo::fields<inner> = [] {
    return table<inner>(field{"share", &inner::share, fraction, "A share"}, field{"on", &inner::on});
}();

template <>
inline constexpr auto elbo::fields<outer> = [] {
    using s = outer;
    return table<s>(field{"count", &s::count, between(1, 8), "How many"}, field{"rate", &s::rate, positive, "Rate"},
                    field{"sizes", &s::sizes, at_least(0)}, field{"part", &s::part}, field{"which", &s::which},
                    field{"other", &s::other}.free());
}();

namespace {

/// What the first rule that is broken says.
template <class S>
std::string problem(const S& s) {
    try {
        check_fields(s);
    } catch (const invalid_argument& e) {
        return e.what();
    }
    return "";
}

TEST(Fields, TableWithoutAMemberIsNotOne) {
    EXPECT_TRUE(is_table(field{"", &outer::count}, field{"", &outer::rate}, field{"", &outer::sizes},
                         field{"", &outer::part}, field{"", &outer::which}, field{"", &outer::other}));
    EXPECT_FALSE(is_table(field{"", &outer::count}, field{"", &outer::rate}, field{"", &outer::sizes},
                          field{"", &outer::part}, field{"", &outer::which}));
    EXPECT_FALSE(is_table(field{"", &outer::rate}, field{"", &outer::count}, field{"", &outer::sizes},
                          field{"", &outer::part}, field{"", &outer::which}, field{"", &outer::other}));
}

TEST(Fields, FieldOfAMember) {
    EXPECT_EQ(field_of(&outer::rate).name, "rate");
    EXPECT_EQ(field_of(&outer::rate).help, "Rate");
    EXPECT_EQ(field_of(&inner::share).allowed.most, 1);
    EXPECT_TRUE(field_of(&outer::part).decides);
    EXPECT_FALSE(field_of(&outer::other).decides);
}

TEST(Fields, RulesNameFieldValueAndWhatWasExpected) {
    constexpr double infinity = std::numeric_limits<double>::infinity(), nan = std::numeric_limits<double>::quiet_NaN();
    EXPECT_EQ(problem(outer{}), "");
    EXPECT_EQ(problem(outer{.count = 0}), "count = 0: expected 1 to 8");
    EXPECT_EQ(problem(outer{.count = 9}), "count = 9: expected 1 to 8");
    EXPECT_EQ(problem(outer{.rate = 0}), "rate = 0: expected a finite number above 0");
    EXPECT_EQ(problem(outer{.rate = infinity}), "rate = inf: expected a finite number above 0");
    EXPECT_EQ(problem(outer{.rate = nan}), "rate = nan: expected a finite number above 0");
    EXPECT_EQ(problem(outer{.sizes = {0, -1}}), "sizes[1] = -1: expected a finite number, at least 0");
    EXPECT_EQ(problem(outer{.part = {.share = 1}}), "part.share = 1: expected at least 0 and less than 1");
    EXPECT_EQ(problem(outer{.other = inner{.share = -1}}), "other.share = -1: expected at least 0 and less than 1");
}

TEST(Fields, Json) {
    const outer s{.rate = 2.5, .sizes = {1, 2}, .other = inner{.on = true}};
    const io::json wanted = {{"count", 1},
                             {"rate", 2.5},
                             {"sizes", std::vector<double>{1, 2}},
                             {"part", {{"share", 0.5}, {"on", false}}},
                             {"which", "pear"},
                             {"other", {{"share", 0.5}, {"on", true}}}};
    EXPECT_EQ(io::json_of(s), wanted) << io::json_text(io::json_of(s));
    EXPECT_TRUE(io::json_of(outer{}).at("rate").is_null());
}

TEST(Fields, JsonOfResults) {
    const io::json plan = {{"data", 1}, {"normalized", 2}, {"workspace", 3}, {"peak", 6}, {"streamed", true}};
    EXPECT_EQ(io::json_of(gmm::memory_plan{1, 2, 3, 6, true}), plan);
    const io::json divergence = {{"divergence", 0.5}, {"standard_error", 0.25}, {"samples", 9}};
    EXPECT_EQ(io::json_of(gmm::divergence_result{0.5, 0.25, 9}), divergence);
    const io::json regress = {{"covariances", true}, {"responsibilities", false}};
    EXPECT_EQ(io::json_of(gmm::regress_options{.covariances = true}), regress);
    EXPECT_EQ(problem(gmm::divergence_options{.samples = 1}), "samples = 1: expected at least 2");
}

/// Every value has the name in its place, and the name leads back.
template <class E>
void expect_names(const std::vector<std::string>& wanted, E (*from_string)(std::string_view)) {
    ASSERT_EQ(names<E>.of_values.size(), wanted.size());
    for (std::size_t i = 0; i < wanted.size(); ++i) {
        EXPECT_EQ(to_string(static_cast<E>(i)), wanted[i]);
        EXPECT_EQ(from_string(wanted[i]), static_cast<E>(i));
    }
    EXPECT_EQ(to_string(static_cast<E>(wanted.size())), "?");
    EXPECT_THROW(from_string("?"), invalid_argument);
    EXPECT_THROW(from_string(""), invalid_argument);
}

TEST(Names, OfMixtures) {
    using namespace gmm;
    expect_names({"full", "diagonal", "spherical", "tied", "tied_diagonal", "tied_spherical"}, family_from_string);
    expect_names({"automatic", "kmeans++", "kmeans", "random", "samples"}, start_method_from_string);
    expect_names({"reseed", "drop", "fail"}, collapse_policy_from_string);
    expect_names({"closed_form", "gradient"}, m_step_method_from_string);
    expect_names({"dirichlet", "stick_breaking"}, weights_model_from_string);
    expect_names({"bic", "aic", "icl", "validation", "cross_validation"}, criterion_from_string);
    EXPECT_EQ(to_string(event::kind::empty), "empty");
    EXPECT_EQ(to_string(event::kind::singular), "singular");
    EXPECT_EQ(to_string(event::kind::identical), "identical");
    EXPECT_EQ(to_string(event::kind::far_value), "far_value");
    EXPECT_EQ(to_string(stop_reason::converged), "converged");
    EXPECT_EQ(to_string(stop_reason::max_iterations), "max_iterations");
    EXPECT_EQ(to_string(stop_reason::interrupted), "interrupted");
    EXPECT_EQ(name_of(compute_precision::automatic), "automatic");
    EXPECT_EQ(name_of(compute_precision::float64), "float64");
}

TEST(Names, OfLatentModels) {
    using namespace latent;
    expect_names({"ppca", "factor_analysis", "factor_mixture"}, factor_kind_from_string);
    expect_names({"em", "eigen"}, factor_method_from_string);
    expect_names({"automatic", "principal", "conditional", "random"}, factor_start_from_string);
    EXPECT_EQ(to_string(factor_event::kind::empty), "empty");
    EXPECT_EQ(to_string(factor_event::kind::noise_floor), "noise_floor");
    EXPECT_EQ(to_string(factor_event::kind::far_value), "far_value");
    EXPECT_EQ(to_string(factor_event::kind::stalled), "stalled");
    EXPECT_EQ(to_string(sphere_event::kind::noise_floor), "noise_floor");
    EXPECT_EQ(to_string(sphere_event::kind::one_sided), "one_sided");
    EXPECT_EQ(to_string(sphere_event::kind::far_value), "far_value");
}

TEST(Names, OfAutoencoders) {
    using namespace vae;
    expect_names({"identity", "tanh", "relu", "gelu", "silu", "softplus"}, activation_from_string);
    expect_names({"bernoulli", "gaussian", "categorical", "poisson", "negative_binomial"}, likelihood_from_string);
    expect_names({"fixed", "learned", "learned_per_dimension", "optimal"}, gaussian_scale_from_string);
    expect_names({"network", "sphere"}, decoder_kind_from_string);
    expect_names({"elbo", "importance"}, objective_from_string);
    expect_names({"standard", "sticking_the_landing", "doubly_reparameterized"}, gradient_estimator_from_string);
    expect_names({"adam", "adamw", "sgd"}, optimizer_from_string);
    expect_names({"float32", "tf32", "bfloat16"}, training_precision_from_string);
    EXPECT_EQ(to_string(schedule::kind::constant), "constant");
    EXPECT_EQ(to_string(schedule::kind::steps), "steps");
    EXPECT_EQ(to_string(schedule::kind::cosine), "cosine");
    EXPECT_EQ(to_string(train_stop::completed), "completed");
    EXPECT_EQ(to_string(train_stop::early_stopping), "early_stopping");
    EXPECT_EQ(to_string(train_stop::interrupted), "interrupted");
}

TEST(Names, ErrorsListThem) {
    try {
        gmm::family_from_string("round");
        FAIL();
    } catch (const invalid_argument& e) {
        EXPECT_STREQ(e.what(), "family = \"round\": expected one of full, diagonal, spherical, tied, tied_diagonal, "
                               "tied_spherical");
    }
}

} // namespace
