// The LZF compression of h5py, which the HDF5 library itself lacks. Included only where ELBO_WITH_HDF5 is defined.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>

namespace elbo::io {

/// The number under which h5py registered it (github.com/HDFGroup/hdf5_plugins, docs/RegisteredFilterPlugins.md).
inline constexpr int lzf_filter = 32000;

enum class lzf_status { done, too_small, damaged };

/// Decompresses a block of LZF (Marc Lehmann's LibLZF): `written` bytes into `out`. too_small: they do not fit.
lzf_status lzf_decompress(std::span<const unsigned char> in, std::span<unsigned char> out, std::size_t& written);

/// Lets the HDF5 library decompress it, unless it can already. Called within an hdf5_section.
void register_lzf();

} // namespace elbo::io
