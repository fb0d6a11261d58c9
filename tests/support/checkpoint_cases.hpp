// Fits of all models as tests of checkpoints make them: options, the fit, and what must be the same to the bit.
#pragma once

#include "elbo/gmm/variational.hpp"
#include "elbo/latent/factors.hpp"
#include "elbo/latent/sphere.hpp"
#include "host/gmm/fields.hpp"
#include "tests/support/data.hpp"
#include "tests/support/factor_cases.hpp"
#include "tests/support/sources.hpp"

#include <string>
#include <vector>

namespace elbo::test::checkpoint_cases {

inline const std::vector<double>& clusters() {
    static const std::vector<double> x = test::clustered(600, 4, 3, 2.0, 5);
    return x;
}

template <class Record>
void add_trace(std::vector<double>& numbers, const std::vector<Record>& trace) {
    for (Record r : trace) {
        r.seconds = 0;
        for_each_field<Record>([&](const auto& f) { numbers.push_back(static_cast<double>(r.*f.member)); });
    }
}
inline void add(std::vector<double>& numbers, const std::vector<double>& more) {
    numbers.insert(numbers.end(), more.begin(), more.end());
}

struct mixture {
    using options = gmm::fit_options;
    static options of(const std::string&) {
        options o;
        o.components = 4;
        o.restarts = 3;
        o.max_iterations = 40;
        o.seed = 2;
        return o;
    }
    static auto run(const context& ctx, const options& o) { return gmm::fit(ctx, test::view(clusters(), 4), o); }
    static std::vector<double> numbers(const gmm::fit_result& r) {
        std::vector<double> n{r.log_likelihood,
                              r.entropy,
                              r.bic,
                              static_cast<double>(r.iterations),
                              static_cast<double>(r.best_restart),
                              static_cast<double>(r.stopped)};
        add(n, r.model.weights()), add(n, r.model.means()), add(n, r.model.precision_cholesky());
        for (const gmm::event& e : r.events)
            add(n, {static_cast<double>(e.iteration), static_cast<double>(e.component), static_cast<double>(e.what)});
        add_trace(n, r.trace);
        return n;
    }
};

struct mixture_with_events : mixture {
    static options of(const std::string& name) {
        options o = mixture::of(name);
        o.components = 3;
        std::vector<double> means(clusters().begin(), clusters().begin() + 12);
        means[4] = means[8] = 500; // two components get no samples and are re-seeded
        o.start_model =
            gmm::model::from_covariances(gmm::family::diagonal, 4, {0.4, 0.3, 0.3}, means, std::vector<double>(12, 1));
        o.shape = gmm::family::diagonal;
        return o;
    }
};
struct mixture_by_gradient : mixture {
    static options of(const std::string& name) {
        options o = mixture::of(name);
        o.m_step = gmm::m_step_method::gradient;
        o.restarts = 2;
        o.max_iterations = 12;
        return o;
    }
};
struct streamed_tied : mixture {
    static options of(const std::string& name) {
        options o = mixture::of(name);
        o.shape = gmm::family::tied;
        o.memory_limit = 1;
        return o;
    }
};
struct with_prior : mixture {
    static options of(const std::string& name) {
        options o = mixture::of(name);
        o.prior.emplace();
        return o;
    }
};

struct variational {
    using options = gmm::variational_options;
    static options of(const std::string& name) {
        options o;
        o.components = 5;
        o.restarts = 2;
        o.max_iterations = 30;
        if (name == "sticks")
            o.weights_prior = gmm::weights_model::stick_breaking, o.shape = gmm::family::tied_diagonal;
        return o;
    }
    static auto run(const context& ctx, const options& o) {
        return gmm::fit_variational(ctx, test::view(clusters(), 4), o);
    }
    static std::vector<double> numbers(const gmm::variational_result& r) {
        const auto& q = r.posterior.values();
        std::vector<double> n{r.bound, r.entropy, static_cast<double>(r.iterations), static_cast<double>(r.stopped),
                              static_cast<double>(r.best_restart)};
        add(n, q.concentrations), add(n, q.means), add(n, q.mean_precisions), add(n, q.degrees_of_freedom);
        add(n, q.precision_cholesky), add_trace(n, r.trace);
        return n;
    }
};
struct variational_sticks : variational {
    static options of(const std::string&) { return variational::of("sticks"); }
};

struct factors {
    using options = latent::factor_options;
    static options of(const std::string&) {
        options o;
        o.kind = latent::factor_kind::factor_mixture;
        o.latent = 1;
        o.components = 3;
        o.restarts = 2;
        o.max_iterations = 40;
        return o;
    }
    static auto run(const context& ctx, const options& o) { return latent::fit(ctx, test::view(clusters(), 4), o); }
    static std::vector<double> numbers(const latent::factor_result& r) {
        std::vector<double> n{r.log_likelihood, r.bic, static_cast<double>(r.iterations),
                              static_cast<double>(r.stopped), static_cast<double>(r.best_restart)};
        add(n, r.model.weights()), add(n, r.model.means()), add(n, r.model.loadings()), add(n, r.model.noise());
        for (const latent::factor_event& e : r.events)
            add(n, {static_cast<double>(e.iteration), static_cast<double>(e.column), static_cast<double>(e.what)});
        add_trace(n, r.trace);
        return n;
    }
};
/// EM begins at a saddle, with loadings along eigenvectors that are not the leading ones, and goes on from a better
/// place.
struct escaping_ppca : factors {
    static constexpr std::int64_t d = 12;
    static const std::vector<double>& rows() {
        static const std::vector<double> x =
            test::rows_of(test::random_model(latent::factor_kind::ppca, d, 5, 1, false, 33), 400, 7);
        return x;
    }
    static options of(const std::string&) {
        options o;
        o.latent = 3;
        o.method = latent::factor_method::eigen;
        const latent::factor_model best = run(context::cpu(1), o).model;
        latent::factor_parameters p{latent::factor_kind::ppca, d, 2, {1}, best.means(), {}, best.noise()};
        for (std::int64_t j = 0; j < d; ++j)
            p.loadings.insert(p.loadings.end(), {best.loadings()[j * 3 + 1], best.loadings()[j * 3 + 2]});
        o = {};
        o.latent = 2;
        o.start_model = latent::factor_model(p);
        return o;
    }
    static latent::factor_result run(const context& ctx, const options& o) {
        return latent::fit(ctx, test::view(rows(), d), o);
    }
};

struct sphere {
    using options = latent::sphere_options;
    static options of(const std::string&) {
        options o;
        o.restarts = 2;
        o.max_iterations = 30;
        return o;
    }
    static auto run(const context& ctx, const options& o) { return latent::fit(ctx, test::view(clusters(), 4), o); }
    static std::vector<double> numbers(const latent::sphere_result& r) {
        std::vector<double> n{r.log_likelihood,
                              r.model.radius(),
                              r.model.noise(),
                              static_cast<double>(r.iterations),
                              static_cast<double>(r.stopped),
                              static_cast<double>(r.best_restart)};
        add(n, r.model.centre());
        add_trace(n, r.trace);
        return n;
    }
};

} // namespace elbo::test::checkpoint_cases
