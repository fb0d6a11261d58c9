// Numbers of one record of a text table.
#pragma once

#include "host/io/text/layout.hpp"
#include "host/io/text/numbers.hpp"
#include "host/io/text/records.hpp"

#include <cstdint>
#include <string>
#include <vector>

namespace elbo::io {

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
