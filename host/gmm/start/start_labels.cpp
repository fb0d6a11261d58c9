#include "host/gmm/start/start_labels.hpp"

#include "host/gmm/start/kmeans.hpp"

#include <algorithm>

namespace elbo::gmm {

namespace {

/// Of the given centres, which the engine knows as rows: next to nothing beside that of rows, which is 1 in the mean.
constexpr double centre_weight = 0x1p-40;

} // namespace

labelled_kmeans::labelled_kmeans(const start_sample& s, std::int64_t components) : s_(s) {
    std::vector<bool> has_rows(components, false);
    for (std::int64_t n = 0; n < s.rows; ++n)
        if (s.labels[n] >= 0)
            has_rows[s.labels[n]] = true;
        else
            unknown_.push_back(n);
    for (std::int64_t k = 0; k < components; ++k)
        component_.push_back(static_cast<std::int32_t>(k));
    const auto known = [&](std::int32_t k) { return has_rows[k]; };
    given_ = std::stable_partition(component_.begin(), component_.end(), known) - component_.begin();
}

void labelled_kmeans::load(kernels::kmeans_engine& engine, const std::vector<double>& y) {
    if (unknown_.empty())
        return;
    const std::int64_t d = s_.cols;
    std::vector<double> weight(component_.size(), 0);
    std::vector<std::int64_t> cluster(component_.size());
    for (std::size_t c = 0; c < component_.size(); ++c)
        cluster[component_[c]] = static_cast<std::int64_t>(c);
    x_.assign((given_ + static_cast<std::int64_t>(unknown_.size())) * d, 0);
    weights_.assign(given_, centre_weight);
    for (std::int64_t n = 0; n < s_.rows; ++n) {
        if (s_.labels[n] < 0)
            continue;
        const std::int64_t c = cluster[s_.labels[n]];
        weight[c] += s_.weights[n];
        for (std::int64_t j = 0; j < d; ++j) // a running mean
            x_[c * d + j] += (y[n * d + j] - x_[c * d + j]) * s_.weights[n] / weight[c];
    }
    for (std::size_t i = 0; i < unknown_.size(); ++i) {
        std::copy_n(&y[unknown_[i] * d], d, &x_[(given_ + static_cast<std::int64_t>(i)) * d]);
        weights_.push_back(s_.weights[unknown_[i]]);
    }
    engine.load(x_.data(), weights_.data(), static_cast<std::int64_t>(weights_.size()), d);
}

std::vector<std::int32_t> labelled_kmeans::cluster(kernels::kmeans_engine& engine, bool greedy,
                                                   std::uint64_t seed) const {
    std::vector<std::int32_t> result = s_.labels;
    if (unknown_.empty())
        return result;
    choose_centres(engine, static_cast<std::int64_t>(component_.size()), greedy, seed, given_);
    std::vector<std::int32_t> clusters(weights_.size());
    engine.labels(clusters);
    for (std::size_t i = 0; i < unknown_.size(); ++i)
        result[unknown_[i]] = component_[clusters[given_ + i]];
    return result;
}

void first_responsibilities::use_clusters(std::vector<std::int32_t> clusters) {
    clusters_ = std::move(clusters);
    if (!s_.factors.empty()) {
        add_row_sums();
        return;
    }
    of_component_.assign(components_, {});
    for (std::int64_t n = 0; n < s_.rows; ++n) {
        const std::int32_t known = s_.labels.empty() ? -1 : s_.labels[n];
        of_component_[known >= 0 ? known : clusters_[n]].push_back({n, 1});
    }
}

void first_responsibilities::add_row_sums() {
    row_sum_.assign(s_.rows, 0);
    for (std::int64_t k = 0; k < components_; ++k)
        for (std::int64_t n = 0; n < s_.rows; ++n)
            row_sum_[n] += share(n, k);
}

double first_responsibilities::share(std::int64_t n, std::int64_t k) const {
    const std::int32_t known = s_.labels.empty() ? -1 : s_.labels[n];
    if (known >= 0)
        return known == k ? 1 : 0;
    if (clusters_.empty())
        return draw(n, k) * factor(n, k);
    if (factor(n, clusters_[n]) > 0)
        return clusters_[n] == k ? 1 : 0;
    return factor(n, k);
}

std::vector<row_share> first_responsibilities::of(std::int64_t k) const {
    if (!of_component_.empty())
        return of_component_[k];
    std::vector<row_share> rows;
    for (std::int64_t n = 0; n < s_.rows; ++n)
        if (const double r = share(n, k) / row_sum_[n]; r > 0)
            rows.push_back({n, r});
    return rows;
}

} // namespace elbo::gmm
