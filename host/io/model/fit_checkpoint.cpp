// The file: format "elbo.fit-checkpoint", member "fit" with what decides the bits, and a tensor for each array.
#include "host/io/model/fit_checkpoint.hpp"

#include "host/check.hpp"
#include "host/io/model/model_archive.hpp"
#include "host/io/write/atomic_file.hpp"
#include "kernels/cpu/core/simd_level.hpp"

#include <bit>

namespace elbo::io {

namespace {

constexpr model_format checkpoint_format{"elbo.fit-checkpoint", 1, "a checkpoint of a fit"};

template <class Archive>
void describe(Archive& file, fit_checkpoint& c) {
    std::vector<std::string> names;
    for (const auto& [name, values] : c.arrays)
        names.push_back(name);
    file.member("arrays", names);
    file.object("fit", [&](auto& fit) { fit.members(c.description); });
    for (const std::string& name : names)
        file.tensor(name, {-1}, c.arrays[name]);
}

/// "options.seed" and the two values where they differ, if they do.
struct difference {
    std::string place;
    json stored, now;
};
std::optional<difference> first_difference(const json& stored, const json& now, const std::string& place) {
    if (stored.is_object() && now.is_object()) {
        for (const auto& [key, value] : now.items()) {
            const std::string inner = place.empty() ? key : place + "." + key;
            if (auto found = first_difference(stored.value(key, json()), value, inner))
                return found;
        }
        return std::nullopt;
    }
    if (stored.is_array() && now.is_array() && stored.size() == now.size()) {
        for (std::size_t i = 0; i < now.size(); ++i)
            if (auto found = first_difference(stored[i], now[i], fmt::format("{}[{}]", place, i)))
                return found;
        return std::nullopt;
    }
    return stored == now ? std::nullopt : std::optional(difference{place, stored, now});
}

} // namespace

fit_checkpoint read_checkpoint(const std::string& path) {
    archive_reader file(path, checkpoint_format);
    fit_checkpoint c;
    describe(file, c);
    return c;
}

void write_checkpoint(const std::string& path, fit_checkpoint c) {
    archive_writer file(path, checkpoint_format);
    describe(file, c);
    const commit_group at_once(false); // a crash is what it is for
    file.commit();
}

void require_same_fit(const json& stored, const json& now, const std::string& path) {
    const std::optional<difference> found = first_difference(stored, now, "");
    expects(!found, [&] {
        return fmt::format("resume = '{}': it was written with {} = {}, this call has {}", path, found->place,
                           json_text(found->stored), json_text(found->now));
    });
}

std::string arithmetic_of(const context& ctx) {
    const std::string where(to_string(ctx.where()));
    return ctx.where() == backend::cpu
               ? fmt::format("{}, {}", where, kernels::cpu::to_string(kernels::cpu::processor_level()))
               : where;
}

// FNV-1a over the bits.
std::string digest(std::initializer_list<std::span<const double>> arrays) {
    std::uint64_t hash = 0xcbf29ce484222325;
    for (const auto& array : arrays)
        for (const double value : array)
            for (std::uint64_t bits = std::bit_cast<std::uint64_t>(value), byte = 0; byte < 8; ++byte, bits >>= 8)
                hash = (hash ^ (bits & 0xff)) * 0x100000001b3;
    return fmt::format("{:016x}", hash);
}

checkpoints::checkpoints(const checkpoint_options& when, const std::string& resume) : when_(when), resume_(resume) {
    if (!resume.empty())
        from_ = read_checkpoint(resume);
    if (when.path.empty())
        return;
    require_safetensors("checkpoint.path", when.path);
    const atomic_file probe(when.path); // a path that cannot be written shows now, not after an hour
    keep_ = [path = when.path](fit_checkpoint c) { write_checkpoint(path, std::move(c)); };
}

json checkpoints::of_same_fit(json description) const {
    if (from_ && from_->description.size() > 0) // else it was compared with that of the work that this fit is a part of
        require_same_fit(from_->description, description, resume_);
    return description;
}

} // namespace elbo::io
