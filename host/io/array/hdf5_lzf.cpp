// A block of LZF is a sequence of runs. A control byte c < 32 stands for c + 1 bytes that follow as they are. Otherwise
// its upper three bits are a length (7: another byte is added), its lower five with the next byte a distance back.
#ifdef ELBO_WITH_HDF5

#include "host/io/array/hdf5.hpp"

#include <algorithm>
#include <cstdlib>
#include <cstring>

namespace elbo::io {
namespace {

constexpr std::size_t largest_chunk = std::size_t{1} << 32; // HDF5 allows no more
constexpr unsigned literal_limit = 32, longest_code = 7;

// Replaces *buffer by what it decompresses to. Returns the size, 0 for a failure.
std::size_t decompress_chunk(unsigned flags, std::size_t count, const unsigned values[], std::size_t bytes,
                             std::size_t* buffer_size, void** buffer) {
    if ((flags & H5Z_FLAG_REVERSE) == 0)
        return 0; // nothing is compressed here; an optional filter may decline
    std::size_t size = count > 2 && values[2] > 0 ? values[2] : std::max<std::size_t>(bytes * 4, 64); // of the chunk
    const std::span<const unsigned char> in(static_cast<const unsigned char*>(*buffer), bytes);
    for (; size <= largest_chunk; size *= 2) {
        void* const out = std::malloc(size); // which the HDF5 library frees
        if (out == nullptr)
            return 0;
        std::size_t written = 0;
        const lzf_status status = lzf_decompress(in, {static_cast<unsigned char*>(out), size}, written);
        if (status == lzf_status::done && count > 2 && written < values[2]) {
            std::free(out); // libhdf5 would read beyond what there is
            return 0;
        }
        if (status == lzf_status::done) {
            std::free(*buffer);
            *buffer = out;
            *buffer_size = size;
            return written;
        }
        std::free(out);
        if (status == lzf_status::damaged)
            return 0;
    }
    return 0;
}

} // namespace

lzf_status lzf_decompress(std::span<const unsigned char> in, std::span<unsigned char> out, std::size_t& written) {
    written = 0;
    for (std::size_t at = 0; at < in.size();) {
        const unsigned control = in[at++];
        if (control < literal_limit) {
            const std::size_t length = control + 1;
            if (length > in.size() - at)
                return lzf_status::damaged;
            if (length > out.size() - written)
                return lzf_status::too_small;
            std::memcpy(out.data() + written, in.data() + at, length);
            at += length;
            written += length;
            continue;
        }
        std::size_t length = control >> 5;
        if (length == longest_code) {
            if (at == in.size())
                return lzf_status::damaged;
            length += in[at++];
        }
        if (at == in.size())
            return lzf_status::damaged;
        const std::size_t distance = ((control & 31u) << 8 | in[at++]) + std::size_t{1};
        length += 2;
        if (distance > written)
            return lzf_status::damaged;
        if (length > out.size() - written)
            return lzf_status::too_small;
        for (std::size_t i = 0; i < length; ++i, ++written) // source and target may overlap
            out[written] = out[written - distance];
    }
    return lzf_status::done;
}

void register_lzf() {
    if (H5Zfilter_avail(lzf_filter) > 0)
        return;
    static const H5Z_class2_t filter = {H5Z_CLASS_T_VERS, lzf_filter,      0, 1, "LZF of h5py (decompression)", nullptr,
                                        nullptr,          decompress_chunk};
    H5Zregister(&filter);
}

} // namespace elbo::io

#endif
