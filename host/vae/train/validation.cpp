#include "host/vae/train/validation.hpp"

#include "kernels/math/likelihood/families.hpp"

#include <algorithm>

namespace elbo::vae {

using namespace kernels;

namespace {

/// Adds up per-row terms.
class term_sums {
public:
    term_sums(vae_engine& engine, const evaluation_draws& draws) : engine_(engine), draws_(draws) {}

    void add(const vae_rows& rows) {
        reconstruction_.resize(rows.rows), kl_.resize(rows.rows), squared_error_.resize(rows.rows);
        row_terms out;
        out.reconstruction = reconstruction_.data();
        out.kl = kl_.data();
        if (facts_of(engine_.layout.architecture.likelihood.family).second == second_sum::squared_error)
            out.squared_error = squared_error_.data();
        engine_.evaluate(rows, draws_.samples, draws_.binarize, draws_.seed, out);
        for (std::int64_t n = 0; n < rows.rows; ++n) {
            sums_.reconstruction += reconstruction_[n];
            sums_.kl += kl_[n];
            sums_.squared_error += out.squared_error ? squared_error_[n] : 0;
        }
        count_ += rows.rows;
    }

    mean_terms means() const {
        const auto n = static_cast<double>(count_);
        return {sums_.reconstruction / n, sums_.kl / n, sums_.squared_error / n};
    }

private:
    vae_engine& engine_;
    evaluation_draws draws_;
    std::vector<double> reconstruction_, kl_, squared_error_;
    mean_terms sums_;
    std::int64_t count_ = 0;
};

} // namespace

mean_terms resident_terms(vae_engine& engine, std::int64_t dataset, std::int64_t rows, const evaluation_draws& draws) {
    constexpr std::int64_t piece = 65536;
    term_sums sums(engine, draws);
    for (std::int64_t first = 0; first < rows; first += piece)
        sums.add({{}, dataset, first, std::min(piece, rows - first), first});
    return sums.means();
}

mean_terms streamed_terms(vae_engine& engine, const row_batches& feed, const evaluation_draws& draws) {
    term_sums sums(engine, draws);
    feed.for_each([&](const any_matrix_view& x, std::int64_t first) { sums.add({x, 0, 0, x.rows, first}); });
    return sums.means();
}

} // namespace elbo::vae
