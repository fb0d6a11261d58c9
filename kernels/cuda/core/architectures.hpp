// For which devices a build has code. Inline: the tests call it with lists of other builds.
#pragma once

#include <algorithm>
#include <charconv>
#include <cstddef>
#include <fmt/format.h>
#include <string>
#include <string_view>

namespace elbo::kernels::cuda {

/// Whether one entry of CMAKE_CUDA_ARCHITECTURES gives code for a device of compute capability major.minor: NN both
/// kinds, NN-real machine code, for devices of that major version and no older minor one, NN-virtual PTX, for all that
/// are not older; NNa and NNf are taken for that very device and for those of the major version. Words (native, all)
/// are taken to give code.
inline bool gives_code(std::string_view entry, int major, int minor) {
    int number = 0;
    const char* const end = std::from_chars(entry.data(), entry.data() + entry.size(), number).ptr;
    if (number == 0)
        return true;
    const std::string_view suffix(end, static_cast<std::size_t>(entry.data() + entry.size() - end));
    const int device = 10 * major + minor;
    if (suffix.starts_with('a'))
        return device == number;
    const bool same_major = number / 10 == major && number <= device;
    if (suffix.starts_with('f') || suffix == "-real")
        return same_major;
    return number <= device;
}

/// Why a device cannot run the code of a build, and what to do; empty where it can. `architectures` are entries as
/// above, separated by commas.
inline std::string missing_code(std::string_view architectures, int ordinal, std::string_view name, int major,
                                int minor) {
    if (major < 8)
        return fmt::format(
            "device {} ({}) has compute capability {}.{}, and the kernels need 8.0 or newer: use the cpu "
            "back end",
            ordinal, name, major, minor);
    for (std::string_view rest = architectures; !rest.empty();) {
        const std::size_t length = std::min(rest.find(','), rest.size());
        if (gives_code(rest.substr(0, length), major, minor))
            return {};
        rest.remove_prefix(std::min(length + 1, rest.size()));
    }
    return fmt::format("device {} ({}) has compute capability {}.{}, for which this build has no code (it has {}): "
                       "build with ELBO_CUDA_ARCHITECTURES={}{}, or use the cpu back end",
                       ordinal, name, major, minor, architectures, major, minor);
}

} // namespace elbo::kernels::cuda
