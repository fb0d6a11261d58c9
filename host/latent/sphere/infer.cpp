// What a sphere model says about data.
#include "elbo/latent/sphere.hpp"

#include "host/check.hpp"
#include "host/latent/criteria.hpp"
#include "host/latent/scoring.hpp"
#include "host/latent/sphere/rows.hpp"
#include "host/rows/frame.hpp"

#include <algorithm>
#include <cmath>
#include <fmt/format.h>

namespace elbo::latent {

using namespace kernels;

namespace {

/// A frame that suits a model rather than data.
frame frame_of(const sphere_model& m) {
    const double d = static_cast<double>(m.dimensions());
    const double spread = std::sqrt(m.noise() + m.radius() * (m.radius() / d));
    return {m.centre(), std::vector<double>(m.centre().size(), gmm::nearest_power_of_two(spread))};
}

void check_dimensions(const sphere_model& m, const data_source& data) {
    expects(data.cols() == m.dimensions(), [&] {
        return fmt::format("{} has {} columns: expected {}, the dimensions of the model", data.description(),
                           data.cols(), m.dimensions());
    });
}

class sphere_scoring final : public engine_scoring<sphere_engine> {
public:
    sphere_scoring(const context& ctx, const sphere_model& m)
        : engine_scoring(m.dimensions(), 1, m.dimensions(), make_sphere_engine(ctx, m.dimensions()), frame_of(m)),
          model_(m), shift_(gmm::log_scale(frame_)) {
        engine_->set_parameters(to_frame(m, frame_).pass());
    }

    void infer(std::int64_t first, std::int64_t rows, const row_results& to, std::string_view, std::int64_t) override {
        engine_->infer(first, rows, {to.log_density, to.means, to.concentrations});
        for (std::int64_t n = 0; to.log_density && n < rows; ++n)
            to.log_density[n] -= shift_;
        if (to.responsibilities)
            std::fill_n(to.responsibilities, rows, 1.0);
    }

    void reconstruct(std::int64_t rows, const row_results& of, double* out) override {
        for (std::int64_t i = 0; i < rows * dimensions; ++i)
            out[i] = model_.centre()[i % dimensions] + model_.radius() * of.means[i];
    }

    std::vector<double> sample(std::int64_t first, std::int64_t rows, std::uint64_t seed) const override {
        return sample_rows(model_, first, rows, seed).x;
    }

private:
    sphere_model model_;
    double shift_; ///< log-densities are larger by it in the frame
};

} // namespace

std::unique_ptr<scoring> make_scoring(const context& ctx, const sphere_model& m) {
    return std::make_unique<sphere_scoring>(ctx, m);
}

void infer(const context& ctx, const sphere_model& m, const data_source& data,
           const std::function<void(const sphere_batch&)>& sink) {
    infer_rows(ctx, data, *make_scoring(ctx, m), true,
               [&](std::int64_t first_row, std::int64_t rows, const row_results& r) {
                   sink({first_row, rows, r.log_density, r.means, r.concentrations});
               });
}

std::vector<double> log_density(const context& ctx, const sphere_model& m, const data_source& data) {
    std::vector<double> result(data.rows());
    infer_rows(ctx, data, *make_scoring(ctx, m), false,
               [&](std::int64_t first_row, std::int64_t rows, const row_results& r) {
                   std::copy_n(r.log_density, rows, result.begin() + first_row);
               });
    return result;
}

sphere_posterior posterior(const context& ctx, const sphere_model& m, const data_source& data) {
    const std::int64_t d = m.dimensions(), n = data.rows();
    sphere_posterior result{std::vector<double>(n), std::vector<double>(n * d), std::vector<double>(n)};
    infer(ctx, m, data, [&](const sphere_batch& b) {
        std::copy_n(b.log_density, b.rows, result.log_density.begin() + b.first_row);
        std::copy_n(b.means, b.rows * d, result.means.begin() + b.first_row * d);
        std::copy_n(b.concentrations, b.rows, result.concentrations.begin() + b.first_row);
    });
    return result;
}

std::vector<double> reconstruct(const context& ctx, const sphere_model& m, const data_source& data) {
    return reconstruct_rows(ctx, data, *make_scoring(ctx, m));
}

gmm::score_result score(const context& ctx, const sphere_model& m, const data_source& data,
                        const gmm::sample_weights& weights) {
    check_dimensions(m, data);
    sphere_rows rows(ctx, data, weights, 1); // one pass: the rows need not stay
    const std::vector<double> sums = rows.sums(to_frame(m, rows.frame()));
    const double* scalars = sums.data() + 2 * m.dimensions();
    gmm::score_result r;
    r.log_likelihood = scalars[sphere_log_density] / scalars[sphere_weight] - gmm::log_scale(rows.frame());
    r.total_weight = rows.summary().weight;
    r.total_log_likelihood = r.log_likelihood * r.total_weight;
    r.samples = rows.summary().rows;
    r.negligible = rows.negligible();
    r.bic = r.icl = bic(m, r.total_log_likelihood, r.total_weight);
    r.aic = aic(m, r.total_log_likelihood);
    return r;
}

} // namespace elbo::latent
