// Numbers of one record of a text table.
#pragma once

#include "host/io/text_layout.hpp"
#include "host/io/text_records.hpp"

#include <cstdint>
#include <string>
#include <vector>

namespace elbo::io {

class text_parser {
public:
    /// Takes the columns `selected` of the file, in that order.
    text_parser(text_layout layout, const std::vector<std::int64_t>& selected, const std::string& path);
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

    text_layout layout_;
    std::vector<std::int64_t> target_; // of each column of the file: its place in a row, -1 where it is left out
    std::string path_;
    std::vector<text_field> fields_; // of the record at hand, kept to save the allocation
};

} // namespace elbo::io
