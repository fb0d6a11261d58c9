// Where a fit begins (docs/theory.md, "Starting points").
//
// A start looks at a sample of the rows, chosen by Philox from the seed and the row index alone, so that it is the same
// whatever the chunking, the thread count or the back end. Up to `row_limit` rows it looks at all of them.
#pragma once

#include "elbo/gmm/fit.hpp"
#include "host/rows/row_feed.hpp"
#include "kernels/contract/gmm_engine.hpp"
#include "kernels/contract/start_engine.hpp"

#include <cstdint>
#include <memory>
#include <optional>
#include <vector>

namespace elbo::gmm {

/// Rows of positive weight in the normalised frame, float64, on the host.
struct start_sample {
    std::int64_t rows = 0, cols = 0;
    std::vector<double> x;       ///< [rows x cols]
    std::vector<double> weights; ///< [rows], scaled to mean 1
    std::vector<double> usual;   ///< [rows] 1, and 0 for rows with far values unless all have some
    sample_labels::kind known = sample_labels::kind::none;
    std::vector<std::int32_t> labels; ///< [rows] the only component a row may come from, else −1; empty without labels
    std::vector<double> factors;      ///< [rows x k] where these are what is known
    /// What has the rows, too, where they were drawn on a device; x and `usual` may then be empty.
    std::shared_ptr<kernels::start_engine> device;
};

/// Rows that a start looks at, about: enough for k components, and few enough that a start costs less than some
/// iterations.
std::int64_t start_row_limit(std::int64_t components, std::int64_t dimensions);

/// Rows that a sample of `rows` rows has at most.
std::int64_t most_start_rows(std::int64_t rows, std::int64_t components, std::int64_t dimensions);

/// Bytes on the host that a start from such a sample takes at most, beside what k-means takes.
std::int64_t start_host_bytes(const kernels::gmm_shape& shape, start_method method, std::int64_t sample_rows);
/// Bytes that its engine takes in the memory of the context's device (the host's for cpu and reference); `labelled`:
/// something is known of the components that rows come from.
std::int64_t start_device_bytes(const context& ctx, const kernels::gmm_shape& shape, start_method method,
                                std::int64_t sample_rows, bool labelled);

/// One pass over the data. Where there are labels, rows that have one are preferred (and weigh the less).
start_sample draw_start_sample(const row_feed& feed, const kernels::frame& f, const data_summary& summary,
                               std::int64_t row_limit, std::uint64_t seed);

/// One start.
struct start_choice {
    start_method method = start_method::kmeans; ///< any but automatic, which stands for several
    bool greedy = true;                         ///< as in fit_options
    bool trials = false;                        ///< the best of several such starts after some EM steps on few rows
    std::uint64_t seed = 0;
};

/// The same sample, drawn on the device where the rows are in its memory as one piece, without weights or labels, and
/// the back end has an engine for that; else none. The host has it, too, unless the device makes all of this start and
/// there are no `others`.
std::optional<start_sample> draw_on_device(const context& ctx, const row_feed& feed, const kernels::frame& f,
                                           const data_summary& summary, const kernels::gmm_shape& shape,
                                           std::uint64_t seed, const start_choice& choice, bool others);

/// Whether a device that has an engine for it makes all of such a start from a sample without labels.
bool made_on_device(const kernels::gmm_shape& shape, const start_choice& choice, std::int64_t sample_rows);

/// The parameters that a fit begins with, in the normalised frame. Rows with a known component are held there: it
/// begins at their mean. k-means runs on the context's back end but for tiny problems, and a device does all of the
/// start beside (contract/start_engine.hpp). `lambda` [d] as in update_rule.
kernels::gmm_parameters start_parameters(const context& ctx, const start_sample& sample,
                                         const kernels::gmm_shape& shape, const start_choice& choice,
                                         const std::vector<double>& lambda);

} // namespace elbo::gmm
