// A session of inference with a model with continuous latent variables.
#include "elbo/latent/scorer.hpp"

#include "host/check.hpp"
#include "host/latent/latent_common.hpp"
#include "host/latent/scoring.hpp"
#include "host/result_rows.hpp"
#include "host/rows/row_feed.hpp"

#include <algorithm>

namespace elbo::latent {

using namespace kernels;

struct scorer::state {
    context ctx;
    std::unique_ptr<scoring> model;
    bool sphere;
    std::unique_ptr<gmm_engine> moments; ///< once there are rows in device memory
    value_check check;
    result_rows<double> log_density, responsibilities, means, concentrations, reconstruction;

    state(const context& c, std::unique_ptr<scoring> m, bool is_sphere)
        : ctx(c), model(std::move(m)), sphere(is_sphere) {}
};

scorer::scorer(const context& ctx, const factor_model& m) : state_(new state(ctx, make_scoring(ctx, m), false)) {}
scorer::scorer(const context& ctx, const sphere_model& m) : state_(new state(ctx, make_scoring(ctx, m), true)) {}
scorer::scorer(scorer&&) noexcept = default;
scorer& scorer::operator=(scorer&&) noexcept = default;
scorer::~scorer() = default;

void scorer::infer(const any_matrix_view& x, const results& to) {
    state& s = *state_;
    scoring& m = *s.model;
    const std::int64_t n = x.rows, d = m.dimensions;
    check_input(s.ctx, "x", x, d, "the dimensions of the model");
    check_optional(s.ctx, "log_density", to.log_density, n, 1);
    check_optional(s.ctx, "responsibilities", to.responsibilities, n, m.components);
    check_optional(s.ctx, "means", to.means, n, m.width);
    check_optional(s.ctx, "concentrations", to.concentrations, n, 1);
    check_optional(s.ctx, "reconstruction", to.reconstruction, n, d);
    expects(s.sphere || !to.concentrations.data,
            [] { return std::string("concentrations of a factor model: expected none, only spheres have them"); });
    if (x.space == memory_space::device && !s.moments)
        s.moments = make_moments_engine(s.ctx, d, x.type);
    s.check(s.ctx, "x", x, s.moments.get());
    const std::int64_t step = std::min(gmm::streamed_batch_rows(d, x.type), m.most_rows());
    const bool whole = to.reconstruction.data != nullptr;
    m.reserve(std::min(n, step));
    for (std::int64_t first = 0; first < n; first += step) {
        const std::int64_t rows = std::min(step, n - first);
        // Log-densities always: they show rows that are too far.
        const row_results r{s.log_density.place(to.log_density, first, rows, 1, true),
                            s.responsibilities.place(to.responsibilities, first, rows, m.components, whole),
                            s.means.place(to.means, first, rows, m.width, whole),
                            s.concentrations.place(to.concentrations, first, rows, 1)};
        m.load({x.slice(first, rows), {}, 1});
        m.infer(0, rows, r, "x", first);
        if (double* const out = s.reconstruction.place(to.reconstruction, first, rows, d))
            m.reconstruct(rows, r, out);
        for (const auto* part : {&s.log_density, &s.responsibilities, &s.means, &s.concentrations, &s.reconstruction})
            part->deliver(s.ctx);
        s.ctx.wait(); // memory on the way to a device is used again
    }
}

void scorer::sample(std::int64_t first, std::uint64_t seed, matrix_view<double> x) {
    state& s = *state_;
    expects("first", first, at_least(0));
    check_result(s.ctx, "x", x, x.rows, s.model->dimensions);
    deliver(s.ctx, s.model->sample(first, x.rows, seed), x);
}

} // namespace elbo::latent
