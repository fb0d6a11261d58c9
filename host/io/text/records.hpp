// Lines and fields of a text table.
#pragma once

#include "host/io/input_file.hpp"

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

namespace elbo::io {

/// One line of a table (several, where a quoted field holds line breaks).
struct text_record {
    std::string_view text; ///< without the line end; valid until the next call
    std::int64_t line = 0; ///< where it begins, from 1
    bool quotes = false;   ///< whether there is a quote in it
};

/// Splits a stream into records with a buffer that holds one block and the longest line. Blank lines and lines whose
/// first character is # are passed over; \n and \r\n end a line, or \r where the first line ends so; the last may have
/// no end.
class text_record_reader {
public:
    /// Reads `block` bytes at a time.
    text_record_reader(std::unique_ptr<byte_stream> stream, const std::string& path,
                       std::size_t block = std::size_t{1} << 18); // stays in the second-level cache
    /// False at the end. Throws file_error (a quote that is not closed, a line of more than 64 MiB).
    bool next(text_record& record);

private:
    bool next_line(text_record& record);
    void skip_byte_order_mark();
    void find_line_end();
    bool refill();

    std::unique_ptr<byte_stream> stream_;
    std::string path_;
    std::vector<char> buffer_;
    std::size_t begin_ = 0; // of the next line in buffer_
    std::size_t end_ = 0;   // of what has been read
    std::int64_t line_ = 1; // number of the next line
    bool started_ = false;
    char line_end_ = '\n';
};

/// The separator that stands for runs of blanks and tabs.
inline constexpr char blanks = ' ';

/// A field as it stands between its quotes; doubled quotes are left.
struct text_field {
    std::string_view text;
    bool quoted = false;
};

/// The fields of a record, without the blanks around them.
void split_fields(std::string_view record, char separator, std::vector<text_field>& fields);
/// The text of a field as its author meant it: doubled quotes made single.
std::string unescaped(const text_field& field);

inline bool is_blank(char c) {
    return c == ' ' || c == '\t';
}

} // namespace elbo::io
