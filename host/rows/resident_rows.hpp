// The rows of a fit in an engine: loaded once where they fit in memory, and read anew in each pass where they do not,
// with the same results to the bit.
#pragma once

#include "host/rows/row_feed.hpp"
#include "kernels/contract/phase.hpp"

#include <algorithm>
#include <cstdint>
#include <limits>
#include <memory>
#include <utility>

namespace elbo {

/// The way to the data and the engine that works on it. `Engine` has reserve, load and accumulate as gmm_engine.
template <class Engine>
class resident_rows {
public:
    resident_rows(gmm::row_feed feed, std::unique_ptr<Engine> engine)
        : feed_(std::move(feed)), engine_(std::move(engine)) {}

    gmm::row_feed& feed() { return feed_; }
    const gmm::row_feed& feed() const { return feed_; }
    Engine& engine() const { return *engine_; }
    /// Of the engine, by load().
    const kernels::frame& frame() const { return frame_; }

    /// From now on the rows do not stay: they come in batches of no more than `most_rows` but for one unit.
    void stream(std::int64_t most_rows = std::numeric_limits<std::int64_t>::max()) {
        feed_.stream(most_rows);
        streamed_ = true;
    }
    bool streamed() const { return streamed_; }
    /// Rows that are in memory at a time.
    std::int64_t at_a_time() const {
        const std::int64_t rows = feed_.data().rows();
        return streamed_ ? std::min(rows, feed_.batch_rows()) : rows;
    }

    /// Memory for the rows, and the rows, where they stay. Throws out_of_memory.
    void load(const kernels::frame& f) {
        reserve(f);
        if (!streamed_)
            in_phase("load", [&] { for_each_slot([](std::int64_t, std::int64_t) {}); });
    }
    /// The same, with visit(first slot, rows) for all rows while they are in the engine.
    template <class Visit>
    void load(const kernels::frame& f, const Visit& visit) {
        reserve(f);
        in_phase("load", [&] { for_each_slot(visit); });
    }
    /// The E-step and the sums over all rows: a pass.
    void accumulate() {
        if (streamed_)
            for_each_slot([&](std::int64_t slot, std::int64_t rows) { engine_->accumulate(slot, rows); });
        else
            engine_->accumulate(0, feed_.data().rows());
    }

private:
    void reserve(const kernels::frame& f) {
        frame_ = f;
        if constexpr (requires { engine_->reserve(0, true, feed_.known()); })
            engine_->reserve(at_a_time(), feed_.weighted(), feed_.known());
        else
            engine_->reserve(at_a_time(), feed_.weighted());
    }
    template <class Visit>
    void for_each_slot(const Visit& visit) {
        feed_.for_each([&](const kernels::input_rows& batch, std::int64_t first_row) {
            const std::int64_t slot = streamed_ ? 0 : first_row;
            engine_->load(batch, frame_, slot);
            visit(slot, batch.x.rows);
        });
    }

    gmm::row_feed feed_;
    std::unique_ptr<Engine> engine_;
    kernels::frame frame_;
    bool streamed_ = false;
};

} // namespace elbo
