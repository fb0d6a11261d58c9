// Names of the enumerations, and their inverses.
#include "elbo/vae/architecture.hpp"
#include "elbo/vae/train.hpp"
#include "host/name_table.hpp"

#include <array>

namespace elbo::vae {

namespace {

template <class E, std::size_t N>
using names_of = std::array<std::pair<E, std::string_view>, N>;

constexpr names_of<activation, 6> activations{{{activation::identity, "identity"},
                                               {activation::tanh, "tanh"},
                                               {activation::relu, "relu"},
                                               {activation::gelu, "gelu"},
                                               {activation::silu, "silu"},
                                               {activation::softplus, "softplus"}}};
constexpr names_of<likelihood_family, 3> likelihoods{{{likelihood_family::bernoulli, "bernoulli"},
                                                      {likelihood_family::gaussian, "gaussian"},
                                                      {likelihood_family::categorical, "categorical"}}};
constexpr names_of<gaussian_scale, 4> scales{{{gaussian_scale::fixed, "fixed"},
                                              {gaussian_scale::learned, "learned"},
                                              {gaussian_scale::learned_per_dimension, "learned_per_dimension"},
                                              {gaussian_scale::optimal, "optimal"}}};
constexpr names_of<decoder_kind, 2> decoders{{{decoder_kind::network, "network"}, {decoder_kind::sphere, "sphere"}}};
constexpr names_of<objective, 2> objectives{{{objective::elbo, "elbo"}, {objective::importance, "importance"}}};
constexpr names_of<gradient_estimator, 3> estimators{
    {{gradient_estimator::standard, "standard"},
     {gradient_estimator::sticking_the_landing, "sticking_the_landing"},
     {gradient_estimator::doubly_reparameterized, "doubly_reparameterized"}}};
constexpr names_of<optimizer_kind, 3> optimizers{
    {{optimizer_kind::adam, "adam"}, {optimizer_kind::adamw, "adamw"}, {optimizer_kind::sgd, "sgd"}}};
constexpr names_of<schedule::kind, 3> schedules{
    {{schedule::kind::constant, "constant"}, {schedule::kind::steps, "steps"}, {schedule::kind::cosine, "cosine"}}};
constexpr names_of<training_precision, 3> precisions{{{training_precision::float32, "float32"},
                                                      {training_precision::tf32, "tf32"},
                                                      {training_precision::bfloat16, "bfloat16"}}};
constexpr names_of<train_stop, 3> stops{{{train_stop::completed, "completed"},
                                         {train_stop::early_stopping, "early_stopping"},
                                         {train_stop::interrupted, "interrupted"}}};

} // namespace

std::string_view to_string(activation f) {
    return name_of<activation>(activations, f);
}
activation activation_from_string(std::string_view name) {
    return value_of<activation>(activations, name, "activation");
}
std::string_view to_string(likelihood_family l) {
    return name_of<likelihood_family>(likelihoods, l);
}
likelihood_family likelihood_from_string(std::string_view name) {
    return value_of<likelihood_family>(likelihoods, name, "likelihood");
}
std::string_view to_string(gaussian_scale s) {
    return name_of<gaussian_scale>(scales, s);
}
gaussian_scale gaussian_scale_from_string(std::string_view name) {
    return value_of<gaussian_scale>(scales, name, "scale of the gaussian likelihood");
}
std::string_view to_string(decoder_kind k) {
    return name_of<decoder_kind>(decoders, k);
}
decoder_kind decoder_kind_from_string(std::string_view name) {
    return value_of<decoder_kind>(decoders, name, "decoder");
}
std::string_view to_string(objective o) {
    return name_of<objective>(objectives, o);
}
objective objective_from_string(std::string_view name) {
    return value_of<objective>(objectives, name, "objective");
}
std::string_view to_string(gradient_estimator g) {
    return name_of<gradient_estimator>(estimators, g);
}
gradient_estimator gradient_estimator_from_string(std::string_view name) {
    return value_of<gradient_estimator>(estimators, name, "gradient estimator");
}
std::string_view to_string(optimizer_kind o) {
    return name_of<optimizer_kind>(optimizers, o);
}
optimizer_kind optimizer_from_string(std::string_view name) {
    return value_of<optimizer_kind>(optimizers, name, "optimizer");
}
std::string_view to_string(schedule::kind k) {
    return name_of<schedule::kind>(schedules, k);
}
std::string_view to_string(training_precision p) {
    return name_of<training_precision>(precisions, p);
}
training_precision training_precision_from_string(std::string_view name) {
    return value_of<training_precision>(precisions, name, "precision");
}
std::string_view to_string(train_stop s) {
    return name_of<train_stop>(stops, s);
}

} // namespace elbo::vae
