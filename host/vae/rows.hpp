// The rows of a source on their way to an engine: checked once, then loaded in windows or handed over in batches.
#pragma once

#include "elbo/context.hpp"
#include "elbo/data_source.hpp"
#include "kernels/contract/vae_engine.hpp"

#include <algorithm>
#include <functional>
#include <memory>
#include <vector>

namespace elbo::vae {

/// What one pass over the data shows.
struct row_survey {
    bool all_bits = true, all_bytes = true;
    std::vector<double> mean; ///< [d]
    /// How such rows are best kept.
    kernels::row_storage storage() const {
        return all_bits    ? kernels::row_storage::bits
               : all_bytes ? kernels::row_storage::bytes
                           : kernels::row_storage::float32;
    }
};

/// A source whose width fits. It refers to context and source.
class row_batches {
public:
    /// Throws invalid_argument: no rows, or not `cols` columns; `what` names those ("the dimensions of the model").
    row_batches(const context& ctx, const data_source& data, std::int64_t cols, std::string_view what);

    const data_source& data() const { return data_; }
    const context& where() const { return ctx_; }
    /// Rows of a streamed batch: depends on the width alone, so that sums over batches do not depend on the source.
    std::int64_t batch_rows() const;
    /// Calls visit(rows, index of the first) for batches that the engine of the context can read, in order.
    void for_each(const std::function<void(const any_matrix_view&, std::int64_t)>& visit) const;
    /// One pass: throws invalid_argument that names row, column and value that the likelihood does not allow.
    row_survey survey(kernels::vae_engine& engine) const;

private:
    const context& ctx_;
    const data_source& data_;
};

/// Throws invalid_argument that names what is wrong with which row, where something is.
void check_rows(const kernels::row_report& report, const data_source& data, std::int64_t first_row,
                const architecture& a);

/// Hands the rows of a source to an engine in file order, any number at a time.
class row_loader {
public:
    explicit row_loader(const row_batches& feed);
    /// Stores the next `rows` rows in slots 0 ... of a data set.
    void load(kernels::vae_engine& engine, std::int64_t dataset, std::int64_t rows);
    /// Leaves rows out.
    void skip(std::int64_t rows);

private:
    /// Takes up to `rows` of the rows that follow.
    any_matrix_view take(std::int64_t rows);

    const row_batches& feed_;
    std::unique_ptr<batch_reader> reader_;
    any_matrix_view rest_; // of the batch under way
    std::vector<char> staging_;
};

/// The rows of a source in windows of `size` rows, of which an engine has one at a time, in data set 0.
class row_windows {
public:
    row_windows(const row_batches& feed, std::int64_t size) : feed_(feed), size_(size) {}
    std::int64_t rows_of(std::int64_t window) const { return std::min(size_, feed_.data().rows() - window * size_); }
    /// Windows follow each other in file order; one that is still there from the epoch before is not loaded again.
    void load(kernels::vae_engine& engine, std::int64_t window);

private:
    const row_batches& feed_;
    std::int64_t size_;
    std::int64_t loaded_ = -1;
    std::unique_ptr<row_loader> loader_;
};

} // namespace elbo::vae
