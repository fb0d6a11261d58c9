// Checkpoints of fits: the file, when it is written, and whether a fit may go on from one.
#pragma once

#include "elbo/context.hpp"
#include "elbo/fit.hpp"
#include "host/io/model/fields_json.hpp"
#include "host/io/model/fit_state.hpp"
#include "host/seconds.hpp"

#include <functional>
#include <optional>
#include <span>
#include <string>

namespace elbo::io {

/// What decides the bits of a fit, by name, and its state.
struct fit_checkpoint {
    json description;
    fit_arrays arrays;
};

/// Throws file_error: missing, damaged, no checkpoint of a fit.
fit_checkpoint read_checkpoint(const std::string& path);
/// The file is there whole or not at all, at once. Throws file_error.
void write_checkpoint(const std::string& path, fit_checkpoint c);
/// Throws invalid_argument that names the first place in which the two differ.
void require_same_fit(const json& stored, const json& now, const std::string& path);

/// What the arithmetic of a context is: its device, or the instructions of the processor.
std::string arithmetic_of(const context& ctx);
/// A text that differs where the numbers do.
std::string digest(std::initializer_list<std::span<const double>> arrays);

/// Where a fit keeps its state, and the state that it goes on from.
class checkpoints {
public:
    /// None.
    checkpoints() = default;
    /// A file each. Reads `resume` unless that is empty, and finds out whether the other can be written, before any
    /// work. Throws file_error.
    checkpoints(const checkpoint_options& when, const std::string& resume);
    /// For a part of a larger work: what it goes on from, if anything, and who takes its states.
    using keeper = std::function<void(fit_checkpoint)>;
    checkpoints(const checkpoint_options& when, std::optional<fit_checkpoint> from, const std::string& resume,
                keeper keep)
        : when_(when), resume_(resume), from_(std::move(from)), keep_(std::move(keep)) {}

    const std::optional<fit_checkpoint>& from() const { return from_; }
    /// The description, or what is known of it. Throws invalid_argument unless such a fit may go on from from().
    json of_same_fit(json description) const;
    /// The file of from(), for messages.
    const std::string& path() const { return resume_; }
    bool wanted() const { return keep_ != nullptr; }
    /// Whether it is time after another iteration.
    bool due() {
        ++iterations_;
        return wanted() && ((when_.every_seconds > 0 && seconds_since(kept_) >= when_.every_seconds) ||
                            (when_.every_iterations > 0 && iterations_ >= when_.every_iterations));
    }
    void keep(fit_checkpoint c) {
        keep_(std::move(c));
        kept_ = std::chrono::steady_clock::now();
        iterations_ = 0;
    }

private:
    checkpoint_options when_;
    std::string resume_;
    std::optional<fit_checkpoint> from_;
    keeper keep_;
    steady_time kept_ = std::chrono::steady_clock::now();
    std::int64_t iterations_ = 0;
};

} // namespace elbo::io
