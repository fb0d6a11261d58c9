// A session of inference with a model with continuous latent variables.
#include "elbo/latent/scorer.hpp"

#include "host/check.hpp"
#include "host/latent/infer.hpp"

#include <functional>
#include <memory>
#include <vector>

namespace elbo::latent {

using namespace kernels;

struct scorer::state {
    context ctx;
    std::int64_t dimensions, components, width;
    bool sphere;
    std::function<void(const input_rows&, const row_results&)> infer;
    std::function<std::vector<double>(std::int64_t first, std::int64_t rows, std::uint64_t seed)> sample;
    std::unique_ptr<gmm_engine> moments{}; ///< once there are rows in device memory
    value_check check{};

    template <class Model>
    state(const context& c, const Model& m, std::int64_t K, std::int64_t means, bool is_sphere)
        : ctx(c), dimensions(m.dimensions()), components(K), width(means), sphere(is_sphere),
          infer([s = std::make_shared<decltype(make_scoring(c, m))>(make_scoring(c, m))](
                    const input_rows& x, const row_results& to) { s->infer(x, to, "x"); }),
          sample([m](std::int64_t first, std::int64_t rows, std::uint64_t seed) {
              return sample_rows(m, first, rows, seed).x;
          }) {}
};

scorer::scorer(const context& ctx, const factor_model& m)
    : state_(new state(ctx, m, m.components(), m.components() * m.latent(), false)) {}
scorer::scorer(const context& ctx, const sphere_model& m) : state_(new state(ctx, m, 1, m.dimensions(), true)) {}
scorer::scorer(scorer&&) noexcept = default;
scorer& scorer::operator=(scorer&&) noexcept = default;
scorer::~scorer() = default;

void scorer::infer(const any_matrix_view& x, const results& to) {
    state& s = *state_;
    check_input(s.ctx, "x", x, s.dimensions, "the dimensions of the model");
    check_optional(s.ctx, "log_density", to.log_density, x.rows, 1);
    check_optional(s.ctx, "responsibilities", to.responsibilities, x.rows, s.components);
    check_optional(s.ctx, "means", to.means, x.rows, s.width);
    check_optional(s.ctx, "concentrations", to.concentrations, x.rows, 1);
    check_optional(s.ctx, "reconstruction", to.reconstruction, x.rows, s.dimensions);
    expects(s.sphere || !to.concentrations.data,
            "concentrations of a factor model: expected none, only spheres have them");
    if (x.space == memory_space::device && !s.moments)
        s.moments = gmm::make_moments_engine(s.ctx, s.dimensions, x.type);
    s.check(s.ctx, "x", x, s.moments.get());
    s.infer({x, {}, 1}, {to.log_density, to.responsibilities, to.means, to.concentrations, to.reconstruction});
}

void scorer::sample(std::int64_t first, std::uint64_t seed, matrix_view<double> x) {
    state& s = *state_;
    expects("first", first, at_least(0));
    check_result(s.ctx, "x", x, x.rows, s.dimensions);
    deliver(s.ctx, s.sample(first, x.rows, seed), x);
}

} // namespace elbo::latent
