// What the files of all models have in common: two kinds by ending, a format with a version, and JSON whose every fault
// is a file_error that names the key.
#pragma once

#include "host/io/errors.hpp"
#include "host/io/model/json_text.hpp"
#include "host/io/model/safetensors.hpp"

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace elbo::io {

enum class model_file_kind { safetensors, json };

/// By the ending. Throws invalid_argument for any other.
model_file_kind kind_to_save(const std::string& path);
/// By the ending. Throws file_error that says what the file looks like.
model_file_kind kind_to_load(const std::string& path);

/// The format and version that a file must declare, and what it is to people ("a mixture").
struct model_format {
    const char* name;
    std::int64_t version;
    const char* what;
};
/// Throws file_error unless the file is of this format and version.
void check_format(const model_format& expected, const std::string& format, std::int64_t version,
                  const std::string& path);
/// The same with what the metadata say.
void check_format(const model_format& expected, const tensor_file& file, const std::string& path);
/// The same with the members "format" and "version" of a JSON object.
void check_format(const model_format& expected, const json& object, const std::string& path);

/// An entry of the metadata, as text or number. Throws file_error where it is missing or no whole number.
std::string metadata_text(const tensor_file& file, const char* key, const std::string& path);
std::int64_t metadata_number(const tensor_file& file, const char* key, const std::string& path);

/// A whole file that must be one JSON object. Throws file_error.
json read_json_object(const std::string& path);
/// Members of an object by type. Throw file_error (missing, another type, too large).
const json& member(const json& object, const char* key, const std::string& path);
std::int64_t whole_number(const json& object, const char* key, const std::string& path);
double number(const json& object, const char* key, const std::string& path);
std::string text(const json& object, const char* key, const std::string& path);
/// Nested lists of these extents, flat and row-major.
std::vector<double> numbers(const json& object, const char* key, const std::vector<std::int64_t>& shape,
                            const std::string& path);
/// Nested lists as text, one line for each row, so that a matrix looks like one.
std::string nested_lists(const double* values, const std::vector<std::int64_t>& shape);

/// What `make` returns. The rules of a model hold for files too, but here the file is at fault: invalid_argument
/// becomes file_error.
template <class Make>
auto from_file(const std::string& path, Make make) {
    try {
        return make();
    } catch (const invalid_argument& e) {
        fail(path, e.what());
    }
}

} // namespace elbo::io
