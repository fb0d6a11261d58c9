#include "kernels/cuda/gmm/rows/survey.hpp"

#include "kernels/cuda/gmm/rows/staging.hpp"

#include <algorithm>
#include <cstring>

namespace elbo::kernels::cuda {

namespace {

/// Words of a slot.
std::int64_t most_words(std::int64_t columns) {
    return 1 + staging::device_piece_rows(columns) / unit_rows * summary_size(columns);
}

} // namespace

std::int64_t survey_pipeline::bytes(std::int64_t columns) {
    return 2 * 8 * most_words(columns);
}

survey_pipeline::survey_pipeline(const state_pointer& state, std::int64_t columns)
    : state_(state), columns_(columns), on_host_(*state, "summaries of units", 2 * most_words(columns)) {
    double* on_host = on_host_.data();
    for (slot& s : slots_) {
        s.found = {state, "summaries of units", most_words(columns)};
        s.on_host = on_host;
        s.done = make_event();
        on_host += most_words(columns);
    }
}

void survey_pipeline::begin(unit_summaries& out) {
    out.clear(columns_);
    out_ = &out;
    bad_ = -1;
    for (slot& s : slots_)
        s.units = 0; // what an exception left behind
}

void survey_pipeline::add(const device_input& piece, std::int64_t first_row) {
    slot& s = slots_[next_];
    next_ = 1 - next_;
    collect(s);
    if (bad_ >= 0)
        return;
    s.first_row = first_row;
    s.units = (piece.x.rows + unit_rows - 1) / unit_rows;
    auto* const first_bad = reinterpret_cast<unsigned long long*>(s.found.data());
    check(cudaMemsetAsync(first_bad, 0xff, sizeof *first_bad, state_->stream), "cudaMemsetAsync");
    summarize_units(*state_, piece, s.found.data() + 1, first_bad);
    check(cudaMemcpyAsync(s.on_host, s.found.data(),
                          static_cast<std::size_t>(1 + s.units * summary_size(columns_)) * sizeof(double),
                          cudaMemcpyDeviceToHost, state_->stream),
          "cudaMemcpyAsync");
    check(cudaEventRecord(s.done.get(), state_->stream), "cudaEventRecord");
}

void survey_pipeline::collect(slot& s) {
    if (s.units == 0)
        return;
    check(cudaEventSynchronize(s.done.get()), "cudaEventSynchronize");
    std::uint64_t position = 0;
    std::memcpy(&position, s.on_host, sizeof position);
    if (position != ~0ull && bad_ < 0)
        bad_ = s.first_row * columns_ + static_cast<std::int64_t>(position);
    std::copy_n(s.on_host + 1, s.units * summary_size(columns_), out_->append(s.units));
    s.units = 0;
}

std::int64_t survey_pipeline::end() {
    collect(slots_[next_]); // the older one first
    collect(slots_[1 - next_]);
    return bad_;
}

} // namespace elbo::kernels::cuda
