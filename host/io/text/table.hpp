// A table of text: its records and their fields, how it is laid out, and its numbers.
#pragma once

#include "elbo/data_source.hpp"
#include "host/io/input_file.hpp"
#include "host/io/text/numbers.hpp"

namespace elbo::io {

// Lines and fields (records.cpp).

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

inline bool is_blank(char c) {
    return c == ' ' || c == '\t';
}

// How it is laid out, found by looking at its first lines (layout.cpp).

/// All but numeric columns are left out unless they are asked for.
enum class column_kind {
    numeric,  ///< one of the first values is a number, or most of them nearly are: a fault then
    text,     ///< none of the first values is a number
    row_name, ///< the row names that R and pandas put in front
    missing,  ///< the first values are all missing; the others must be, too
    padding   ///< nothing but a separator at the end of each line: no column
};

struct text_layout {
    char separator = ',';                  ///< or `blanks`
    bool header = false;                   ///< whether the first record holds names
    std::vector<std::string> names;        ///< of all columns of the file; empty without a header
    std::vector<column_kind> kinds;        ///< of all columns of the file
    std::vector<left_out_column> left_out; ///< those that are no numbers, with their reasons
    std::vector<std::string> remarks;      ///< what was taken for granted
    std::int64_t first_data_line = 1;      ///< which says how many fields a line must have
    bool decimal_comma = false;
    std::vector<std::string> missing; ///< texts that stand for missing values, beside those by custom
    std::int64_t columns() const { return static_cast<std::int64_t>(kinds.size()); }
};

/// A record kept for inspection.
struct sample_record {
    std::string text;
    std::int64_t line = 0;
};

/// Finds the layout from the first records of a file, as far as the options do not say it. Throws file_error where
/// there is no row of data or where the header does not fit the data, and invalid_argument for a delimiter that cannot
/// be one.
text_layout find_layout(const std::vector<sample_record>& sample, const file_options& options, const std::string& path);

/// How column `index` is called in messages: "column 3 ('waiting')", counted from 1 as people do.
std::string column_label(const text_layout& layout, std::int64_t index);

// Numbers of one record (parser.cpp).

class text_parser {
public:
    /// Takes the columns `selected` of the file, in that order. With `watched`, columns that are left out because they
    /// have no values must have none in any record.
    text_parser(text_layout layout, const std::vector<std::int64_t>& selected, bool watched, const std::string& path);
    /// Writes one number for each selected column. Throws file_error (line, column, what was expected).
    template <class T>
    void parse(const text_record& record, T* out);
    const text_layout& layout() const { return layout_; }

private:
    // Numbers without quotes, straight from the characters. False for whatever is unusual or wrong.
    template <class T>
    bool parse_fast(std::string_view record, T* out) const;
    template <class T>
    void parse_fields(const text_record& record, T* out);
    // A field that was parsed as `value`, or not.
    template <class T>
    void check_number(const text_record& record, std::size_t column, T value, number_status status) const;
    void check_left_out(const text_record& record, std::size_t column) const;
    bool is_watched(std::size_t column) const;
    bool is_marker(double value) const;
    [[noreturn]] void fail_at(const text_record& record, std::size_t column, std::string_view expected,
                              std::string_view advice) const;

    text_layout layout_;
    std::vector<std::int64_t> target_; // of each column of the file: its place in a row, -1 where it is left out
    std::vector<double> markers_;      // numbers that stand for missing values
    bool watched_;
    std::string path_;
    std::vector<text_field> fields_; // of the record at hand, kept to save the allocation
};

} // namespace elbo::io
