#include "host/io/input_file.hpp"

#include "host/io/errors.hpp"
#include "host/io/format.hpp"

#include <algorithm>
#include <fmt/format.h>
#include <vector>
#include <zlib.h>

namespace elbo::io {
namespace {

class inflate_stream final : public byte_stream {
public:
    inflate_stream(std::unique_ptr<byte_stream> compressed, deflate_wrapper wrapper, const std::string& path,
                   std::uint64_t first_byte)
        : compressed_(std::move(compressed)), wrapper_(wrapper), path_(path), fetched_(first_byte), input_(1 << 14) {
        // zlib: 15 bits of window, +16 demands a gzip header, negative expects none.
        const int window_bits = wrapper == deflate_wrapper::gzip ? 15 + 16 : -15;
        if (::inflateInit2(&state_, window_bits) != Z_OK)
            fail(path, "cannot start the decompressor");
    }
    inflate_stream(const inflate_stream&) = delete;
    inflate_stream& operator=(const inflate_stream&) = delete;
    ~inflate_stream() override { ::inflateEnd(&state_); }

    std::size_t read(char* to, std::size_t bytes) override {
        const std::size_t wanted = std::min<std::size_t>(bytes, 1u << 30); // zlib counts in 32 bits
        state_.next_out = reinterpret_cast<Bytef*>(to);
        state_.avail_out = static_cast<uInt>(wanted);
        while (!ended_ && state_.avail_out == wanted && wanted > 0)
            step();
        return wanted - state_.avail_out;
    }

private:
    void step() {
        if (state_.avail_in == 0)
            fetch();
        if (wrapper_ == deflate_wrapper::gzip && between_members_ && !begin_member())
            return;
        if (state_.avail_in == 0)
            fail_at_byte(path_, position(), "the compressed data ends here, expected more");
        const int status = ::inflate(&state_, Z_NO_FLUSH);
        if (status == Z_STREAM_END) {
            ended_ = wrapper_ == deflate_wrapper::none;
            between_members_ = true;
            members_ += 1;
        } else if (status != Z_OK && status != Z_BUF_ERROR) {
            fail_at_byte(path_, position(),
                         fmt::format("the compressed data is damaged ({})", state_.msg ? state_.msg : "zlib error"));
        }
    }

    // At the end of a member: another may follow, or zeros that pad the file to a block.
    bool begin_member() {
        if (members_ > 0) {
            while (state_.avail_in > 0 && *state_.next_in == 0)
                skip_byte();
            if (state_.avail_in == 0) {
                fetch();
                ended_ = state_.avail_in == 0;
                return false;
            }
            ::inflateReset(&state_);
        } else if (state_.avail_in >= 2 && (state_.next_in[0] != 0x1f || state_.next_in[1] != 0x8b)) {
            const std::string_view head(reinterpret_cast<const char*>(state_.next_in), state_.avail_in);
            fail_at_byte(
                path_, position(),
                fmt::format("expected the magic bytes 1f 8b of gzip, but this looks like {}", looks_like(head)));
        }
        between_members_ = false;
        return true;
    }

    void skip_byte() {
        ++state_.next_in;
        --state_.avail_in;
    }

    void fetch() {
        const std::size_t got = compressed_->read(input_.data(), input_.size());
        fetched_ += got;
        state_.next_in = reinterpret_cast<Bytef*>(input_.data());
        state_.avail_in = static_cast<uInt>(got);
    }

    std::uint64_t position() const { return fetched_ - state_.avail_in; }

    std::unique_ptr<byte_stream> compressed_;
    deflate_wrapper wrapper_;
    std::string path_;
    std::uint64_t fetched_; // place in the compressed file after what is in input_
    std::vector<char> input_;
    z_stream state_{};
    int members_ = 0;
    bool between_members_ = true;
    bool ended_ = false;
};

} // namespace

std::unique_ptr<byte_stream> open_inflate_stream(std::unique_ptr<byte_stream> compressed, deflate_wrapper wrapper,
                                                 const std::string& path, std::uint64_t first_byte) {
    return std::make_unique<inflate_stream>(std::move(compressed), wrapper, path, first_byte);
}

stream_opener opener_of(const input_file& file, bool gzip) {
    return [file, gzip]() {
        std::unique_ptr<byte_stream> stream = open_file_stream(file);
        return gzip ? open_inflate_stream(std::move(stream), deflate_wrapper::gzip, file.name()) : std::move(stream);
    };
}

} // namespace elbo::io
