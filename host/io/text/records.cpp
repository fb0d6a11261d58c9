#include "host/io/text/table.hpp"

#include "host/io/errors.hpp"

#include <cstring>

namespace elbo::io {
namespace {

constexpr std::size_t longest_record = std::size_t{1} << 26;

std::string_view trimmed(std::string_view text) {
    while (!text.empty() && is_blank(text.front()))
        text.remove_prefix(1);
    while (!text.empty() && is_blank(text.back()))
        text.remove_suffix(1);
    return text;
}

std::size_t skip_blanks(std::string_view text, std::size_t at) {
    while (at < text.size() && is_blank(text[at]))
        ++at;
    return at;
}

// Position after the closing quote of the field that begins with the quote at `open`; text.size() if there is none.
std::size_t after_closing_quote(std::string_view text, std::size_t open) {
    for (std::size_t at = open + 1; at < text.size(); ++at) {
        if (text[at] != '"')
            continue;
        if (at + 1 < text.size() && text[at + 1] == '"')
            ++at; // a doubled quote is a quote within the field
        else
            return at + 1;
    }
    return text.size();
}

} // namespace

text_record_reader::text_record_reader(std::unique_ptr<byte_stream> stream, const std::string& path, std::size_t block)
    : stream_(std::move(stream)), path_(path), buffer_(block) {}

bool text_record_reader::refill() {
    std::memmove(buffer_.data(), buffer_.data() + begin_, end_ - begin_);
    end_ -= begin_;
    begin_ = 0;
    if (end_ == buffer_.size()) {
        if (buffer_.size() >= longest_record)
            fail_at_line(path_, line_, "a line or quoted field of more than 64 MiB");
        buffer_.resize(buffer_.size() * 2);
    }
    const std::size_t got = stream_->read(buffer_.data() + end_, buffer_.size() - end_);
    end_ += got;
    return got > 0;
}

void text_record_reader::skip_byte_order_mark() {
    started_ = true;
    while (end_ - begin_ < 3 && refill())
        continue;
    if (std::string_view(buffer_.data(), end_).starts_with("\xef\xbb\xbf"))
        begin_ = 3;
}

// A carriage return ends the lines where the first one ends in it, and no line feed follows (spreadsheets for the
// classic Macintosh).
void text_record_reader::find_line_end() {
    bool open = false, comment = false;
    for (std::size_t at = begin_;; ++at) {
        const std::size_t place = at - begin_;
        if (at == end_) {
            if (!refill())
                return;
            at = begin_ + place;
        }
        const char c = buffer_[at];
        comment = comment || (place == 0 && c == '#');
        open ^= c == '"' && !comment;
        if (open || (c != '\n' && c != '\r'))
            continue;
        std::size_t after = at;
        while (after < end_ && buffer_[after] == '\r')
            if (++after == end_) {
                const std::size_t run = after - begin_;
                if (!refill())
                    break;
                after = begin_ + run;
            }
        line_end_ = c == '\r' && !(after < end_ && buffer_[after] == '\n') ? '\r' : '\n';
        return;
    }
}

// Finds the next line, whole in the buffer. A line break between quotes does not end it.
bool text_record_reader::next_line(text_record& record) {
    std::size_t scanned = 0; // from begin_
    std::int64_t breaks = 0;
    bool quotes = false, open = false, comment = false;
    for (;;) {
        const char* const from = buffer_.data() + begin_ + scanned;
        const std::size_t available = end_ - begin_ - scanned;
        if (scanned == 0 && available > 0)
            comment = *from == '#';
        const char* const newline = static_cast<const char*>(std::memchr(from, line_end_, available));
        const char* const stop = newline ? newline : from + available;
        if (!comment && std::memchr(from, '"', static_cast<std::size_t>(stop - from))) {
            quotes = true;
            open ^= (std::count(from, stop, '"') & 1) != 0;
        }
        scanned += static_cast<std::size_t>(stop - from);
        if (newline && !open)
            break;
        if (newline) {
            ++breaks;
            ++scanned;
        } else if (!refill()) {
            if (open)
                fail_at_line(path_, line_, "a quote is opened and never closed");
            if (scanned == 0)
                return false;
            break;
        }
    }
    record.text = {buffer_.data() + begin_, scanned};
    record.line = line_;
    record.quotes = quotes;
    begin_ = std::min(begin_ + scanned + 1, end_);
    line_ += breaks + 1;
    return true;
}

bool text_record_reader::next(text_record& record) {
    if (!started_) {
        skip_byte_order_mark();
        find_line_end();
    }
    while (next_line(record)) {
        while (record.text.ends_with('\r'))
            record.text.remove_suffix(1);
        if (!record.text.starts_with('#') && !trimmed(record.text).empty())
            return true;
    }
    return false;
}

void split_fields(std::string_view record, char separator, std::vector<text_field>& fields) {
    fields.clear();
    const bool by_blanks = separator == blanks;
    if (by_blanks)
        record = trimmed(record);
    const auto at_separator = [&](std::size_t at) {
        return by_blanks ? is_blank(record[at]) : record[at] == separator;
    };
    // A tab that separates is not a blank around a field.
    const auto skip = [&](std::size_t at) { return separator == '\t' ? at : skip_blanks(record, at); };
    std::size_t at = 0;
    for (;;) {
        const std::size_t begin = skip(at);
        const bool starts_quoted = begin < record.size() && record[begin] == '"';
        const std::size_t closed = starts_quoted ? after_closing_quote(record, begin) : begin;
        std::size_t stop = closed;
        while (stop < record.size() && !at_separator(stop))
            ++stop;
        const bool quoted = starts_quoted && closed - begin >= 2 && record[closed - 1] == '"' &&
                            trimmed(record.substr(closed, stop - closed)).empty();
        if (quoted)
            fields.push_back({record.substr(begin + 1, closed - begin - 2), true});
        else
            fields.push_back({trimmed(record.substr(begin, stop - begin)), false});
        if (stop >= record.size())
            return;
        at = by_blanks ? skip_blanks(record, stop) : stop + 1;
    }
}

} // namespace elbo::io
